package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// sparing are testOptions of a store that keeps spare logs.
func sparing(t *testing.T, fs vfs.FS) Options {
	o := testOptions(t, fs, sessiontest.NewClock())
	o.SpareLogs = 2
	o.MemtableBytes = 64 << 10
	return o
}

// filesOf returns the sizes of the store's files with a suffix, by name.
func filesOf(t *testing.T, o Options, suffix string) map[string]int64 {
	t.Helper()
	names, err := o.FS.List(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int64)
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			info, err := o.FS.Stat(o.FS.PathJoin(o.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			found[name] = info.Size()
		}
	}
	return found
}

// fillLogs writes several logs full.
func fillLogs(t *testing.T, s *Store) {
	t.Helper()
	for i := range 200 {
		want(t, s, session.OK, set(s, fmt.Sprint("k", i%40), strings.Repeat("x", 3000), time.Hour))
	}
}

func prepare(t *testing.T, s *Store) {
	t.Helper()
	if err := s.PrepareLogs(t.Context()); err != nil {
		t.Error(err)
	}
}

// Spares that are left by a process serve the next one, also after a crash;
// what cannot be one is removed.
func TestSparesOutliveProcesses(t *testing.T) {
	o := sparing(t, vfs.NewMem())
	s := openStore(t, o)
	prepare(t, s)
	checkAndClose(t, s)
	if spares := filesOf(t, o, ".spare"); len(spares) == 0 {
		t.Error("no spare was left")
	}
	writeFile(t, o.FS, o.FS.PathJoin(o.Dir, "000077.spare"), "short")
	writeFile(t, o.FS, o.FS.PathJoin(o.Dir, "nonsense.spare"), strings.Repeat("x", int(o.MemtableBytes)))
	checkStore(t, o)
	openStore(t, o)
	for name, size := range filesOf(t, o, ".spare") {
		if size != o.MemtableBytes || name == "nonsense.spare" {
			t.Errorf("%s of %d bytes was kept", name, size)
		}
	}
	for name, size := range filesOf(t, o, ".log") {
		if size < o.MemtableBytes {
			t.Errorf("%s was not made of a spare: %d bytes", name, size)
		}
	}
}

func checkStore(t *testing.T, o Options) {
	t.Helper()
	if err := Check(o, func(problem Problem) { t.Error(problem) }); err != nil {
		t.Error(err)
	}
}

func TestCheckpointHasNoSpares(t *testing.T) {
	o := sparing(t, vfs.NewMem())
	s := openStore(t, o)
	prepare(t, s)
	fillLogs(t, s)
	if err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	o.Dir = "copy"
	if spares := filesOf(t, o, ".spare"); len(spares) > 0 {
		t.Errorf("spares %v", spares)
	}
	checkStore(t, o)
	wantValue(t, openStore(t, o), "k1", strings.Repeat("x", 3000))
}

// The log of a full memtable fits into a spare, whatever is written.
func TestLogFitsIntoSpare(t *testing.T) {
	for _, size := range []int{0, 1, 100, 1800, 4000} {
		o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
		o.MemtableBytes = 64 << 10
		s := openStore(t, o)
		value := strings.Repeat("x", size)
		for i := 0; i%100 > 0 || s.files.db.Metrics().Flush.Count < 4; i++ {
			want(t, s, session.OK, set(s, fmt.Sprint("k", i), value, time.Hour))
		}
		for name, length := range filesOf(t, o, ".log") {
			t.Logf("values of %d bytes: %s of %d bytes", size, name, length)
			if length > o.MemtableBytes {
				t.Errorf("values of %d bytes: %s of %d bytes", size, name, length)
			}
		}
	}
}
