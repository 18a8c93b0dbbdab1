package engine

import (
	"bytes"
	"unsafe"

	"cairn/engine/hot"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// entry is what a burst knows about one key: its newest record, decoded, or that
// it has none. Its bytes are the command's, those of the cache or a copy from
// disk. Nothing of it but access changes once another can see it, and it ends
// with the burst.
type entry struct {
	facts
	key   []byte
	value []byte

	// ext is the bytes of the record's extension (see record.Header).
	ext []byte

	// unread is the length of a value that was left on disk, or that cannot be
	// decoded; see large.go.
	unread uint32

	// owner is the number of the request, in its burst, of which a command's
	// bytes are the value; 0: none. They are gone when that request is complete,
	// so results of others get a copy.
	owner int32

	// frame is the value in the form that came with the command; nil: none did.
	frame *session.Frame

	// access is when the item was last read or stored, in milliseconds, times
	// two, plus one if it was read since it was stored. It is also the mark of
	// the item in the cache, if it is there.
	access uint64
	mark   *hot.Mark
}

// facts are what the cache keeps of an entry besides key, value and access.
type facts struct {
	version uint64
	expiry  session.Time

	// bucket is where the newest copy stands; 0: no live bucket holds the key.
	// A copy without a record (see record.Decode) has an expiry of 0.
	bucket ttl.Bucket

	// under bounds the older copies: all of them stand in this bucket or
	// below. 0: there are none.
	under ttl.Bucket

	ticket  uint64 // the batch that made this so; a read must not outrun it
	epoch   uint32 // flushes seen; an entry of an earlier epoch is void
	flags   uint32
	stale   bool
	claimed bool
	extLen  uint8 // what the cache has behind the value: ext
}

// unplaced stands for the bucket of an entry that no batch has placed yet.
const unplaced ttl.Bucket = 1

// live reports whether the key holds an item at now.
func (e *entry) live(now session.Time) bool { return e.bucket != 0 && now < e.expiry }

// stands returns the bucket of the newest copy if that bucket still lives.
func (e *entry) stands(now session.Time) ttl.Bucket {
	if e.bucket.Dead(now) {
		return 0
	}
	return e.bucket
}

// size is what the item counts in the ledger, in bytes.
func (e *entry) size() int64 { return int64(len(e.key) + e.valueLen()) }

// valueLen is the length of the item's value in bytes, wherever that is.
func (e *entry) valueLen() int { return len(e.value) + int(e.unread) }

// newEntry makes an entry that refers to key and value.
func newEntry(key, value []byte) *entry {
	return &entry{key: key, value: value[:len(value):len(value)]}
}

// derive makes an entry with the same item, to be changed.
func (e *entry) derive() *entry {
	d := &entry{key: e.key, value: e.value, ext: e.ext, owner: e.owner, unread: e.unread, frame: e.frame, access: e.access}
	d.flags, d.version, d.expiry = e.flags, e.version, e.expiry
	d.stale, d.claimed = e.stale, e.claimed
	return d
}

// sameBody reports whether e and o differ in nothing that a patch cannot
// change.
func (e *entry) sameBody(o *entry) bool {
	return len(e.value) == len(o.value) && e.unread == o.unread && e.flags == o.flags &&
		unsafe.SliceData(e.value) == unsafe.SliceData(o.value) && string(e.ext) == string(o.ext)
}

// holds reports whether the item has the value and the flags that c would store,
// as far as that is known without the disk.
func (e *entry) holds(c *session.Command) bool {
	return e.unread == 0 && e.flags == c.Flags && bytes.Equal(e.value, c.Value)
}

// born returns the version that the store had when the item's session began.
func (e *entry) born() uint64 {
	if x, ok := record.DecodeExtension(e.ext); ok {
		return x.Born
	}
	return e.version
}

// describe fills in all of it but Key and Value.
func (e *entry) describe(it *session.Item) {
	it.Flags = e.flags
	it.Version = e.version
	it.Born = e.version
	if x, ok := record.DecodeExtension(e.ext); ok {
		it.Born, it.Created, it.Owner = x.Born, x.Created, x.Owner
	}
	it.Expiry = e.expiry
	it.Stale = e.stale
	it.Claimed = e.claimed
	it.Fetched = e.access&1 != 0
	it.LastAccess = session.Time(e.access >> 1)
}

// stored notes that the item was stored at now.
func (e *entry) stored(now session.Time) { e.access = uint64(max(now, 0)) << 1 }

// read notes that the item was read at now.
func (e *entry) read(now session.Time) {
	access := uint64(max(now, 0))<<1 | 1
	if e.access == access {
		return
	}
	e.access = access
	if e.mark != nil {
		e.mark.Store(access)
	}
}

// header is how the entry's item is stored without compression.
func (e *entry) header() record.Header {
	return record.Header{
		Codec: record.Raw, Stale: e.stale, Claimed: e.claimed,
		Flags: e.flags, Version: e.version, Expiry: e.expiry,
		RawLen: uint32(len(e.value)), Ext: e.ext,
	}
}

// patchFrom returns the patch that turns the record of o into that of e; the two
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
