package engine

import (
	"sync/atomic"
	"unsafe"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// entry is what is known about one key: its newest record, decoded, or that it
// has none. Everything but access is immutable once the entry is shared, so
// results may alias its bytes for as long as they like.
type entry struct {
	key      string
	value    []byte
	flags    uint32
	stale    bool
	claimed  bool
	borrowed bool // value is a command's: the entry ends with the burst
	version  uint64
	expiry   session.Time

	// bucket is where the newest copy stands; 0: no live bucket holds the key.
	// A copy without a record (see record.Decode) has an expiry of 0.
	bucket ttl.Bucket

	// under bounds the older copies: all of them stand in this bucket or
	// below. 0: there are none.
	under ttl.Bucket

	ticket uint64 // the batch that made this so; a read must not outrun it
	epoch  uint32 // flushes seen; an entry of an earlier epoch is void

	// unread is the length of a value that was left on disk, or that cannot be
	// decoded. Such an entry ends with the burst, too; see large.go.
	unread uint32

	// access is when the item was last read or stored, in milliseconds, times
	// two, plus one if it was read since it was stored.
	access atomic.Uint64
}

// unplaced stands for the bucket of an entry that no batch has placed yet.
const unplaced ttl.Bucket = 1

// live reports whether the key holds an item at now.
func (e *entry) live(now session.Time) bool { return e.bucket != 0 && now < e.expiry }

// stands gives the bucket of the newest copy if that bucket still lives.
func (e *entry) stands(now session.Time) ttl.Bucket {
	if e.bucket.Dead(now) {
		return 0
	}
	return e.bucket
}

// size is what the item counts in the ledger, in bytes.
func (e *entry) size() int64 { return int64(len(e.key)+len(e.value)) + int64(e.unread) }

// newEntry makes an entry with copies of key and value.
func newEntry(key, value []byte) *entry {
	e := newBlank(key, len(value))
	copy(e.value, value)
	return e
}

// newBlank makes an entry with a copy of key and a value of n bytes to be
// filled in.
func newBlank(key []byte, n int) *entry {
	buf := make([]byte, len(key)+n)
	copy(buf, key)
	return &entry{key: borrow(buf[:len(key)]), value: buf[len(key):len(buf):len(buf)]}
}

// derive makes an entry with the same item, to be changed before it is shared.
// Key and value are shared.
func (e *entry) derive() *entry {
	d := &entry{
		key: e.key, value: e.value, flags: e.flags,
		stale: e.stale, claimed: e.claimed,
		version: e.version, expiry: e.expiry,
		borrowed: e.borrowed, unread: e.unread,
	}
	d.access.Store(e.access.Load())
	return d
}

// sameBody reports whether e and o differ in nothing that a patch cannot
// change.
func (e *entry) sameBody(o *entry) bool {
	return len(e.value) == len(o.value) && e.unread == o.unread && e.flags == o.flags &&
		unsafe.SliceData(e.value) == unsafe.SliceData(o.value)
}

// describe fills in all of it but Key and Value.
func (e *entry) describe(it *session.Item) {
	access := e.access.Load()
	it.Flags = e.flags
	it.Version = e.version
	it.Expiry = e.expiry
	it.Stale = e.stale
	it.Claimed = e.claimed
	it.Fetched = access&1 != 0
	it.LastAccess = session.Time(access >> 1)
}

// stored notes that the item was stored at now.
func (e *entry) stored(now session.Time) { e.access.Store(uint64(max(now, 0)) << 1) }

// read notes that the item was read at now.
func (e *entry) read(now session.Time) {
	if access := uint64(max(now, 0))<<1 | 1; e.access.Load() != access {
		e.access.Store(access)
	}
}

// header is how the entry's item is stored without compression.
func (e *entry) header() record.Header {
	return record.Header{
		Codec: record.Raw, Stale: e.stale, Claimed: e.claimed,
		Flags: e.flags, Version: e.version, Expiry: e.expiry,
		RawLen: uint32(len(e.value)),
	}
}

// patchFrom gives the patch that turns the record of o into that of e; the two
// have the same body.
func (e *entry) patchFrom(o *entry) (p record.Patch) {
	if e.expiry != o.expiry {
		p.SetExpiry(e.expiry)
	}
	if e.version != o.version {
		p.SetVersion(e.version)
	}
	if e.stale != o.stale {
		p.SetStale(e.stale)
	}
	if e.claimed != o.claimed {
		p.SetClaimed(e.claimed)
	}
	return p
}
