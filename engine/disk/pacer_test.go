package disk

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/bubble"
)

// Who writes a table rests longer than it has worked, unless somebody waits for
// it, or there is too much to do.
func TestTablesAreWrittenAtAPace(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var p pacer
		fs := pacedFS{vfs.NewMem(), &p}
		write := func(name string, worked time.Duration) (rested time.Duration) {
			f, err := fs.Create(name, "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			time.Sleep(worked)
			begun := time.Now()
			if _, err := f.Write([]byte("a block")); err != nil {
				t.Fatal(err)
			}
			return time.Since(begun)
		}
		for _, c := range []struct {
			what         string
			name         string
			worked, rest time.Duration
			prepare      func()
		}{
			{"a little work", "1.sst", restAfter / 2, 0, func() {}},
			{"some work", "2.sst", restAfter, restRatio * restAfter, func() {}},
			{"much work", "3.sst", time.Second, maxRest, func() {}},
			{"a log", "4.log", time.Second, 0, func() {}},
			{"somebody waits", "5.sst", time.Second, 0, p.hurry},
			{"two wait", "6.sst", time.Second, 0, p.hurry},
			{"one still waits", "7.sst", time.Second, 0, p.calm},
			{"nobody waits any more", "8.sst", time.Second, maxRest, p.calm},
			{"behind", "9.sst", time.Second, 0, func() { p.behind.Store(true) }},
		} {
			c.prepare()
			if got := write(c.name, c.worked); got != c.rest {
				t.Errorf("%s: rested for %v, not %v", c.what, got, c.rest)
			}
		}
	})
}

// slowFS takes a while to remove a file.
type slowFS struct{ vfs.FS }

const removal = 6 * time.Millisecond

func (slowFS) Remove(string) error {
	time.Sleep(removal)
	return nil
}

// A dropped bucket's tables are removed at a pace, too.
func TestTablesAreRemovedAtAPace(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		fs := pacedFS{slowFS{vfs.NewMem()}, new(pacer)}
		for name, want := range map[string]time.Duration{
			"1.sst": removal + restRatio*removal,
			"2.log": removal,
		} {
			begun := time.Now()
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took != want {
				t.Errorf("%s: %v, not %v", name, took, want)
			}
		}
	})
}
