package record

import (
	"encoding/binary"

	"cairn/ttl"
)

// Space is a part of the store's keys: all that begin with one byte. What
// concerns whole spaces (dropping buckets, a flush, where tables end, filters,
// merging, checks) goes by the table Spaces and by nothing else.
type Space struct {
	Name   string // for messages
	Prefix byte

	// Bucketed says that a bucket follows the prefix, big endian, and that the
	// keys of a bucket are of no use any more when it is dead: they are dropped
	// with it, end with it in a table, and leave with a flush of all sessions.
	Bucketed bool

	// Merges says what the operands of a MERGE of its keys are.
	Merges Operands

	// Filtered says that single keys are looked up, and so stand in the filters
	// of tables. Other spaces may be read by ranges only.
	Filtered bool
}

// Operands are what MERGE operations of a space merge.
type Operands uint8

const (
	Nothing Operands = iota // there are none
	Ledgers                 // a Ledger
	Patches                 // a Patch or a record
)

// Spaces are all there are, by ascending prefix. A key outside of them is
// damage.
var Spaces = []Space{
	{Name: "the store's own", Prefix: metaPrefix, Merges: Ledgers, Filtered: true},
	{Name: "records", Prefix: dataPrefix, Bucketed: true, Merges: Patches, Filtered: true},
	*Owners,
}

// SpaceOf returns the space of the key k, nil if it is in none.
func SpaceOf(k []byte) *Space {
	if len(k) > 0 {
		for i := range Spaces {
			if Spaces[i].Prefix == k[0] {
				return &Spaces[i]
			}
		}
	}
	return nil
}

// Bounds returns the first key of the space and the first behind it.
func (s *Space) Bounds() (start, end []byte) { return []byte{s.Prefix}, []byte{s.Prefix + 1} }

// AppendBucket appends the prefix that all keys of a bucket share to dst.
func (s *Space) AppendBucket(dst []byte, bucket ttl.Bucket) []byte {
	return binary.BigEndian.AppendUint32(append(dst, s.Prefix), uint32(bucket))
}

// AppendBucketEnd appends the first key behind all keys of a bucket to dst.
func (s *Space) AppendBucketEnd(dst []byte, bucket ttl.Bucket) []byte {
	if bucket == ttl.Forever {
		return append(dst, s.Prefix+1)
	}
	return s.AppendBucket(dst, bucket+1)
}

// Bucket returns the bucket of a key of the space, which is bucketed; ok is
// false if k is no such key.
func (s *Space) Bucket(k []byte) (bucket ttl.Bucket, ok bool) {
	if len(k) < KeyOverhead || k[0] != s.Prefix {
		return 0, false
	}
	return ttl.Bucket(binary.BigEndian.Uint32(k[1:])), true
}

// Bucketed returns the spaces that have buckets.
func Bucketed() (spaces []*Space) {
	for i := range Spaces {
		if Spaces[i].Bucketed {
			spaces = append(spaces, &Spaces[i])
		}
	}
	return spaces
}
