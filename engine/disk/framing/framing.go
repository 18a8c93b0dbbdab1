// Package framing reads how Pebble frames the records of its logs and
// manifests, to tell a file whose end a crash tore from one that was damaged.
//
// Pebble takes the first frame that it cannot read for the end of the file, as
// a crash leaves it. In a manifest it always does, and then deletes the tables
// that the rest of the manifest spoke of; in a log it looks no further than
// the starts of later blocks. This package looks at every byte behind: what
// stands there proves that the unreadable frame had been written whole.
//
// The format is that of Pebble's package record: blocks of 32 KiB, in them
// chunks of a checksum (CRC-32C, masked), a length, a type and a payload.
package framing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrDamaged is the error of a file in which something that had been written
// whole cannot be read any more.
var ErrDamaged = errors.New("damaged")

const (
	blockSize = 32 << 10

	legacyHeader = 7                // checksum, length, type
	logHeader    = legacyHeader + 4 // the log's number
	syncHeader   = logHeader + 8    // up to where the log was durable
)

// Types of chunks. Each comes as the only, first, middle or last of a record.
const (
	legacyFull, legacyFirst, legacyLast = 1, 2, 4
	recyclableFull, recyclableLast      = 5, 8
	syncFull, syncLast                  = 9, 12 // what Pebble writes today
)

// chunk is one frame.
type chunk struct {
	kind    byte
	size    int // with its header
	payload int // of that
	log     uint32
	synced  int64 // up to where the log was durable when the chunk was written
}

// parse reads the chunk at the start of b, the rest of a block.
func parse(b []byte) (c chunk, ok bool) {
	c, ok = parseHeader(b)
	return c, ok && c.whole(b)
}

// parseHeader reads what a chunk at the start of b says of itself.
func parseHeader(b []byte) (c chunk, ok bool) {
	if len(b) < legacyHeader {
		return c, false
	}
	c.kind = b[6]
	header := legacyHeader
	switch {
	case legacyFull <= c.kind && c.kind <= legacyLast:
	case recyclableFull <= c.kind && c.kind <= recyclableLast:
		header = logHeader
	case syncFull <= c.kind && c.kind <= syncLast:
		header = syncHeader
	default:
		return c, false
	}
	c.payload = int(binary.LittleEndian.Uint16(b[4:]))
	c.size = header + c.payload
	if c.size > len(b) {
		return c, false
	}
	if header >= logHeader {
		c.log = binary.LittleEndian.Uint32(b[legacyHeader:])
	}
	if header == syncHeader {
		c.synced = int64(binary.LittleEndian.Uint64(b[logHeader:]))
	}
	return c, true
}

// whole reports whether the chunk's checksum, at the start of b, is right.
func (c *chunk) whole(b []byte) bool {
	return Checksum(b[6:c.size]) == binary.LittleEndian.Uint32(b)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the one that Pebble keeps of a chunk of a log and of a block of a table:
// a masked CRC-32C.
func Checksum(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// Log checks a write-ahead log with the given number. Its end may be torn.
func Log(r io.Reader, number uint64) error { return scan(r, logRules(number)) }

// Manifest checks a manifest. Its end may be torn.
func Manifest(r io.Reader) error { return scan(r, manifestRules) }

func logRules(number uint64) rules {
	return rules{
		belongs: func(c *chunk) bool { return c.kind >= recyclableFull && c.log == uint32(number) },
		// An orderly end is marked by an empty chunk of the next log.
		ends: func(c *chunk) bool { return c.kind >= recyclableFull && c.log == uint32(number)+1 },
		// What a later chunk calls durable had been written whole.
		proves: func(c *chunk, torn int64) bool { return c.kind >= syncFull && c.synced > torn },
	}
}

var manifestRules = rules{
	belongs: func(c *chunk) bool { return c.kind <= legacyLast },
	ends:    func(*chunk) bool { return false },
	// Each record is durable before the next is begun.
	proves: func(c *chunk, _ int64) bool { return c.kind == legacyFull || c.kind == legacyFirst },
}

// rules are what tells one kind of file from another.
type rules struct {
	belongs func(c *chunk) bool             // to this file
	ends    func(c *chunk) bool             // the file, in order
	proves  func(c *chunk, torn int64) bool // that offset torn was once readable
}

func scan(r io.Reader, rules rules) error {
	block := make([]byte, blockSize)
	torn := int64(-1) // the offset of the first unreadable frame
	for base := int64(0); ; base += blockSize {
		n, err := io.ReadFull(r, block)
		if n == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		at := 0
		if torn < 0 {
			var ended bool
			if at, ended = rules.read(block[:n]); ended {
				return nil
			}
			if at < n {
				torn = base + int64(at)
				at++
			}
		}
		if found := rules.search(block[:n], at, torn); found >= 0 {
			return fmt.Errorf("%w at byte %d, though byte %d shows that it had been written", ErrDamaged, torn, base+int64(found))
		}
	}
}

// read passes over the readable chunks of a block and gives the offset behind
// them: the length of the block if nothing else is in it.
func (r *rules) read(block []byte) (at int, ended bool) {
	for at < len(block) {
		c, ok := parse(block[at:])
		switch {
		case ok && r.ends(&c):
			return at, true
		case ok && r.belongs(&c):
			at += c.size
		case len(block) == blockSize && blockSize-at < syncHeader && zero(block[at:]):
			return len(block), false // too short for a chunk
		default:
			return at, false
		}
	}
	return at, false
}

// search looks for proof that something had been readable at offset torn: -1 if
// there is none in this block from at on.
func (r *rules) search(block []byte, at int, torn int64) int {
	if torn < 0 {
		return -1
	}
	for ; at+legacyHeader <= len(block); at++ {
		if block[at+6] == 0 || block[at+6] > syncLast {
			continue
		}
		// The checksum comes last: behind a log's end may be a whole older one.
		if c, ok := parseHeader(block[at:]); ok && r.belongs(&c) && r.proves(&c, torn) && c.whole(block[at:]) {
			return at
		}
	}
	return -1
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
