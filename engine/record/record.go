package record

import (
	"encoding/binary"
	"fmt"

	"cairn/session"
)

// Codec says how a record's value is stored. 1 and 2 are not used again: they
// were zstd frames before there was a release.
type Codec uint8

const (
	Raw Codec = 0 // as it is
	S2  Codec = 3 // one S2 block, which may need a dictionary
)

// The first byte of a value in the store: what it is and in which version.
const (
	kindRecord   = 0x01 // a Header and a body
	kindExtended = 0x02 // a Header, an Extension and a body
	kindPatch    = 0x81 // a Patch
)

// The bits of byte 2 of a record, and of the masks of a Patch.
const (
	bitStale   = 1 << 0
	bitClaimed = 1 << 1
	bitExpiry  = 1 << 2
	bitVersion = 1 << 3
)

// Header is what a record says about its body. Layout, little endian:
//
//	0  kind      1  codec     2  bits       3  length of the extension
//	4  flags, 4 bytes         8  version, 8 bytes
//	16 expiry, 8 bytes
//	24 length of the raw value, 4 bytes     28 dictionary, 4 bytes (S2 only)
//
// Then comes the extension, of a record of kind 0x02 only, and then the body. A
// Patch changes the header alone, which is the same for both kinds.
type Header struct {
	Codec   Codec
	Stale   bool
	Claimed bool
	Flags   uint32
	Version uint64
	Expiry  session.Time

	RawLen     uint32 // bytes of the uncompressed value
	Dictionary uint32 // that an S2 block needs; 0: none

	// Ext is the bytes of an Extension and what a later version has put behind
	// it; empty: none. Decode lets it alias the record.
	Ext []byte
}

// MaxValueLen is the length in bytes of the largest value that a record can
// have. It keeps a record well below what one table block can hold.
const MaxValueLen = 1 << 30

const (
	rawHeaderLen = 24
	headerLen    = 32
)

// Len is the number of bytes that Put writes.
func (h *Header) Len() int { return fixedLen(h.Codec) + len(h.Ext) }

// fixedLen is the length of a header without its extension.
func fixedLen(c Codec) int {
	if c == Raw {
		return rawHeaderLen
	}
	return headerLen
}

// Put writes the header into dst, which must be at least Len bytes long.
func (h *Header) Put(dst []byte) {
	dst[0] = kindRecord
	if len(h.Ext) > 0 {
		dst[0] = kindExtended
	}
	dst[1] = byte(h.Codec)
	dst[2] = bits(h.Stale, h.Claimed)
	dst[3] = byte(len(h.Ext))
	binary.LittleEndian.PutUint32(dst[4:], h.Flags)
	binary.LittleEndian.PutUint64(dst[8:], h.Version)
	binary.LittleEndian.PutUint64(dst[16:], uint64(h.Expiry))
	if h.Codec != Raw {
		binary.LittleEndian.PutUint32(dst[24:], h.RawLen)
		binary.LittleEndian.PutUint32(dst[28:], h.Dictionary)
	}
	copy(dst[fixedLen(h.Codec):], h.Ext)
}

// Decode reads a stored value. ok is false if it holds no record but only a
// Patch whose record is gone; such a session is absent. body and h.Ext alias
// value.
func Decode(value []byte) (h Header, body []byte, ok bool, err error) {
	if isPatch(value) {
		_, err := decodePatch(value)
		return Header{}, nil, false, err
	}
	if len(value) < rawHeaderLen || value[0] != kindRecord && value[0] != kindExtended {
		return Header{}, nil, false, fmt.Errorf("%w: no record header", ErrCorrupt)
	}
	h = Header{
		Codec:   Codec(value[1]),
		Stale:   value[2]&bitStale != 0,
		Claimed: value[2]&bitClaimed != 0,
		Flags:   binary.LittleEndian.Uint32(value[4:]),
		Version: binary.LittleEndian.Uint64(value[8:]),
		Expiry:  session.Time(binary.LittleEndian.Uint64(value[16:])),
	}
	fixed := fixedLen(h.Codec)
	if h.Codec != Raw && h.Codec != S2 || len(value) < fixed {
		return Header{}, nil, false, fmt.Errorf("%w: codec %d", ErrCorrupt, h.Codec)
	}
	body = value[fixed:]
	if value[0] == kindExtended || value[3] != 0 {
		if h.Ext, body, ok = splitExtension(value[0], int(value[3]), body); !ok {
			return Header{}, nil, false, fmt.Errorf("%w: extension of %d bytes", ErrCorrupt, value[3])
		}
	}
	h.RawLen = uint32(len(body))
	if h.Codec != Raw {
		h.RawLen = binary.LittleEndian.Uint32(value[24:])
		h.Dictionary = binary.LittleEndian.Uint32(value[28:])
	}
	return h, body, true, nil
}

// splitExtension parts the n bytes of the extension from the body behind it; ok
// is false if they are none.
func splitExtension(kind byte, n int, rest []byte) (ext, body []byte, ok bool) {
	if kind != kindExtended || n > len(rest) || !validExtension(rest[:n]) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

func bits(stale, claimed bool) (b byte) {
	if stale {
		b |= bitStale
	}
	if claimed {
		b |= bitClaimed
	}
	return b
}
