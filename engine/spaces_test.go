package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/record"
	"cairn/session"
	"cairn/session/sessiontest"
	"cairn/ttl"
)

// anotherSpace adds a space to the table for the time of a test.
func anotherSpace(t *testing.T) *record.Space {
	before := record.Spaces
	t.Cleanup(func() { record.Spaces = before })
	record.Spaces = append(before[:len(before):len(before)], record.Space{Name: "test", Prefix: 'v', Bucketed: true})
	return &record.Spaces[len(before)]
}

// putIn stores a key in a bucket of a space, as a burst would do it.
func putIn(t *testing.T, s *Store, space *record.Space, bucket ttl.Bucket, key string) {
	t.Helper()
	s.memory.buckets.add(bucket)
	if err := s.files.db.Set(append(space.AppendBucket(nil, bucket), key...), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// keysIn returns how many keys of a space are on the disk.
func keysIn(t *testing.T, s *Store, space *record.Space) (n int) {
	t.Helper()
	start, end := space.Bounds()
	iter, err := s.files.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		t.Fatal(err)
	}
	for ok := iter.First(); ok; ok = iter.Next() {
		n++
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// A row in record.Spaces is all that it takes for keys that live with their
// bucket: it is found at a start, dropped when it is dead and emptied by a flush.
func TestAnotherSpaceIsOneRow(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	s := openStore(t, o)
	space := anotherSpace(t)
	soon, late := ttl.For(s.Now().Add(time.Hour), s.Now()), ttl.For(s.Now().Add(50*time.Hour), s.Now())
	for i := range 100 {
		putIn(t, s, space, soon, fmt.Sprint("a", i))
		putIn(t, s, space, late, fmt.Sprint("b", i))
	}
	want(t, s, session.OK, set(s, "k", "v", 50*time.Hour))
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	levels, err := s.files.db.SSTables(pebble.WithProperties())
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range levels {
		for _, table := range level {
			first, last := table.Smallest.UserKey, table.Largest.UserKey
			if a, _ := space.Bucket(first); first[0] == space.Prefix {
				if b, ok := space.Bucket(last); !ok || a != b {
					t.Errorf("a table reaches from %q to %q", first, last)
				}
				if table.Properties.FilterSize > 64 {
					t.Errorf("a filter of %d bytes for keys that are not filtered", table.Properties.FilterSize)
				}
			}
		}
	}
	checkAndClose(t, s)

	s = openStore(t, o)
	if list := s.memory.buckets.all(); len(list) != 2 {
		t.Errorf("buckets %v, want two", list)
	}
	clock.Advance(3 * time.Hour)
	sweep(t, s)
	if n := keysIn(t, s, space); n != 100 {
		t.Errorf("%d keys after a drop, want 100", n)
	}
	if stats := tablesOf(s).Buckets; len(stats) != 1 {
		t.Errorf("buckets %+v", stats)
	}
	want(t, s, session.OK, session.Command{Op: session.OpFlush})
	if n := keysIn(t, s, space); n != 0 {
		t.Errorf("%d keys after a flush", n)
	}
}

// A check finds keys that are of no space.
func TestCheckFindsForeignKeys(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	s := openStore(t, o)
	space := anotherSpace(t)
	putIn(t, s, space, ttl.Forever, "a")
	checkAndClose(t, s)
	checkStore(t, o)
	record.Spaces = record.Spaces[:len(record.Spaces)-1]
	var problems []string
	if err := Check(o, func(p Problem) { problems = append(problems, p.String()) }); err != nil {
		t.Fatal(err)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "no kind that is known") {
		t.Errorf("problems %q", problems)
	}
}
