package engine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// checkInvariants checks what must hold between any two bursts:
//
//   - every record expires before its bucket's deadline (I2);
//   - every bucket that holds anything live is in the list;
//   - the newest record of a key stands in its highest bucket (I1), seen as: no
//     lower copy has a higher version that the store handed out;
//   - a newest record with an owner is in the index in its own bucket (U1);
//   - the ledger in memory and the stored one equal a count of the records;
//   - what the cache knows is what the disk holds.
func checkInvariants(t *testing.T, s *Store) {
	t.Helper()
	now := s.horizon.latest()
	newest := make(map[string]*entry)
	want := record.Ledger{Now: now}
	iter, err := s.files.db.NewIter(&pebble.IterOptions{LowerBound: record.DataStart, UpperBound: record.DataEnd})
	if err != nil {
		t.Fatal(err)
	}
	for ok := iter.Last(); ok; ok = iter.Prev() {
		e := checkRecord(t, s, iter, now)
		if e == nil {
			continue
		}
		if above := newest[string(e.key)]; above == nil {
			newest[string(e.key)] = e
			want.Count(ttl.Minute(e.expiry), 1, e.size())
			if len(e.belongsTo()) > 0 {
				if found, err := s.indexed(e, e.bucket); err != nil || !found {
					t.Errorf("key %q of %q is not in the index of owners in bucket %d (error %v)", e.key, e.belongsTo(), e.bucket, err)
				}
			}
		} else if e.version > above.version && e.version < 1<<62 && above.version < 1<<62 && above.version != 0 {
			t.Errorf("key %q: bucket %d holds version %d, above it bucket %d holds %d",
				e.key, e.bucket, e.version, above.bucket, above.version)
		}
	}
	if err := iter.Close(); err != nil {
		t.Error(err)
	}
	checkLedger(t, s, &want)
	checkCache(t, s, newest, now)
}

// checkRecord checks one record; nil if it is in a dead bucket.
func checkRecord(t *testing.T, s *Store, iter *pebble.Iterator, now session.Time) *entry {
	t.Helper()
	bucket, key, ok := record.SplitKey(iter.Key())
	if !ok {
		t.Fatalf("key %q", iter.Key())
	}
	if bucket.Dead(now) {
		return nil
	}
	if !slices.Contains(s.memory.buckets.all(), bucket) {
		t.Errorf("bucket %d is not in the list %v", bucket, s.memory.buckets.all())
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.decode(bytes.Clone(key), value, true)
	if err != nil {
		t.Fatal(err)
	}
	e.bucket = bucket
	if len(e.ext) > 0 && s.files.features.load()&extendedRecords == 0 {
		t.Errorf("key %q has an extended record, of which %s knows nothing", key, formatFile)
	}
	if bucket != ttl.Forever && e.expiry >= bucket.Deadline() {
		t.Errorf("key %q expires at %d, its bucket dies at %d", key, e.expiry, bucket.Deadline())
	}
	return e
}

func checkLedger(t *testing.T, s *Store, want *record.Ledger) {
	t.Helper()
	stored, err := s.loadLedger()
	if err != nil {
		t.Fatal(err)
	}
	stored.Advance(max(want.Now, stored.Now))
	var items, bytes int64
	for _, slot := range want.Slots {
		items += slot.Items
		bytes += slot.Bytes
	}
	gotItems, gotBytes, _ := s.memory.ledger.totals(want.Now)
	if gotItems != items || gotBytes != bytes {
		t.Errorf("ledger counts %d items of %d bytes, the records are %d of %d", gotItems, gotBytes, items, bytes)
	}
	for name, got := range map[string][]record.Slot{"memory": s.memory.ledger.slots(), "disk": stored.Slots} {
		if a, b := slotText(got), slotText(want.Slots); a != b {
			t.Errorf("ledger in %s\n\t%s, counted\n\t%s", name, a, b)
		}
	}
	if highest := s.memory.ledger.version.Load(); stored.Version > highest {
		t.Errorf("stored version %d, highest is %d", stored.Version, highest)
	}
}

func slotText(slots []record.Slot) (text string) {
	for _, slot := range slots {
		if slot.Items != 0 || slot.Bytes != 0 {
			text += fmt.Sprintf("%d:%d/%d ", slot.Minute, slot.Items, slot.Bytes)
		}
	}
	return text
}

func checkCache(t *testing.T, s *Store, newest map[string]*entry, now session.Time) {
	t.Helper()
	if s.memory.hot == nil {
		return
	}
	for key, cached := range s.memory.hot.cache.All() {
		e := &entry{facts: cached.Facts, key: []byte(key), value: cached.Value}
		e.part()
		if e.epoch != s.flushes.epoch.Load() {
			continue
		}
		disk := newest[key]
		if disk == nil {
			disk = &entry{}
		}
		if e.stands(now) != disk.bucket {
			t.Errorf("key %q: cached in bucket %d, stored in %d", key, e.stands(now), disk.bucket)
		}
		if disk.bucket != 0 && (string(e.value) != string(disk.value) || string(e.ext) != string(disk.ext) || e.flags != disk.flags ||
			e.version != disk.version || e.expiry != disk.expiry || e.stale != disk.stale || e.claimed != disk.claimed) {
			t.Errorf("key %q: cached\n\t%+v, stored\n\t%+v", key, e, disk)
		}
	}
}
