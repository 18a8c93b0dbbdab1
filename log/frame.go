package log

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Position is the number of a record: dense, from 1, never used twice in a log.
type Position uint64

// A frame is what stands for a record in a segment:
//
//	checksum  u32  CRC-32C of all that follows
//	word      u32  kind in the highest 4 bits, length of the payload in the others
//	segment   u32  the incarnation of the file: see segmentHeader.incarnation
//	position  u64  of the record; of the next record, in a mark
//	payload
//
// All numbers are little-endian.
const frameHeader = 20

// Kinds of frames. Zero is none: a file begins as zeros.
const (
	kindRecord = 1

	// kindMark stands before the frames of each write. Its payload is a mark.
	kindMark = 2

	kindShift  = 28
	lengthMask = 1<<kindShift - 1
)

// mark is what a segment tells of the log.
type mark struct {
	durable Position // every record up to this one was durable when the mark was written
	low     Position // records below this one are truncated
}

const (
	markPayload = 16
	markSize    = frameHeader + markPayload
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame adds a frame to b.
func appendFrame(b []byte, kind uint32, incarnation uint32, p Position, payload []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, kind<<kindShift|uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, incarnation)
	b = binary.LittleEndian.AppendUint64(b, uint64(p))
	b = append(b, payload...)
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

func appendMark(b []byte, incarnation uint32, next Position, m mark) []byte {
	var payload [markPayload]byte
	binary.LittleEndian.PutUint64(payload[:], uint64(m.durable))
	binary.LittleEndian.PutUint64(payload[8:], uint64(m.low))
	return appendFrame(b, kindMark, incarnation, next, payload[:])
}

// frame is a frame that was read.
type frame struct {
	kind     uint32
	position Position
	size     int // with its header
}

// parseHeader reads the header of a frame at the start of b: what it says, not
// whether it is true.
func parseHeader(b []byte, incarnation uint32) (f frame, ok bool) {
	if len(b) < frameHeader || binary.LittleEndian.Uint32(b[8:]) != incarnation {
		return f, false
	}
	word := binary.LittleEndian.Uint32(b[4:])
	f = frame{word >> kindShift, Position(binary.LittleEndian.Uint64(b[12:])), frameHeader + int(word&lengthMask)}
	known := f.kind == kindRecord || f.kind == kindMark && f.size == markSize
	return f, known
}

// parseFrame reads the whole frame at the start of b.
func parseFrame(b []byte, incarnation uint32) (f frame, ok bool) {
	f, ok = parseHeader(b, incarnation)
	return f, ok && f.size <= len(b) && crc32.Checksum(b[4:f.size], castagnoli) == binary.LittleEndian.Uint32(b)
}

// payload is the payload of f, which is at the start of b.
func (f *frame) payload(b []byte) []byte { return b[frameHeader:f.size:f.size] }

func parseMark(payload []byte) mark {
	return mark{Position(binary.LittleEndian.Uint64(payload)), Position(binary.LittleEndian.Uint64(payload[8:]))}
}

// findMark returns the offset of a mark in b, from at on, that says that the
// record p was durable; -1 if there is none.
func findMark(b []byte, at int, incarnation uint32, p Position) int {
	var pattern [4]byte
	binary.LittleEndian.PutUint32(pattern[:], incarnation)
	for at+markSize <= len(b) {
		i := bytes.Index(b[at+8:], pattern[:])
		if i < 0 {
			return -1
		}
		at += i
		if f, ok := parseHeader(b[at:], incarnation); ok && f.kind == kindMark {
			if f, ok = parseFrame(b[at:], incarnation); ok && parseMark(f.payload(b[at:])).durable >= p {
				return at
			}
		}
		at++
	}
	return -1
}
