package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/record"
	"cairn/session"
	"cairn/session/sessiontest"
)

// owned returns the keys that the index finds for an owner.
func owned(t *testing.T, s *Store, owner string) (keys []string) {
	t.Helper()
	err := s.ScanOwner(context.Background(), []byte(owner), nil, false, func(it *session.Item) bool {
		keys = append(keys, string(it.Key))
		return true
	})
	if err != nil {
		t.Error(err)
	}
	return keys
}

// A session costs one entry for each bucket that it comes into, touches included,
// and none for a store or a touch within it.
func TestOwnersAreIndexedOncePerBucket(t *testing.T) {
	clock := sessiontest.NewClock()
	s := openStore(t, testOptions(t, vfs.NewMem(), clock))
	touch := func() {
		c := op(session.OpTouch, "k")
		c.Expiry = s.Now().Add(time.Hour)
		want(t, s, session.OK, c)
	}
	entries := func() int { return keysIn(t, s, record.Owners) }
	for i := range 10 {
		want(t, s, session.OK, trackedSet(s, "k", fmt.Sprint(i), "ann"))
		touch()
	}
	if n := entries(); n != 1 {
		t.Errorf("%d entries after stores into one bucket", n)
	}
	for range 3 {
		clock.Advance(16 * time.Minute)
		touch()
	}
	if n := entries(); n != 4 {
		t.Errorf("%d entries after three more buckets", n)
	}
	clock.Advance(58 * time.Minute)
	sweep(t, s)
	if n := entries(); n != 1 {
		t.Errorf("%d entries after a sweep", n)
	}
	if keys := owned(t, s, "ann"); !slices.Equal(keys, []string{"k"}) {
		t.Errorf("keys %q", keys)
	}
	want(t, s, session.OK, op(session.OpDelete, "k"))
	if n := entries(); n != 0 {
		t.Errorf("%d entries after the delete", n)
	}
	checkAndClose(t, s)
}

// Without owners nothing is written but what was written before there were any.
func TestNoOwnerNoIndex(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	for i := range 10 {
		want(t, s, session.OK, trackedSet(s, fmt.Sprint("k", i), "v", ""))
	}
	want(t, s, session.OK, session.Command{Op: session.OpFlush})
	if n := len(s.bucketed()); n != 1 {
		t.Errorf("%d spaces of buckets in use, want 1", n)
	}
	if n := keysIn(t, s, record.Owners); n != 0 || s.files.features.load()&ownerIndex != 0 {
		t.Errorf("%d entries, features %b", n, s.files.features.load())
	}
	if keys := owned(t, s, "ann"); keys != nil {
		t.Errorf("keys %q", keys)
	}
	checkAndClose(t, s)
}

// A check finds a session that is missing in the index, and an entry that is none.
// An entry without a session is as it should be.
func TestCheckFindsWrongIndex(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	s := openStore(t, o)
	want(t, s, session.OK, trackedSet(s, "k", "v", "ann"))
	want(t, s, session.OK, trackedSet(s, "l", "v", "ann"))
	bucket := s.memory.buckets.all()[0]
	entry := func(owner, key string) []byte {
		k := make([]byte, record.OwnerKeyOverhead+len(owner)+len(key))
		record.PutOwnerKey(k, bucket, []byte(owner), []byte(key))
		return k
	}
	if err := s.files.db.Set(entry("bob", "k"), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if keys := owned(t, s, "bob"); keys != nil {
		t.Errorf("bob has %q", keys)
	}
	checkAndClose(t, s)
	checkStore(t, o)

	s = openStore(t, o)
	if err := s.files.db.Delete(entry("ann", "k"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.files.db.Set(entry("", "k"), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var problems []string
	if err := Check(o, func(p Problem) { problems = append(problems, p.String()) }); err != nil {
		t.Fatal(err)
	}
	if len(problems) != 2 || !strings.Contains(problems[0], `"k" is missing`) || !strings.Contains(problems[1], "malformed entry") {
		t.Errorf("problems %q", problems)
	}
}
