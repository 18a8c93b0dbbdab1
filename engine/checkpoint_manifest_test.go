package engine

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// TestCheckpointAfterCrashAtStart cuts the power before each step to the disk of a
// start, and lets the next one make a checkpoint: it has what the store has. Pebble
// copies an empty manifest after a crash before the first log of a start.
func TestCheckpointAfterCrashAtStart(t *testing.T) {
	mem, clock := vfs.NewCrashableMem(), sessiontest.NewClock()
	options := func(fs vfs.FS, dir string) Options {
		o := testOptions(t, fs, clock)
		o.Dir = dir
		return o
	}
	s, err := Open(options(mem, "data"))
	if err != nil {
		t.Fatal(err)
	}
	b := &session.Burst{Now: s.Now(), Commands: []session.Command{{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never}}}
	session.Do(s, b)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var crashes []*vfs.MemFS
	watched := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			crashes = append(crashes, mem.CrashClone(vfs.CrashCloneCfg{}))
		}
		return nil
	}))
	if s, err = Open(options(watched, "data")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, crashed := range crashes {
		s, err := Open(options(crashed, "data"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Checkpoint("copy"); err != nil {
			t.Fatal(err)
		}
		c, err := Open(options(crashed, "copy"))
		if err != nil {
			t.Fatalf("step %d of %d: %v", i, len(crashes), err)
		}
		if n := c.Stats().Items; n != 1 {
			t.Errorf("step %d of %d: the copy has %d sessions", i, len(crashes), n)
		}
		for _, s := range []*Store{s, c} {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
