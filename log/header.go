package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	// blockSize is what a direct write is a multiple of.
	blockSize = 4096

	// headerSize is where the first frame of a segment is.
	headerSize = blockSize

	// formatVersion is what this version of the program writes. A version reads
	// its own and lower ones.
	formatVersion = 1

	// knownFeatures are the feature bits that this version of the program
	// understands. A segment with another one is refused.
	knownFeatures = 0

	segmentMagic   = "cairnseg"
	headerFields   = 8 + 4 + 8*6
	segmentSuffix  = ".seg"
	spareSuffix    = ".spare"
	segmentPattern = "%016d"
)

// segmentHeader is the start of a segment. It is durable before anything else of
// the segment is written, and everything below first is durable by then.
type segmentHeader struct {
	id     uint64   // of the log
	number uint64   // of the segment, never used twice in a log
	first  Position // of its first record
	low    Position // records below this one are truncated
	size   uint64   // of the file, bytes
}

// incarnation is in every frame of the segment: what an earlier segment has left
// in the same file has another one.
func (h *segmentHeader) incarnation() uint32 { return uint32(h.number) ^ uint32(h.id) }

// encode writes the header into block.
func (h *segmentHeader) encode(block []byte) {
	clear(block[:headerSize])
	b := append(block[:0], segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	for _, field := range []uint64{knownFeatures, h.id, h.number, uint64(h.first), uint64(h.low), h.size} {
		b = binary.LittleEndian.AppendUint64(b, field)
	}
	binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHeader reads the header of a segment. It reports whether there is a
// whole one, and an error if this version of the program does not know its form.
func decodeHeader(b []byte) (h segmentHeader, ok bool, err error) {
	if len(b) < headerSize || string(b[:len(segmentMagic)]) != segmentMagic ||
		crc32.Checksum(b[:headerFields], castagnoli) != binary.LittleEndian.Uint32(b[headerFields:]) {
		return h, false, nil
	}
	version := binary.LittleEndian.Uint32(b[8:])
	field := func(i int) uint64 { return binary.LittleEndian.Uint64(b[12+8*i:]) }
	if unknown := field(0) &^ knownFeatures; version > formatVersion || unknown != 0 {
		return h, false, fmt.Errorf("a newer version has written it (format %d, unknown features %#x)", version, unknown)
	}
	return segmentHeader{field(1), field(2), Position(field(3)), Position(field(4)), field(5)}, true, nil
}

func segmentName(number uint64) string { return fmt.Sprintf(segmentPattern, number) + segmentSuffix }
func spareName(number uint64) string   { return fmt.Sprintf(segmentPattern, number) + spareSuffix }

// parseName reads the name of a segment or a spare.
func parseName(name, suffix string) (number uint64, ok bool) {
	base, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(base, 10, 64)
	return number, err == nil && fmt.Sprintf(segmentPattern, number) == base
}

func blockUp[N int | int64](n N) N   { return (n + blockSize - 1) &^ (blockSize - 1) }
func blockDown[N int | int64](n N) N { return n &^ (blockSize - 1) }
