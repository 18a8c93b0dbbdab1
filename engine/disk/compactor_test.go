package disk

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A disk notices that compactions fall behind, and that they have caught up.
func TestCompactionsHurry(t *testing.T) {
	d := open(t, testOptions(t, vfs.NewMem()))
	look := func() bool {
		d.Look(d.db.Metrics())
		return d.pacer.behind.Load()
	}
	if err := d.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range hurryAtSublevels {
		if look() {
			t.Fatalf("behind after %d flushes", i)
		}
		if err := d.db.Set([]byte("k"), []byte("v"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if err := d.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if !look() {
		t.Errorf("not behind after %d flushes without a compaction", hurryAtSublevels)
	}
	d.Resume()
	for end := time.Now().Add(time.Minute); look(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("behind for ever")
		}
	}
}

// No compaction begins while a database is being opened, which would wait for it. One
// that is due begins when Opened is called.
func TestOpenDoesNotCompact(t *testing.T) {
	o := testOptions(t, vfs.NewMem())
	d := open(t, o)
	if err := d.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range hurryAtSublevels {
		if err := d.db.Set([]byte("k"), []byte("v"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if err := d.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	d.close(t)

	d = openCalm(t, o)
	if m := d.db.Metrics(); m.Compact.Count > 0 || m.Compact.NumInProgress > 0 {
		t.Errorf("%d compactions while opening, %d running", m.Compact.Count, m.Compact.NumInProgress)
	}
	d.Opened()
	for end := time.Now().Add(time.Minute); d.db.Metrics().Compact.Count == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is compacted")
		}
	}
}
