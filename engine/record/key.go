// Package record lays out the bytes of the store: keys, records, and the
// operands that change a record or the ledger without rewriting it. Everything
// here is persisted; every layout carries a version.
//
// Keys under the first byte 'd' are records, ordered by bucket and then by
// session key. Keys under 'c' are the store's own; they sort before all
// records, so that dropping a prefix of buckets never touches them.
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

// DataStart and DataEnd bound all records: [DataStart, DataEnd).
var (
	DataStart = []byte{dataPrefix}
	DataEnd   = []byte{dataPrefix + 1}
)

// AppendKey appends the key of a record to dst.
func AppendKey(dst []byte, bucket ttl.Bucket, key []byte) []byte {
	return append(AppendBucket(dst, bucket), key...)
}

// AppendBucket appends the prefix that all keys of a bucket share to dst.
func AppendBucket(dst []byte, bucket ttl.Bucket) []byte {
	dst = append(dst, dataPrefix)
	return binary.BigEndian.AppendUint32(dst, uint32(bucket))
}

// AppendBucketEnd appends the first key behind all keys of a bucket to dst.
func AppendBucketEnd(dst []byte, bucket ttl.Bucket) []byte {
	if bucket == ttl.Forever {
		return append(dst, DataEnd...)
	}
	return AppendBucket(dst, bucket+1)
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

// IsMeta reports whether k is a key of the store's own.
func IsMeta(k []byte) bool { return len(k) > 0 && k[0] == metaPrefix }
