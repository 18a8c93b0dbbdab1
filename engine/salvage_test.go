package engine

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// TestSalvageKeepsAllOfAnItem compares items of the old and the new store, and
// their versions with the next one.
func TestSalvageKeepsAllOfAnItem(t *testing.T) {
	fs, clock := vfs.NewMem(), sessiontest.NewClock()
	o := Options{Dir: "old", FS: fs, Wall: clock.Wall, DropEvery: -1}
	store, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	do := func(s *Store, c session.Command) *session.Result {
		b := &session.Burst{Now: s.Now()}
		*b.Add() = c
		session.Do(s, b)
		return &b.Results[0]
	}
	in := func(d time.Duration) session.Time { return store.Now().Add(d) }
	do(store, session.Command{Op: session.OpSet, Key: []byte("plain"), Value: []byte("v"), Flags: 7, Expiry: session.Never})
	do(store, session.Command{Op: session.OpSet, Mods: session.Tracked, Key: []byte("owned"), Owner: []byte("alice"), Created: 5, Value: bytes.Repeat([]byte("abc"), 400), Expiry: in(time.Hour)})
	do(store, session.Command{Op: session.OpTouch, Key: []byte("owned"), Expiry: in(48 * time.Hour)})
	do(store, session.Command{Op: session.OpSet, Key: []byte("stale"), Value: []byte("old"), Expiry: in(time.Hour)})
	do(store, session.Command{Op: session.OpDelete, Mods: session.Invalidate, Key: []byte("stale")})
	do(store, session.Command{Op: session.OpSet, Key: []byte("gone"), Value: []byte("v"), Expiry: in(time.Hour)})
	do(store, session.Command{Op: session.OpDelete, Key: []byte("gone")})
	do(store, session.Command{Op: session.OpSet, Key: []byte("short"), Value: []byte("v"), Expiry: in(time.Minute)})
	clock.Advance(2 * time.Minute)
	scan := func(s *Store) (list []session.Item) {
		if err := s.Scan(t.Context(), nil, nil, func(it *session.Item) bool {
			item := *it
			item.LastAccess, item.Fetched = 0, false
			item.Key, item.Value, item.Owner = bytes.Clone(it.Key), bytes.Clone(it.Value), bytes.Clone(it.Owner)
			list = append(list, item)
			return true
		}); err != nil {
			t.Error(err)
		}
		return list
	}
	want := scan(store)
	last := do(store, session.Command{Op: session.OpSet, Key: []byte("gone"), Value: []byte("v"), Expiry: in(time.Hour)}).Item.Version
	do(store, session.Command{Op: session.OpDelete, Key: []byte("gone")})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Salvage(t.Context(), SalvageOptions{
		From: o, To: "new", Scratch: "scratch",
		Problem: func(problem string) { t.Error(problem) },
		Lost:    func(key []byte, why string) { t.Errorf("%s: %s", key, why) },
	})
	if err != nil || !got.Complete || got.Sessions != int64(len(want)) || len(want) != 3 {
		t.Errorf("%+v, %v; %d items", got, err, len(want))
	}
	if _, err := fs.Stat("scratch"); err == nil {
		t.Error("the scratch directory is left")
	}
	o.Dir = "new"
	if err := Check(o, func(problem Problem) { t.Error(problem) }); err != nil {
		t.Error(err)
	}
	if store, err = Open(o); err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	equal := func(a, b session.Item) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Owner, b.Owner) &&
			a.Flags == b.Flags && a.Born == b.Born && a.Created == b.Created && a.Version == b.Version &&
			a.Expiry == b.Expiry && a.Stale == b.Stale && a.Claimed == b.Claimed
	}
	if items := scan(store); !slices.EqualFunc(items, want, equal) {
		t.Errorf("copied %+v, want %+v", items, want)
	}
	if next := do(store, session.Command{Op: session.OpSet, Key: []byte("next"), Value: []byte("v"), Expiry: in(time.Hour)}).Item.Version; next <= last {
		t.Errorf("version %d comes after %d", next, last)
	}
}
