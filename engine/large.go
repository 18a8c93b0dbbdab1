package engine

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"

	"cairn/session"
)

// Of a large value there should be as few copies at a time as possible: the
// command's, and the one in the batch. It is not read from disk unless a command
// asks for it, and not kept in buffers that are used again.

const (
	// defaultLargeValue is the length in bytes from which on a value is large.
	defaultLargeValue = 64 << 10

	// largeShare is the part of the cache that a large value may take: one in
	// so many. A few of them must not drive out what the cache is for.
	largeShare = 128

	// pooledBatch is the size in bytes up to which Pebble uses the memory of
	// batches again.
	pooledBatch = 1 << 20

	// batchSlack is what a change takes in a batch besides key and value, in
	// bytes: headers, the deletes of older copies, the ledger.
	batchSlack = 2 << 10
)

// keeps reports whether values of n bytes may be in the cache.
func (h *hotEntries) keeps(n int) bool {
	return n < h.large || int64(n) <= h.cache.Capacity()/largeShare
}

// unreadEntry makes an entry for an item whose value of n bytes is left on disk.
func unreadEntry(key []byte, n uint32) *entry {
	e := newEntry(key, nil)
	e.unread = n
	return e
}

// needsValue reports whether the command looks at the value that is there.
func needsValue(c *session.Command) bool {
	switch c.Op {
	case session.OpGet, session.OpAppend, session.OpPrepend, session.OpIncr, session.OpDecr:
		return true
	}
	return false
}

// readValue reads the value of the slot's item if it was left on disk. The
// stripe of the key is locked.
func (b *burst) readValue(s *slot) error {
	if s.after.unread == 0 {
		return nil
	}
	e, err := b.locate(s.key, true)
	if err != nil {
		return err
	}
	// Nothing else was stored since, or there would be nothing to read.
	for _, old := range []*entry{s.before, s.after} {
		old.value, old.unread = e.value, 0
	}
	return nil
}

// newBatch makes the batch for the burst. Left alone, a batch doubles in size
// until all is in; one for large values gets what they need at once.
func (b *burst) newBatch() *pebble.Batch {
	batch := b.store.files.db.NewBatch()
	size := 0
	for i := range b.slots {
		s := &b.slots[i]
		if s.after != s.before && len(s.after.value) >= b.store.options.largeValue && !patches(s, b.place(s)) {
			size += batchSlack + len(s.after.value)
		}
	}
	if size > pooledBatch {
		b.must(batch.SetRepr(make([]byte, batchrepr.HeaderLen, batchSlack+size)))
	}
	return batch
}

// trimBatch takes the bytes from a large batch that has been applied and waits
// for the disk: the log and the memtable have copies.
func (s *Store) trimBatch(batch *pebble.Batch) {
	if batch.Len() > pooledBatch {
		if err := batch.SetRepr(make([]byte, batchrepr.HeaderLen)); err != nil {
			s.fatal(err)
		}
	}
}
