package engine

import (
	"fmt"
	"testing"

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
	store.hot.cache.CleanUp()
	if hot := store.Stats().Hot; hot.Capacity != 10<<10 || hot.Bytes > hot.Capacity {
		t.Errorf("%d bytes in a cache of %d", hot.Bytes, hot.Capacity)
	}

	if err := store.SetHotBytes(-1); err == nil {
		t.Error("a negative size is accepted")
	}
}
