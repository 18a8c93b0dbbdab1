package engine

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/processors"
	"cairn/session"
	"cairn/ttl"
)

// A page of a scan ends with the first record that fills either of these, live
// or not.
const (
	pageItems = 512
	pageBytes = 1 << 20
)

// Scan calls fn for live items whose keys begin with prefix and come after
// `after` (nil: all of them), keys ascending, until fn returns false or ctx is
// done. The item is valid only during the call. Scan blocks nobody, however
// slow fn is: it reads the items page by page, each page as of one moment. So
// an item that lives through the whole scan is seen exactly once.
// Like any reader it shows nothing that a power cut could take back.
func (s *Store) Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error {
	processors.Begin()
	defer processors.End()
	from := append([]byte{}, prefix...) // never nil, which would end the scan
	if bytes.Compare(after, prefix) >= 0 && after != nil {
		from = append(bytes.Clone(after), 0)
	}
	for from != nil {
		page, err := s.readPage(ctx, prefix, from)
		if err == nil {
			err = s.settleLog()
		}
		if err != nil {
			return err
		}
		for _, e := range page.items {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !fn(s.scanned(e)) {
				return nil
			}
		}
		from = page.next
	}
	return nil
}

// scanned returns e as fn sees it, with what only the cache knows.
func (s *Store) scanned(e *entry) *session.Item {
	var cached entry
	if s.memory.hot.peek(&cached, e.key, s.flushes.epoch.Load()) && cached.version == e.version {
		e.access = cached.access
	}
	it := &session.Item{Key: e.key, Value: e.value}
	e.describe(it)
	return it
}

// page is a run of live items; next is where the page after it begins, nil if
// there is none.
type page struct {
	items []*entry
	next  []byte
}

func (s *Store) readPage(ctx context.Context, prefix, from []byte) (p page, err error) {
	now := s.readClock()
	if !s.doors.enter() {
		return p, session.ErrClosed
	}
	defer s.doors.leave()
	m, err := s.newMerged(records, prefix, from)
	defer func() {
		if closeErr := m.close(); err == nil {
			err = s.readError(closeErr)
		}
	}()
	if err != nil {
		return p, s.readError(err)
	}
	n, size := 0, 0
	for c := m.least(); c != nil; c = m.least() {
		if n == pageItems || size >= pageBytes {
			p.next = bytes.Clone(c.key)
			break
		}
		if err := ctx.Err(); err != nil {
			return p, err
		}
		e, err := m.entry(c)
		if err != nil {
			return p, err
		}
		n, size = n+1, size+len(e.key)+len(e.value)
		if e.expiry > now {
			p.items = append(p.items, e)
		}
		m.skip(c.key)
	}
	return p, m.err()
}

// records is the space of records.
var records = record.SpaceOf(record.DataStart)

// merged iterates over the keys of all live buckets of a space at once.
type merged struct {
	store   *Store
	cursors []*cursor // newest bucket first
	keyBuf  []byte
}

// cursor is the position in one bucket.
type cursor struct {
	iter   *pebble.Iterator
	bucket ttl.Bucket
	key    []byte // what stands behind the bucket: a record's session key; nil: at the end
}

// newMerged places a cursor in each live bucket, at from or after it. The result
// must be closed even if there is an error.
func (s *Store) newMerged(space *record.Space, prefix, from []byte) (m *merged, err error) {
	m = &merged{store: s}
	snapshot, buckets, err := s.view()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	for _, bucket := range buckets {
		lower := append(space.AppendBucket(nil, bucket), prefix...)
		iter, err := snapshot.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{
			LowerBound: lower, UpperBound: behindPrefix(lower),
		}})
		if err != nil {
			return m, err
		}
		c := &cursor{iter: iter, bucket: bucket}
		m.cursors = append(m.cursors, c)
		c.settle(iter.SeekGE(append(space.AppendBucket(nil, bucket), from...)))
	}
	return m, nil
}

// view returns the present state of Pebble and the live buckets in it.
func (s *Store) view() (*pebble.Iterator, []ttl.Bucket, error) {
	s.doors.gate.RLock() // a flush empties the list before it empties the store
	defer s.doors.gate.RUnlock()
	snapshot, err := s.files.db.NewIter(nil)
	// The list is read after the iterator was made: writers name a bucket
	// before they write into it.
	return snapshot, s.memory.buckets.live(s.horizon.latest()), err
}

// behindPrefix is the first key behind all that begin with prefix. There is one
// because no space begins with 0xFF.
func behindPrefix(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for end[len(end)-1] == 0xFF {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

// settle notes where a move of the iterator has led; ok is what it returned.
func (c *cursor) settle(ok bool) {
	c.key = nil
	if ok {
		c.key = c.iter.Key()[record.KeyOverhead:]
	}
}

// least returns the cursor with the least key, the newest bucket's if several
// have it; nil at the end.
func (m *merged) least() (least *cursor) {
	for _, c := range m.cursors {
		if c.key != nil && (least == nil || bytes.Compare(c.key, least.key) < 0) {
			least = c
		}
	}
	return least
}

// entry decodes the record at c.
func (m *merged) entry(c *cursor) (*entry, error) {
	value, err := c.iter.ValueAndErr()
	if err != nil {
		return nil, m.store.readError(err)
	}
	return m.store.decode(bytes.Clone(c.key), value, true)
}

// skip moves all cursors past key.
func (m *merged) skip(key []byte) {
	m.keyBuf = append(m.keyBuf[:0], key...)
	for _, c := range m.cursors {
		if c.key != nil && bytes.Equal(c.key, m.keyBuf) {
			c.settle(c.iter.Next())
		}
	}
}

// err tells why a cursor is at its end, if not because nothing is left.
func (m *merged) err() error {
	for _, c := range m.cursors {
		if err := c.iter.Error(); err != nil {
			return m.store.readError(err)
		}
	}
	return nil
}

func (m *merged) close() (err error) {
	for _, c := range m.cursors {
		err = errors.Join(err, c.iter.Close())
	}
	return err
}
