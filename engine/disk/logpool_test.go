package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func TestLogsAreMadeOfSpares(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(t, fs)
	d := open(t, o)
	d.prepare(t)
	if n := len(files(t, o, spareSuffix)); n != o.SpareLogs {
		t.Errorf("%d spares, want %d", n, o.SpareLogs)
	}
	for range 5 {
		d.fillLogs(t)
		d.prepare(t)
		d.logs.mu.Lock()
		if live, idle := d.logs.live, len(d.logs.idle); idle > 0 && live+idle > o.SpareLogs+2 {
			t.Errorf("%d logs and %d spares", live, idle)
		}
		d.logs.mu.Unlock()
	}
	if m := d.db.Metrics().WAL; m.ObsoleteFiles > 0 {
		t.Errorf("Pebble keeps %d logs for itself", m.ObsoleteFiles)
	}
	for name, size := range files(t, o, ".log") {
		if size < o.MemtableBytes/2 {
			t.Errorf("%s was not made of a spare: %d bytes", name, size)
		}
	}
	o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	value, closer, err := open(t, o).db.Get([]byte("k1"))
	if err != nil || len(value) != 3000 {
		t.Fatalf("%d bytes, error %v", len(value), err)
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
}

// A spare with records of a log above the new one, as from another store's
// directory, could have them read as the new log's.
func TestSpareOfLaterLogIsNotUsed(t *testing.T) {
	o := testOptions(t, vfs.NewMem())
	open(t, o).close(t)
	foreign := o.FS.PathJoin(o.Dir, "999999.spare")
	writeFile(t, o.FS, foreign, strings.Repeat("x", int(o.MemtableBytes)))
	open(t, o).fillLogs(t)
	if _, err := o.FS.Stat(foreign); err != nil {
		t.Errorf("it was used: %v", err)
	}
}

func TestSparesNeedSpace(t *testing.T) {
	for _, lacking := range []uint64{1, 0} {
		fs := vfs.NewMem()
		o := reserving(t, fs)
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: plenty(o) - lacking, TotalBytes: 1 << 40})
		d := open(t, o)
		d.prepare(t)
		if spares := files(t, o, spareSuffix); len(spares) != 2*int(1-lacking) {
			t.Errorf("%d bytes are lacking: spares %v", lacking, spares)
		}
	}
}

// Below the reserve spares stay, as space that nobody else can take: for a log,
// however small, or to be given up, one at a time.
func TestSparesAreForAFullDisk(t *testing.T) {
	fs := vfs.NewMem()
	o := reserving(t, fs)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: plenty(o), TotalBytes: 1 << 40})
	d := open(t, o)
	d.prepare(t)
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 0, TotalBytes: 1 << 40})
	d.LookAtSpace()
	d.prepare(t)
	if !d.Low() || len(files(t, o, spareSuffix)) != 2 {
		t.Fatalf("low %v, spares %v", d.Low(), files(t, o, spareSuffix))
	}
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if d.claimed.left() < o.MemtableBytes/2 {
		t.Errorf("the new log has space for %d bytes", d.claimed.left())
	}
	for d.logs.inUse() > 1 { // the log before becomes a spare in the background
		runtime.Gosched()
	}
	for d.relieve() {
	}
	if spares := files(t, o, spareSuffix); len(spares) > 0 || d.spareBytes() > 0 {
		t.Errorf("spares %v were not given up", spares)
	}
}

// reserving are options with a reserve.
func reserving(t *testing.T, fs vfs.FS) Options {
	o := testOptions(t, fs)
	o.Reserve = func(int64) int64 { return 1 << 20 }
	o.Logger = discard
	return o
}

// plenty is the free space from which on there are spares.
func plenty(o Options) uint64 { return uint64(1<<20 + spareRoom*o.MemtableBytes) }

// A fill that is cut short leaves nothing, and one comes after it.
func TestFillStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := testOptions(t, errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, spareSuffix) {
			cancel() // the spare has begun
		}
		return nil
	})))
	o.Dir = filepath.Join(t.TempDir(), "data")
	o.MemtableBytes = 3 * fillChunk
	d := open(t, o)
	if err := d.PrepareLogs(ctx); err != nil {
		t.Error(err)
	}
	if ctx.Err() == nil {
		t.Fatal("no spare was begun")
	}
	if spares := files(t, o, spareSuffix); len(spares) > 0 {
		t.Errorf("spares %v", spares)
	}
	d.prepare(t)
	log, err := os.Stat(filepath.Join(o.Dir, "000002.log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range files(t, o, spareSuffix) {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil || size != o.MemtableBytes || info.Mode() != log.Mode() {
			t.Errorf("%s: %d bytes, mode %v, error %v", name, size, info.Mode(), err)
		}
	}
}

// A disk on which no spare can be made is asked once.
func TestFailedFillIsNotRepeated(t *testing.T) {
	asked := 0
	o := testOptions(t, failingFS{vfs.NewMem(), &asked})
	d := open(t, o)
	if err := d.PrepareLogs(t.Context()); !errors.Is(err, errNoSpare) {
		t.Errorf("error %v", err)
	}
	d.prepare(t)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	d.fillLogs(t)
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

// A log that somebody may still write to, as after a failover, is removed: what is written
// late would be in another log.
func TestLogThatIsWrittenIsNoSpare(t *testing.T) {
	o := testOptions(t, vfs.NewMem())
	d := New(o)
	if err := errors.Join(o.FS.MkdirAll(o.Dir, 0o700), d.OpenLogs()); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"000101.log", "000102-001.log", "000103.log"} {
		path := o.FS.PathJoin(o.Dir, name)
		f, err := d.logs.Create(path, "test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(make([]byte, o.MemtableBytes)); err != nil {
			t.Fatal(err)
		}
		isClosed := i == 2
		if isClosed {
			err = f.Close()
		} else {
			defer f.Close()
		}
		if err := errors.Join(err, d.logs.Remove(path)); err != nil {
			t.Fatal(err)
		}
		if spares := files(t, o, spareSuffix); len(spares) > 0 != isClosed {
			t.Errorf("after %s spares %v", name, spares)
		}
	}
	if logs := files(t, o, ".log"); len(logs) > 0 {
		t.Errorf("logs %v", logs)
	}
}
