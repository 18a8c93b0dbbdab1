package engine

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine/record"
	"cairn/session"
	"cairn/session/sessiontest"
	"cairn/ttl"
)

// A record that cannot be decoded made its key useless until its bucket was
// dropped: not even a set could replace it.
func TestDamagedRecordCanBeReplaced(t *testing.T) {
	expiry := func(s *Store) session.Time { return s.Now().Add(5 * time.Hour) }
	badBody := func(s *Store) []byte { // of the header that was counted
		h := record.Header{Codec: record.S2, Version: 1, Expiry: expiry(s), RawLen: uint32(len("value"))}
		value := make([]byte, h.Len(), h.Len()+10)
		h.Put(value)
		return append(value, "no frame"...)
	}
	badHeader := func(*Store) []byte { return []byte("no header at all, and no frame") }
	for name, c := range map[string]struct {
		damage func(*Store) []byte
		by     session.Command
		value  string // afterwards
		exact  bool   // whether the item leaves the counts at once
	}{
		"body, set in its bucket":   {badBody, session.Command{Op: session.OpSet, Value: []byte("new")}, "new", true},
		"body, set for less time":   {badBody, session.Command{Op: session.OpSet, Value: []byte("new"), Expiry: 1}, "new", true},
		"body, delete":              {badBody, session.Command{Op: session.OpDelete}, "", true},
		"header, set in its bucket": {badHeader, session.Command{Op: session.OpSet, Value: []byte("new")}, "new", false},
		"header, set for less time": {badHeader, session.Command{Op: session.OpSet, Value: []byte("new"), Expiry: 1}, "new", false},
		"header, delete":            {badHeader, session.Command{Op: session.OpDelete}, "", false},
		"body, set of what expired": {badBody, session.Command{Op: session.OpSet, Value: []byte("new"), Expiry: 2}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			clock, fs := sessiontest.NewClock(), vfs.NewMem()
			o := testOptions(t, fs, clock)
			o.HotBytes = -1
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			// An older copy in a lower bucket, which must not come back.
			want(t, s, session.OK, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("older"), Expiry: s.Now().Add(50 * time.Minute)})
			want(t, s, session.OK, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("value"), Expiry: expiry(s)})
			at := record.AppendKey(nil, ttl.For(expiry(s), s.Now()), []byte("k"))
			if err := s.files.db.Set(at, c.damage(s), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			for _, op := range []session.Op{session.OpGet, session.OpTouch, session.OpAdd, session.OpAppend, session.OpIncr} {
				r := want(t, s, session.Failed, session.Command{Op: op, Key: []byte("k"), Expiry: session.Never})
				if !errors.Is(r.Err, session.ErrCorrupt) {
					t.Errorf("error %v", r.Err)
				}
			}
			tooLarge := session.Command{Op: session.OpSet, Key: []byte("k"), Value: make([]byte, o.MaxValueSize+1), Expiry: expiry(s)}
			b := &session.Burst{Now: s.Now(), Commands: []session.Command{tooLarge, op(session.OpGet, "k")}}
			session.Do(s, b)
			if b.Results[0].Status != session.TooLarge || b.Results[1].Status != session.Failed {
				t.Errorf("too large a value, then a get: %+v", b.Results)
			}

			by := c.by
			by.Key = []byte("k")
			switch by.Expiry {
			case 0:
				by.Expiry = expiry(s)
			case 1:
				by.Expiry = s.Now().Add(30 * time.Minute)
			case 2:
				by.Expiry = s.Now() - 1
			}
			want(t, s, session.OK, by)
			wantValue(t, s, "k", c.value)
			if c.exact {
				checkInvariants(t, s)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, o) // checks the invariants at its end
			wantValue(t, s, "k", c.value)
			clock.Advance(6 * time.Hour)
			sweep(t, s)
			wantValue(t, s, "k", "")
			if items := s.Stats().Items; items != 0 {
				t.Errorf("%d items are counted after the damaged one has died", items)
			}
		})
	}
}

// Scan listed items that a power cut could still take back.
func TestScanWaitsForTheLog(t *testing.T) {
	var opened atomic.Bool
	gate := newLogGate(vfs.NewMem())
	s := openStore(t, testOptions(t, gate, sessiontest.NewClock()))
	gate.shut()
	written := startApplied(s, set(s, "k", "v", time.Hour))
	seen := 0
	var scan sync.WaitGroup
	scan.Go(func() {
		err := s.Scan(t.Context(), nil, nil, func(*session.Item) bool {
			if seen++; !opened.Load() {
				t.Error("the scan did not wait")
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
	})
	time.Sleep(20 * time.Millisecond) // enough for a scan that does not wait
	opened.Store(true)
	gate.open()
	scan.Wait()
	written.wait()
	if seen != 1 {
		t.Errorf("%d items seen", seen)
	}
}

// On a disk that is too full to write a table, a start with something to drop
// never came to its end.
func TestStartOnAFullDisk(t *testing.T) {
	var full atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpCreate && strings.HasSuffix(o.Path, ".sst") && full.Load() {
			return syscall.ENOSPC
		}
		return nil
	}))
	clock := sessiontest.NewClock()
	o := testOptions(t, fs, clock)
	o.Logger = slog.New(slog.DiscardHandler)
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "k", "v", time.Minute))
	clock.Advance(time.Hour)
	full.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.dropAtStart(ctx); err != nil {
		t.Error(err)
	}
	wantValue(t, s, "k", "")
	full.Store(false)
	sweep(t, s)
	if n := s.Figures().Dropped; n != 1 {
		t.Errorf("%d buckets dropped once there was space", n)
	}
}
