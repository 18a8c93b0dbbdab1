package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// files gives the sizes of the store's files with a suffix, by name.
func files(t *testing.T, o Options, suffix string) map[string]int64 {
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

func TestLogsAreMadeOfSpares(t *testing.T) {
	o := sparing(t, vfs.NewCrashableMem())
	s := openStore(t, o)
	prepare(t, s)
	if n := len(files(t, o, spareSuffix)); n != o.SpareLogs {
		t.Errorf("%d spares, want %d", n, o.SpareLogs)
	}
	for range 5 {
		fillLogs(t, s)
		prepare(t, s)
		s.logs.mu.Lock()
		if live, idle := s.logs.live, len(s.logs.idle); idle > 0 && live+idle > o.SpareLogs+2 {
			t.Errorf("%d logs and %d spares", live, idle)
		}
		s.logs.mu.Unlock()
	}
	if m := s.db.Metrics().WAL; m.ObsoleteFiles > 0 {
		t.Errorf("Pebble keeps %d logs for itself", m.ObsoleteFiles)
	}
	for name, size := range files(t, o, ".log") {
		if size < o.MemtableBytes/2 {
			t.Errorf("%s was not made of a spare: %d bytes", name, size)
		}
	}
	s = crashAndReopen(t, s, o)
	wantValue(t, s, "k1", strings.Repeat("x", 3000))
}

// Spares that are left by a process serve the next one, also after a crash;
// what cannot be one is removed.
func TestSparesOutliveProcesses(t *testing.T) {
	o := sparing(t, vfs.NewMem())
	s := openStore(t, o)
	prepare(t, s)
	checkAndClose(t, s)
	if spares := files(t, o, spareSuffix); len(spares) == 0 {
		t.Error("no spare was left")
	}
	writeFile(t, o.FS, o.FS.PathJoin(o.Dir, "000077.spare"), "short")
	writeFile(t, o.FS, o.FS.PathJoin(o.Dir, "nonsense.spare"), strings.Repeat("x", int(o.MemtableBytes)))
	checkStore(t, o)
	openStore(t, o)
	for name, size := range files(t, o, spareSuffix) {
		if size != o.MemtableBytes || name == "nonsense.spare" {
			t.Errorf("%s of %d bytes was kept", name, size)
		}
	}
	for name, size := range files(t, o, ".log") {
		if size < o.MemtableBytes {
			t.Errorf("%s was not made of a spare: %d bytes", name, size)
		}
	}
}

func checkStore(t *testing.T, o Options) {
	t.Helper()
	if err := Check(o, func(problem string) { t.Error(problem) }); err != nil {
		t.Error(err)
	}
}

// A spare with records of a log above the new one, as from another store's
// directory, could have them read as the new log's.
func TestSpareOfLaterLogIsNotUsed(t *testing.T) {
	o := sparing(t, vfs.NewMem())
	s := openStore(t, o)
	checkAndClose(t, s)
	foreign := o.FS.PathJoin(o.Dir, "999999.spare")
	writeFile(t, o.FS, foreign, strings.Repeat("x", int(o.MemtableBytes)))
	s = openStore(t, o)
	fillLogs(t, s)
	if _, err := o.FS.Stat(foreign); err != nil {
		t.Errorf("it was used: %v", err)
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
	if spares := files(t, o, spareSuffix); len(spares) > 0 {
		t.Errorf("spares %v", spares)
	}
	checkStore(t, o)
	wantValue(t, openStore(t, o), "k1", strings.Repeat("x", 3000))
}

func TestSparesNeedSpace(t *testing.T) {
	fs := vfs.NewMem()
	o := sparing(t, fs)
	o.DiskReserve = 1 << 20
	plenty := uint64(o.DiskReserve + spareRoom*o.MemtableBytes)
	for _, c := range []struct {
		free   uint64
		spares bool
	}{{plenty - 1, false}, {plenty, true}, {1<<20 + 1, true}, {1<<20 - 1, false}, {plenty - 1, false}} {
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: c.free, TotalBytes: 1 << 40})
		s := openStore(t, o)
		prepare(t, s)
		spares := files(t, o, spareSuffix)
		for range 500 { // until Pebble has removed the log before
			if (len(spares) > 0) == c.spares {
				break
			}
			time.Sleep(10 * time.Millisecond)
			spares = files(t, o, spareSuffix)
		}
		if (len(spares) > 0) != c.spares {
			t.Errorf("%d bytes free: spares %v, want some: %v", c.free, spares, c.spares)
		}
		checkAndClose(t, s)
	}
}

// A fill that is cut short leaves nothing, and one comes after it.
func TestFillStops(t *testing.T) {
	o := sparing(t, vfs.Default)
	o.Dir = filepath.Join(t.TempDir(), "data")
	o.MemtableBytes = 3 * fillChunk
	s := openStore(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	filled := make(chan error)
	go func() { filled <- s.PrepareLogs(ctx) }()
	for len(files(t, o, spareSuffix)) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-filled; err != nil {
		t.Error(err)
	}
	if spares := files(t, o, spareSuffix); len(spares) > 0 {
		t.Errorf("spares %v", spares)
	}
	prepare(t, s)
	for name, size := range files(t, o, spareSuffix) {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil || size != o.MemtableBytes || info.Mode() != formatMode(t, o.Dir) {
			t.Errorf("%s: %d bytes, mode %v, error %v", name, size, info.Mode(), err)
		}
	}
}

func formatMode(t *testing.T, dir string) os.FileMode {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, formatFile))
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// A disk on which no spare can be made is asked once.
func TestFailedFillIsNotRepeated(t *testing.T) {
	asked := 0
	o := sparing(t, failingFS{vfs.NewMem(), &asked})
	s := openStore(t, o)
	if err := s.PrepareLogs(t.Context()); !errors.Is(err, errNoSpare) {
		t.Errorf("error %v", err)
	}
	prepare(t, s)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	fillLogs(t, s)
}

var errNoSpare = errors.New("no spare")

type failingFS struct {
	vfs.FS
	asked *int
}

func (fs failingFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(path, spareSuffix) {
		*fs.asked++
		return nil, errNoSpare
	}
	return fs.FS.Create(path, category)
}

// The log of a full memtable fits into a spare, whatever is written.
func TestLogFitsIntoSpare(t *testing.T) {
	for _, size := range []int{0, 1, 100, 1800, 4000} {
		o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
		s := openStore(t, o)
		value := strings.Repeat("x", size)
		for i := 0; i%100 > 0 || s.db.Metrics().Flush.Count < 4; i++ {
			want(t, s, session.OK, set(s, fmt.Sprint("k", i), value, time.Hour))
		}
		for name, length := range files(t, o, ".log") {
			t.Logf("values of %d bytes: %s of %d bytes", size, name, length)
			if length > o.MemtableBytes {
				t.Errorf("values of %d bytes: %s of %d bytes", size, name, length)
			}
		}
	}
}
