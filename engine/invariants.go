package engine

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// What must always be true is checked in builds with the tag cairn_invariants,
// at the places that could break it. All calls stand behind Invariants, a
// constant, so that other builds do not have them at all.

// broken ends the process.
func (s *Store) broken(format string, args ...any) {
	s.fatal(fmt.Errorf("engine: an invariant is broken: "+format, args...))
}

// checkPlaced checks the writes of one slot before they are applied: I1 (what
// stays of the key stands below its newest record), I2 (it expires before its
// bucket's deadline), and that its bucket has been named.
func (b *burst) checkPlaced(s *slot, doomed []ttl.Bucket) {
	target := s.after.bucket
	if target == 0 {
		return
	}
	switch stands := s.before.stands(b.now); {
	case stands > target && !slices.Contains(doomed, stands):
		b.store.broken("key %q: a record in bucket %d stays above its successor in %d", s.key, stands, target)
	case s.after.under >= target:
		b.store.broken("key %q: older copies reach bucket %d, the newest stands in %d", s.key, s.after.under, target)
	case target != ttl.Forever && s.after.expiry >= target.Deadline():
		b.store.broken("key %q expires at %d in bucket %d, which dies at %d", s.key, s.after.expiry, target, target.Deadline())
	case !slices.Contains(b.store.memory.buckets.all(), target):
		b.store.broken("key %q is written into bucket %d, which the list does not name", s.key, target)
	}
}

// checkTicket checks that batches that change keys of a stripe have ascending
// tickets. The stripe is locked, or nobody else works.
func (s *Store) checkTicket(stripe uint32, ticket uint64) {
	if last := s.memory.stripes.of(stripe).ticket.Load(); last > ticket {
		s.broken("batch %d follows batch %d", ticket, last)
	}
}

// check tells what is wrong with the ledger in which minute; "" if nothing is.
// l.mu is held.
func (l *ledger) check(slots []record.Slot) string {
	if l.items < 0 || l.bytes < 0 {
		return fmt.Sprintf("the ledger counts %d items of %d bytes", l.items, l.bytes)
	}
	for _, changed := range slots {
		day := l.days[dayOf(changed.Minute)]
		if day == nil {
			continue
		}
		for _, slot := range day.Slots {
			if slot.Minute == changed.Minute && (slot.Items < 0 || slot.Bytes < 0) {
				return fmt.Sprintf("the ledger counts %d items of %d bytes in minute %d", slot.Items, slot.Bytes, slot.Minute)
			}
		}
	}
	return ""
}

// checkedItems bounds the items that checkNewest looks at.
const checkedItems = 1000

// checkNewest checks I1 on the disk for items that are in the cache: the highest
// living bucket that holds the key holds the newest record. Nobody else works on
// the store. What cannot be read is not checked.
func (s *Store) checkNewest() {
	if s.memory.hot == nil {
		return
	}
	iter, err := s.files.db.NewIter(&pebble.IterOptions{LowerBound: record.DataStart, UpperBound: record.DataEnd})
	if err != nil {
		return
	}
	defer func() { _ = iter.Close() }() // only read
	now, epoch, n := s.horizon.latest(), s.flushes.epoch.Load(), 0
	for key, cached := range s.memory.hot.cache.All() {
		if n++; n > checkedItems || iter.Error() != nil {
			return
		}
		if e := (&entry{facts: cached.Facts, key: []byte(key)}); e.epoch == epoch {
			s.checkOnDisk(iter, e, now)
		}
	}
}

func (s *Store) checkOnDisk(iter *pebble.Iterator, e *entry, now session.Time) {
	for _, bucket := range s.memory.buckets.live(now) {
		at := record.AppendKey(nil, bucket, e.key)
		if !iter.SeekGE(at) || string(iter.Key()) != string(at) {
			if iter.Error() != nil {
				return
			}
			continue
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return
		}
		h, _, _, err := record.Decode(value)
		if err == nil && (bucket != e.stands(now) || h.Version != e.version || h.Expiry != e.expiry) {
			s.broken("key %q: the newest record is version %d in bucket %d; version %d stands in bucket %d",
				e.key, e.version, e.stands(now), h.Version, bucket)
		}
		return
	}
	if e.stands(now) != 0 {
		s.broken("key %q: no bucket has the record that should be in %d", e.key, e.bucket)
	}
}
