package engine

import (
	"bytes"
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/processors"
	"cairn/session"
	"cairn/ttl"
)

// The owner index. Two rules:
//
//   - U1: a record with an owner has an entry in its own bucket, which the batch
//     that put the record there has written.
//   - U2: an entry need not have a record. Who reads the index looks at the record
//     then: is it live, and still the owner's? So answers are exact, and the index
//     only says where to look.
//
// An entry is written only if the owner or the bucket is another than before: that
// is at a login, and once for each bucket in which the session stands. What is left
// in lower buckets dies with them.

// bucketed are the spaces with buckets that the store may have keys in.
func (s *Store) bucketed() []*record.Space {
	spaces := record.Bucketed()
	if s.files.features.load()&ownerIndex != 0 {
		return spaces
	}
	return slices.DeleteFunc(spaces, func(space *record.Space) bool { return space.Prefix == record.Owners.Prefix })
}

// belongsTo returns the owner of the item, empty if it has none.
func (e *entry) belongsTo() []byte {
	if len(e.ext) == 0 {
		return nil
	}
	x, _ := record.DecodeExtension(e.ext)
	return x.Owner
}

// indexOwner keeps U1 for a slot whose record goes to target; 0: there is none any
// more.
func (b *burst) indexOwner(batch *pebble.Batch, s *slot, target ttl.Bucket) {
	if len(s.before.ext) == 0 && len(s.after.ext) == 0 {
		return
	}
	before, after, stands := s.before.belongsTo(), s.after.belongsTo(), s.before.stands(b.now)
	same := bytes.Equal(before, after)
	if len(before) > 0 && stands != 0 && (!same || stands > target) {
		op := batch.DeleteDeferred(record.OwnerKeyOverhead + len(before) + len(s.key))
		record.PutOwnerKey(op.Key, stands, before, s.key)
		b.must(op.Finish())
	}
	if len(after) > 0 && (!same || stands != target) {
		op := batch.SetDeferred(record.OwnerKeyOverhead+len(after)+len(s.key), 0)
		record.PutOwnerKey(op.Key, target, after, s.key)
		b.must(op.Finish())
	}
}

// indexed reports whether e, which has an owner and stands in bucket, is in the index.
func (s *Store) indexed(e *entry, bucket ttl.Bucket) (found bool, err error) {
	owner := e.belongsTo()
	key := make([]byte, record.OwnerKeyOverhead+len(owner)+len(e.key))
	record.PutOwnerKey(key, bucket, owner, e.key)
	// By an iterator, for the filters of tables do not have the keys of this space.
	iter, err := s.files.db.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: append(bytes.Clone(key), 0)})
	if err != nil {
		return false, err
	}
	found = iter.First()
	return found, iter.Close()
}

// ScanOwner is session.Owned's. Pages are read as with Scan.
func (s *Store) ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(it *session.Item) bool) error {
	if len(owner) == 0 || len(owner) > session.MaxOwnerLen {
		return nil
	}
	prefix := record.AppendOwner(nil, owner)
	from := prefix
	if after != nil {
		from = append(slices.Concat(prefix, after), 0)
	}
	_, err := s.scanIndex(ctx, prefix, from, values, func(e *entry) bool { return fn(s.scanned(e)) })
	return err
}

// ScanOwners is session.Owned's. Pages are read as with Scan.
func (s *Store) ScanOwners(ctx context.Context, prefix, after []byte, fn func(o *session.OwnerSummary) bool) error {
	for n := max(len(prefix), len(after), 1); n <= session.MaxOwnerLen; n++ {
		within := append([]byte{byte(n)}, prefix...)
		from := within
		if len(after) == n {
			if behind := behindPrefix(record.AppendOwner(nil, after)); bytes.Compare(behind, from) > 0 {
				from = behind
			}
		}
		var sum session.OwnerSummary
		told := func() bool { return sum.Sessions == 0 || fn(&sum) }
		going, err := s.scanIndex(ctx, within, from, false, func(e *entry) bool {
			if owner := e.belongsTo(); !bytes.Equal(owner, sum.Owner) {
				if !told() {
					return false
				}
				sum = session.OwnerSummary{Owner: owner}
			}
			sum.Add(s.scanned(e))
			return true
		})
		if err != nil || !going || !told() {
			return err
		}
	}
	return nil
}

// scanIndex calls fn for the live items of the entries that begin with prefix, from
// `from` on, and reports whether it came to the end of those.
func (s *Store) scanIndex(ctx context.Context, prefix, from []byte, values bool, fn func(e *entry) bool) (ended bool, err error) {
	processors.Begin()
	defer processors.End()
	for from != nil {
		p, err := s.readOwned(ctx, prefix, from, values)
		if err == nil {
			err = s.settleLog()
		}
		if err != nil {
			return false, err
		}
		for _, e := range p.items {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			if !fn(e) {
				return false, nil
			}
		}
		from = p.next
	}
	return true, nil
}

// readOwned reads a page of the live items of index entries.
func (s *Store) readOwned(ctx context.Context, prefix, from []byte, values bool) (p page, err error) {
	now := s.readClock()
	if !s.doors.enter() {
		return p, session.ErrClosed
	}
	defer s.doors.leave()
	found, next, err := s.readIndex(ctx, prefix, from)
	if err != nil || len(found) == 0 {
		return p, err
	}
	p.next = next
	b := s.newBurst(now)
	defer b.release()
	b.begin()
	b.admitted = true // as many bytes as there are; a page is bounded
	size := 0
	for _, rest := range found {
		if err := ctx.Err(); err != nil {
			return page{}, err
		}
		if size >= pageBytes {
			p.next = rest
			break
		}
		owner, key, ok := record.SplitOwner(rest)
		if !ok {
			return page{}, s.corrupt(rest, record.ErrCorrupt)
		}
		e, err := b.owned(key, values)
		if err != nil {
			return page{}, err
		}
		if e.live(now) && bytes.Equal(e.belongsTo(), owner) {
			p.items = append(p.items, e)
			size += len(e.key) + len(e.value)
		}
	}
	return p, nil
}

// owned returns the present state of a key, with copies of its bytes.
func (b *burst) owned(key []byte, value bool) (*entry, error) {
	cached := new(entry)
	if b.store.memory.hot.peek(cached, key, b.epoch) {
		cached.mark = nil // what is found here is no use of it
		if !value {
			cached.value, cached.unread = nil, uint32(len(cached.value))
		}
		return cached, nil
	}
	e, err := b.locate(key, value)
	if err == nil && !value {
		e.value, e.unread = nil, uint32(e.valueLen())
	}
	return e, err
}

// readIndex reads a page of entries: what their keys have behind the bucket, each
// once, ascending; next is where the page after it begins, nil if there is none.
func (s *Store) readIndex(ctx context.Context, prefix, from []byte) (found [][]byte, next []byte, err error) {
	if s.files.features.load()&ownerIndex == 0 {
		return nil, nil, nil
	}
	m, err := s.newMerged(record.Owners, prefix, from)
	defer func() {
		if closeErr := m.close(); err == nil {
			err = s.readError(closeErr)
		}
	}()
	if err != nil {
		return nil, nil, s.readError(err)
	}
	for c := m.least(); c != nil; c = m.least() {
		if len(found) == pageItems {
			next = bytes.Clone(c.key)
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		found = append(found, bytes.Clone(c.key))
		m.skip(c.key)
	}
	return found, next, m.err()
}
