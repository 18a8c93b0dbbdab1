package record

import (
	"encoding/binary"

	"cairn/session"
)

// Extension is what a record of kind 0x02 says of its session beyond a Header.
// Layout, little endian:
//
//	0  born, 8 bytes       8  created, 8 bytes
//	16 time to live, 4 bytes
//	20 length of the owner, 1 byte     21 owner
//
// A later version may put more behind the owner. Readers ignore that, and keep
// it as long as they do not write another value.
type Extension struct {
	Born    uint64       // the store's version when the session began
	Created session.Time // when it began; 0: unknown
	TTL     uint32       // seconds that the last store asked for, rounded up; 0: for ever
	Owner   []byte       // at most session.MaxOwnerLen bytes
}

const (
	leastExtension = 21
	mostExtension  = 255
)

// Append appends the extension to dst.
func (x *Extension) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, x.Born)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(x.Created))
	dst = binary.LittleEndian.AppendUint32(dst, x.TTL)
	dst = append(dst, byte(len(x.Owner)))
	return append(dst, x.Owner...)
}

// Len is the number of bytes that Append appends.
func (x *Extension) Len() int { return leastExtension + len(x.Owner) }

// DecodeExtension reads the extension of a Header. ok is false if there is none.
// The owner aliases ext.
func DecodeExtension(ext []byte) (x Extension, ok bool) {
	if !validExtension(ext) {
		return x, false
	}
	return Extension{
		Born:    binary.LittleEndian.Uint64(ext),
		Created: session.Time(binary.LittleEndian.Uint64(ext[8:])),
		TTL:     binary.LittleEndian.Uint32(ext[16:]),
		Owner:   ext[leastExtension : leastExtension+int(ext[20]) : leastExtension+int(ext[20])],
	}, true
}

func validExtension(ext []byte) bool {
	return len(ext) >= leastExtension && len(ext) <= mostExtension &&
		ext[20] <= session.MaxOwnerLen && len(ext) >= leastExtension+int(ext[20])
}
