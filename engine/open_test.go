package engine

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/record"
	"cairn/session"
	"cairn/session/sessiontest"
)

// reopen closes s, lets fs lose what a power cut may lose, and opens what is
// left.
func crashAndReopen(t *testing.T, s *Store, o Options) *Store {
	t.Helper()
	fs := o.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	checkAndClose(t, s)
	o.FS = fs
	return openStore(t, o)
}

func TestSecondProcessIsRefused(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"disk": nil, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, fs, sessiontest.NewClock())
			o.Dir = filepath.Join(t.TempDir(), "data")
			s := openStore(t, o)
			_, err := Open(o)
			if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), o.Dir) {
				t.Errorf("error %v", err)
			}
			if err := Check(o, func(Problem) {}); !errors.Is(err, ErrLocked) {
				t.Errorf("check: error %v", err)
			}
			want(t, s, session.OK, set(s, "k", "v", time.Hour))
		})
	}
}

func TestDataDirectoryIsPrivate(t *testing.T) {
	o := testOptions(t, nil, sessiontest.NewClock())
	o.Dir = filepath.Join(t.TempDir(), "a", "data")
	openStore(t, o)
	info, err := os.Stat(o.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func writeFile(t *testing.T, fs vfs.FS, path, content string) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = io.WriteString(f, content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnknownFormatIsRefused(t *testing.T) {
	for _, content := range []string{"cairn 2\n", "cairn 10\n", "something else", "", "cairn 2 extended-records:0.1.0", "cairn 2 nonsense:9.9.9\n", "cairn 2 \n"} {
		o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
		s := openStore(t, o)
		want(t, s, session.OK, set(s, "k", "v", time.Hour))
		checkAndClose(t, s)
		path := o.FS.PathJoin(o.Dir, formatFile)
		writeFile(t, o.FS, path, content)
		if _, err := Open(o); !errors.Is(err, ErrFormat) {
			t.Errorf("format %q: error %v", content, err)
		}
		if err := Check(o, func(Problem) {}); !errors.Is(err, ErrFormat) {
			t.Errorf("check of format %q: error %v", content, err)
		}
		writeFile(t, o.FS, path, plainFormat)
		s = openStore(t, o)
		wantValue(t, s, "k", "v")
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	db, err := pebble.Open(o.Dir, &pebble.Options{FS: o.FS, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrFormat) {
		t.Errorf("error %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	for name, spoil := range map[string]func(o *Options){
		"no directory":        func(o *Options) { o.Dir = "" },
		"negative value size": func(o *Options) { o.MaxValueSize = -1 },
		"huge value size":     func(o *Options) { o.MaxValueSize = record.MaxValueLen + 1 },
		"long interval":       func(o *Options) { o.Durability.Interval = MaxInterval + 1 },
		"negative interval":   func(o *Options) { o.Durability.Interval = -1 },
		"unknown compression": func(o *Options) { o.Compression = 200 },
	} {
		o := good
		spoil(&o)
		if s, err := Open(o); err == nil {
			t.Errorf("%s: no error", name)
			checkAndClose(t, s)
		}
	}
}

func TestDurabilityFlag(t *testing.T) {
	for text, want := range map[string]time.Duration{"sync": 0, "interval:100ms": 100 * time.Millisecond, "interval:10s": 10 * time.Second} {
		d, err := ParseDurability(text)
		if err != nil || d.Interval != want || d.String() != text {
			t.Errorf("%s: %+v, error %v", text, d, err)
		}
	}
	for _, text := range []string{"", "async", "interval", "interval:", "interval:x", "interval:0s", "interval:-1s", "interval:11s"} {
		if d, err := ParseDurability(text); err == nil {
			t.Errorf("%q: %+v and no error", text, d)
		}
	}
}

// What died while the store was closed is gone when it opens, and so is what a
// flush took that fell due meanwhile.
func TestWhatFellDueWhileClosed(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "short", "v", time.Minute))
	want(t, s, session.OK, set(s, "long", "v", 30*24*time.Hour))
	checkAndClose(t, s)
	clock.Advance(2 * time.Hour)
	s = openStore(t, o)
	if n := s.Stats().Items; n != 1 {
		t.Errorf("%d items after the first restart", n)
	}
	wantValue(t, s, "long", "v")
	want(t, s, session.OK, session.Command{Op: session.OpFlush, FlushAt: s.Now().Add(time.Hour)})
	want(t, s, session.OK, set(s, "late", "v", 30*24*time.Hour))
	checkAndClose(t, s)
	clock.Advance(time.Hour)
	s = openStore(t, o)
	if n := s.Stats().Items; n != 0 {
		t.Errorf("%d items after the second restart", n)
	}
	wantValue(t, s, "long", "")
	want(t, s, session.OK, set(s, "new", "v", time.Hour))
	checkAndClose(t, s)
	s = openStore(t, o)
	wantValue(t, s, "new", "v")
}

// A pending flush happens without traffic, too.
func TestPendingFlushNeedsNoTraffic(t *testing.T) {
	clock := sessiontest.NewClock()
	s := openStore(t, testOptions(t, vfs.NewMem(), clock))
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	want(t, s, session.OK, session.Command{Op: session.OpFlush, FlushAt: s.Now().Add(time.Minute)})
	clock.Advance(time.Minute)
	s.Tick(t.Context())
	if n := s.Stats().Items; n != 0 {
		t.Errorf("%d items", n)
	}
}

// The clock never runs backwards across restarts: what has expired stays so.
func TestClockGoesOnAfterAStepBack(t *testing.T) {
	clock := sessiontest.NewClock()
	fs := vfs.NewCrashableMem()
	o := testOptions(t, fs, clock)
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	clock.Advance(time.Hour)
	wantValue(t, s, "k", "") // seen to be expired
	s.Tick(t.Context())
	before := s.Now()
	back := o
	back.Wall = func() time.Time { return clock.Wall().Add(-30 * time.Minute) }
	s = crashAndReopen(t, s, back)
	if s.Now() < before {
		t.Errorf("the clock went from %d back to %d", before, s.Now())
	}
	wantValue(t, s, "k", "")
}

// A jump forward of more than a day at a start drops nothing for a while.
func TestSuspiciousClockDelaysDrops(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	o.DropGrace = time.Minute
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	checkAndClose(t, s)
	clock.Advance(suspicious + time.Second)
	s = openStore(t, o)
	wantValue(t, s, "k", "")
	if n := len(tablesOf(s).Buckets); n != 1 {
		t.Errorf("%d buckets within the grace period", n)
	}
	clock.Advance(time.Minute)
	if err := s.DropExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	if buckets, dropped := tablesOf(s).Buckets, s.Figures().Dropped; len(buckets) != 0 || dropped != 1 {
		t.Errorf("after the grace period: %+v, %d dropped", buckets, dropped)
	}
}

// Once all sessions have expired and traffic has stopped, what is left on the
// disk is small within the bucket's width and 10 s.
func TestExpiredSessionsLeaveTheDisk(t *testing.T) {
	const items, size = 1000, 1000
	clock := sessiontest.NewClock()
	fs := vfs.NewMem()
	o := testOptions(t, fs, clock)
	s := openStore(t, o)
	value := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for range items {
		for i := range value {
			value[i] = byte(r.Uint32())
		}
		want(t, s, session.OK, set(s, string(value[:8]), string(value), 30*time.Minute))
		clock.Advance(200 * time.Millisecond)
	}
	if n := diskUse(t, fs, o.Dir); n < items*size/2 {
		t.Fatalf("only %d bytes on disk before", n)
	}
	clock.Advance(30*time.Minute + 15*time.Minute + 10*time.Second)
	s.Tick(t.Context())
	if err := s.DropExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Excised tables are deleted by a goroutine of Pebble's; closing waits.
	checkAndClose(t, s)
	if n := diskUse(t, fs, o.Dir); n > items*size/4 {
		t.Errorf("%d bytes on disk after all has expired", n)
	}
}

// diskUse adds up all files but the logs.
func diskUse(t *testing.T, fs vfs.FS, dir string) (sum int64) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

func TestCheckpointIsAStore(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "a", "1", time.Hour))
	want(t, s, session.OK, set(s, "b", "1", 10*24*time.Hour))
	if err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	want(t, s, session.OK, set(s, "a", "2", time.Hour))
	want(t, s, session.OK, op(session.OpDelete, "b"))
	if err := s.Checkpoint("copy"); err == nil {
		t.Error("a checkpoint into an existing directory must fail")
	}
	o.Dir = "copy"
	if err := Check(o, func(problem Problem) { t.Error(problem) }); err != nil {
		t.Error(err)
	}
	c := openStore(t, o)
	wantValue(t, c, "a", "1")
	wantValue(t, c, "b", "1")
	wantValue(t, s, "a", "2")
	if n := c.Stats().Items; n != 2 {
		t.Errorf("%d items in the checkpoint", n)
	}
}

func TestClosedStore(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	checkAndClose(t, s)
	for _, c := range []session.Command{op(session.OpGet, "k"), set(s, "k", "w", time.Hour), {Op: session.OpFlush}} {
		if r := want(t, s, session.Failed, c); !errors.Is(r.Err, session.ErrClosed) {
			t.Errorf("error %v", r.Err)
		}
	}
	if err := s.Scan(t.Context(), nil, nil, func(*session.Item) bool { return true }); !errors.Is(err, session.ErrClosed) {
		t.Errorf("scan: %v", err)
	}
	if err := s.Checkpoint("copy"); !errors.Is(err, session.ErrClosed) {
		t.Errorf("checkpoint: %v", err)
	}
	if err := s.DropExpired(t.Context()); !errors.Is(err, session.ErrClosed) {
		t.Errorf("drop: %v", err)
	}
	s.Tick(t.Context())
	s.Stats()
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
