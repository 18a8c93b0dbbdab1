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
