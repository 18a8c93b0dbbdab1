package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// What the cache said of a key may be older than what the disk shows. If the
// record has moved to a higher bucket meanwhile, the copy that it left behind is
// among those that a delete has to find.
func TestFetchDeepFindsWhatTheCacheIsBehind(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	want(t, s, session.OK, set(s, "k", "v", 10*time.Minute))
	b := s.newBurst(s.Now())
	defer b.release()
	b.fetching = true
	b.begin()
	slot := b.slot([]byte("k"), true)
	want(t, s, session.OK, set(s, "k", "v", 24*time.Hour))
	b.fetchDeep(slot)
	if !slot.deep || len(slot.copies) != 2 || !slices.Contains(slot.copies, slot.before.bucket) {
		t.Errorf("copies in %v (known: %v), want two, one of them in %d", slot.copies, slot.deep, slot.before.bucket)
	}
}

// A burst leaves its batch once to have a key looked for that is not in the
// cache, and once to have the older copies of one found that it deletes.
func TestDeferredBurstsAreCounted(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	for i, step := range []struct {
		c        session.Command
		deferred int64
	}{
		{set(s, "k", "v", 10*time.Minute), 1}, {set(s, "k", "v", 24*time.Hour), 1}, {op(session.OpDelete, "k"), 2},
	} {
		want(t, s, session.OK, step.c)
		if n := s.Figures().Deferred; n != step.deferred {
			t.Errorf("%d bursts were deferred after command %d, want %d", n, i, step.deferred)
		}
	}
}
