package record

import (
	"encoding/binary"

	"cairn/session"
	"cairn/ttl"
)

// An entry of the owner index says under which key to look for a session of an
// owner. It has no value. Its key is
//
//	'u' | bucket, 4 bytes | length of the owner, 1 byte | owner | session key
//
// so that the entries of an owner stand together within each bucket, and owners are
// in the order of their lengths first. Only items with an owner have one, in the
// bucket of their record.

// OwnerKeyOverhead is the number of bytes of an index entry's key besides the owner
// and the session key.
const OwnerKeyOverhead = KeyOverhead + 1

// Owners is the space of the index.
var Owners = &Space{Name: "owners", Prefix: 'u', Bucketed: true}

// PutOwnerKey writes the key of an index entry into dst, which must be
// OwnerKeyOverhead bytes longer than owner and key together.
func PutOwnerKey(dst []byte, bucket ttl.Bucket, owner, key []byte) {
	dst[0] = Owners.Prefix
	binary.BigEndian.PutUint32(dst[1:], uint32(bucket))
	dst[KeyOverhead] = byte(len(owner))
	copy(dst[OwnerKeyOverhead:], owner)
	copy(dst[OwnerKeyOverhead+len(owner):], key)
}

// AppendOwner appends what the keys of all entries of an owner have behind their
// bucket.
func AppendOwner(dst, owner []byte) []byte { return append(append(dst, byte(len(owner))), owner...) }

// SplitOwner takes apart what the key of an entry has behind its bucket; ok is false
// if that is malformed. Both results alias rest.
func SplitOwner(rest []byte) (owner, key []byte, ok bool) {
	if len(rest) == 0 || rest[0] == 0 || rest[0] > session.MaxOwnerLen || len(rest) < 1+int(rest[0]) {
		return nil, nil, false
	}
	end := 1 + int(rest[0])
	owner, key = rest[1:end:end], rest[end:]
	return owner, key, session.ValidKey(key)
}
