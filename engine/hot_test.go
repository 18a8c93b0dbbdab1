package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

func TestSetHotBytesLeavesSessionsOnDisk(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	o.HotBytes = 1 << 20
	store := openStore(t, o)
	const n = 500
	b := new(session.Burst)
	b.Reset(store.Now())
	for i := range n {
		*b.Add() = session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "k%d", i), Value: make([]byte, 200), Expiry: session.Never}
	}
	session.Do(store, b)

	if err := store.SetHotBytes(10 << 10); err != nil {
		t.Fatal(err)
	}
	b.Reset(store.Now())
	for i := range n {
		*b.Add() = session.Command{Op: session.OpGet, Key: fmt.Appendf(nil, "k%d", i)}
	}
	session.Do(store, b)
	for i := range b.Results {
		if b.Results[i].Status != session.OK {
			t.Fatalf("key %d: status %d", i, b.Results[i].Status)
		}
	}
	if hot := store.Stats().Hot; hot.Capacity != 10<<10 || hot.Bytes > hot.Capacity {
		t.Errorf("%d bytes in a cache of %d", hot.Bytes, hot.Capacity)
	}

	if err := store.SetHotBytes(-1); err == nil {
		t.Error("a negative size is accepted")
	}
}

// TestHitsAreThoseOfGets counts each get once, by whether the disk was asked,
// and neither writes nor an operator's looks.
func TestHitsAreThoseOfGets(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	o.HotBytes = 1 << 20
	s := openStore(t, o)
	expect := func(what string, hits, misses int64) {
		t.Helper()
		if hot := s.Stats().Hot; hot.Hits != hits || hot.Misses != misses {
			t.Errorf("after %s: %d hits and %d misses, want %d and %d", what, hot.Hits, hot.Misses, hits, misses)
		}
	}
	burst := func(commands ...session.Command) {
		session.Do(s, &session.Burst{Now: s.Now(), Commands: commands})
	}
	want(t, s, session.OK, set(s, "a", "v", time.Hour))
	want(t, s, session.OK, set(s, "b", "v", time.Hour))
	expect("writes", 0, 0)
	want(t, s, session.OK, op(session.OpGet, "a"))
	expect("a get of what is hot", 1, 0)
	want(t, s, session.NotFound, op(session.OpGet, "absent"))
	expect("a get of what is not there", 1, 1)
	want(t, s, session.NotFound, op(session.OpGet, "absent"))
	expect("another, which the cache remembers", 2, 1)
	s.memory.hot.clear()
	want(t, s, session.OK, op(session.OpGet, "a"))
	expect("a get from the disk", 2, 2)
	s.memory.hot.clear()
	want(t, s, session.OK, session.Command{Op: session.OpGet, Mods: session.Peek, Key: []byte("a")})
	want(t, s, session.OK, session.Command{Op: session.OpGet, Mods: session.Peek, Key: []byte("a")})
	expect("looks", 2, 2)
	s.memory.hot.clear()
	burst(op(session.OpGet, "b"), op(session.OpGet, "b"), set(s, "b", "w", time.Hour), op(session.OpGet, "b"))
	expect("gets among writes", 4, 3)
	burst(op(session.OpGet, "b"), op(session.OpGet, "c"))
	expect("a burst of a hit and a miss", 5, 4)
}
