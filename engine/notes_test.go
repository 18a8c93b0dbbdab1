package engine

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// TestNotes checks that notes are as durable as the entry that left them.
func TestNotes(t *testing.T) {
	fs, clock := vfs.NewCrashableMem(), sessiontest.NewClock()
	o := testOptions(t, fs, clock)
	o.ExternalLog = true
	s := openStore(t, o)
	note := func(index uint64, value string, notes ...Note) {
		t.Helper()
		b := session.Burst{Now: clock.Now(), Commands: []session.Command{set(s, "k", value, time.Hour)}}
		called := 0
		err := s.ReplayNoting(Position{Index: index, Term: 1}, &b, func() []Note {
			if called++; b.Results[0].Status != session.OK || b.Results[0].Item.Version == 0 {
				t.Errorf("entry %d: notes are asked for before the results are there", index)
			}
			return notes
		})
		if err != nil || called != 1 {
			t.Fatalf("entry %d: %v, asked %d times for notes", index, err, called)
		}
	}
	want := func(s *Store, key, value string) {
		t.Helper()
		got, err := s.Note([]byte(key))
		if err != nil || !bytes.Equal(got, []byte(value)) || (got == nil) != (value == "") {
			t.Errorf("note %s: %q (%v), want %q", key, got, err, value)
		}
	}
	note(1, "1", Note{[]byte("a"), []byte("first")}, Note{[]byte("b"), []byte("x")})
	if _, err := s.MakeDurable(context.Background()); err != nil {
		t.Fatal(err)
	}
	if f := tablesOf(s); f.WAL.BytesWritten != 0 || f.FlushWritten == 0 {
		t.Errorf("%d bytes of logs, %d of flushed tables, though there is no log", f.WAL.BytesWritten, f.FlushWritten)
	}
	note(2, "2", Note{[]byte("a"), []byte("second")}, Note{Key: []byte("b")})
	want(s, "a", "second")
	want(s, "b", "")

	// An entry that was applied before leaves no note.
	again := session.Burst{Now: clock.Now(), Commands: []session.Command{set(s, "k", "3", time.Hour)}}
	if err := s.ReplayNoting(Position{Index: 2, Term: 1}, &again, func() []Note {
		return []Note{{[]byte("a"), []byte("third")}}
	}); err != nil {
		t.Fatal(err)
	}
	want(s, "a", "second")

	o.FS = crashed(fs)
	back := openStore(t, o)
	want(back, "a", "first")
	want(back, "b", "x")
	wantItem := func(value string) {
		t.Helper()
		b := session.Burst{Now: clock.Now(), Commands: []session.Command{op(session.OpGet, "k")}}
		session.Do(back, &b)
		if got := string(b.Results[0].Item.Value); got != value {
			t.Errorf("the session is %q, want %q", got, value)
		}
	}
	wantItem("1")
	var keys []string
	if err := back.Notes(func(key, value []byte) error {
		keys = append(keys, string(key)+"="+string(value))
		return nil
	}); err != nil || len(keys) != 2 || keys[0] != "a=first" || keys[1] != "b=x" {
		t.Errorf("notes %q, %v", keys, err)
	}
	stop := errors.New("enough")
	if err := back.Notes(func(key, value []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("notes: %v, want %v", err, stop)
	}
}
