// Package record lays out the bytes of the store: keys, records, and the
// operands that change a record or the ledger without rewriting it. Everything
// here is persisted; every layout carries a version.
//
// A key's first byte is its Space. Records are ordered by bucket and then by
// session key. The store's own values sort before them, so that dropping a
// prefix of buckets never touches them.
package record

import (
	"encoding/binary"
	"errors"

	"cairn/ttl"
)

// ErrCorrupt says that bytes are not what this package writes.
var ErrCorrupt = errors.New("record: malformed bytes")

const (
	metaPrefix = 'c'
	dataPrefix = 'd'

	// KeyOverhead is the number of bytes in front of the session key.
	KeyOverhead = 1 + 4
)

// Keys of the store's own values.
var (
	LedgerKey = []byte("c/ledger") // a Ledger, changed by merging
	FlushKey  = []byte("c/flush")  // the instant of a pending flush
)

// NoteStart and NoteEnd bound what entries of an external log have noted:
// [NoteStart, NoteEnd).
var (
	NoteStart = []byte("c/note/")
	NoteEnd   = []byte("c/note0")
)

// AppendNoteKey appends the key of a note to dst.
func AppendNoteKey(dst, key []byte) []byte { return append(append(dst, NoteStart...), key...) }

// DataStart and DataEnd bound all records: [DataStart, DataEnd).
var (
	DataStart = []byte{dataPrefix}
	DataEnd   = []byte{dataPrefix + 1}
)

// AppendKey appends the key of a record to dst.
func AppendKey(dst []byte, bucket ttl.Bucket, key []byte) []byte {
	dst = append(dst, dataPrefix)
	dst = binary.BigEndian.AppendUint32(dst, uint32(bucket))
	return append(dst, key...)
}

// SplitKey takes the key of a record apart; ok is false if it is no such key.
// The session key aliases k.
func SplitKey(k []byte) (bucket ttl.Bucket, key []byte, ok bool) {
	if len(k) < KeyOverhead || k[0] != dataPrefix {
		return 0, nil, false
	}
	return ttl.Bucket(binary.BigEndian.Uint32(k[1:])), k[KeyOverhead:], true
}

// PutKey writes the key of a record into dst, which must be KeyOverhead plus
// len(key) bytes long.
func PutKey(dst []byte, bucket ttl.Bucket, key []byte) {
	dst[0] = dataPrefix
	binary.BigEndian.PutUint32(dst[1:], uint32(bucket))
	copy(dst[KeyOverhead:], key)
}
