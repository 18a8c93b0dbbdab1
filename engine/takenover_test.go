package engine

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// handOver closes a store as one that another process takes over. What came after
// it was quiet is in the log alone.
func handOver(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Quiesce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		want(t, s, session.OK, set(s, fmt.Sprint("late", i), "v", time.Hour))
	}
	want(t, s, session.OK, op(session.OpDelete, "late2"))
	before := tableNames(t, s)
	if err := s.Leave(); err != nil {
		t.Fatal(err)
	}
	if after := tableNames(t, s); !slices.Equal(before, after) {
		t.Errorf("while a quiet store was closed its tables changed from %q to %q", before, after)
	}
}

// tableNames returns the names of the files of a store's tables.
func tableNames(t *testing.T, s *Store) []string {
	t.Helper()
	names, err := s.options.FS.List(s.options.Dir)
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return filepath.Ext(name) != ".sst" })
	slices.Sort(names)
	return names
}

func wantHandedOver(t *testing.T, s *Store) {
	t.Helper()
	wantValue(t, s, "early", "v")
	wantValue(t, s, "late0", "v")
	wantValue(t, s, "late1", "v")
	wantValue(t, s, "late2", "")
}

// powerCuts are copies of a disk as power cuts would leave it, at operations that write.
type powerCuts struct {
	fs    vfs.FS       // to be used in place of the disk
	acked atomic.Int64 // writes that were acknowledged; its user counts them
	cuts  []powerCut   // may be read when nothing is written any more
}

// powerCut is a disk after a power cut, before which so many writes had been acknowledged.
type powerCut struct {
	fs    *vfs.MemFS
	acked int64
}

// newPowerCuts cuts the power of disk at each of every writes.
func newPowerCuts(disk *vfs.MemFS, every int) *powerCuts {
	p := new(powerCuts)
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	writes := 0
	p.fs = errorfs.Wrap(disk, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			if writes++; writes%every == 0 {
				cut := powerCut{acked: p.acked.Load()}
				cut.fs = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
				p.cuts = append(p.cuts, cut)
			}
		}
		return nil
	}))
	return p
}

// A power loss at any point of the opening of a store that was handed over, or
// soon after it, leaves what was acknowledged, before and after.
func TestPowerLossWhileTakenOver(t *testing.T) {
	withAndWithoutSpares(t, testPowerLossWhileTakenOver)
}

func testPowerLossWhileTakenOver(t *testing.T, options func(vfs.FS) Options) {
	disk := vfs.NewCrashableMem()
	s := openStore(t, options(disk))
	want(t, s, session.OK, set(s, "early", "v", time.Hour))
	handOver(t, s)

	power := newPowerCuts(disk, 1)
	o := options(power.fs)
	o.JustClosed = true
	s = openStore(t, o)
	for i := range 5 {
		want(t, s, session.OK, set(s, fmt.Sprint("new", i), "v", time.Hour))
		power.acked.Add(1)
	}
	wantHandedOver(t, s)
	checkAndClose(t, s)
	if len(power.cuts) == 0 {
		t.Fatal("nothing was written")
	}
	for i, c := range power.cuts {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := openStore(t, options(c.fs))
			wantHandedOver(t, s)
			for i := range c.acked {
				wantValue(t, s, fmt.Sprint("new", i), "v")
			}
		})
	}
}

// A store that was handed over answers before the disk has what its opening wrote.
// What comes then waits for the disk.
func TestTakenOverBeforeTheDisk(t *testing.T) {
	mem, stuck := vfs.NewMem(), make(chan struct{})
	s := openStore(t, testOptions(t, mem, sessiontest.NewClock()))
	want(t, s, session.OK, set(s, "early", "v", time.Hour))
	handOver(t, s)

	o := testOptions(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if isSync(o) && o.Kind != errorfs.OpFileSyncTo {
			<-stuck
		}
		return nil
	})), sessiontest.NewClock())
	o.JustClosed = true
	s = openStore(t, o)
	wantHandedOver(t, s)
	written := start(s, set(s, "new", "v", time.Hour))
	mustWait(t, written, "a write before what was there before is safe")
	close(stuck)
	written.wait()
	wantValue(t, s, "new", "v")
	checkAndClose(t, s)
	wantHandedOver(t, openStore(t, testOptions(t, mem, sessiontest.NewClock())))
}

// Another process opens the store while the one that has left it still closes its tables.
func TestLeaveWaitsForNoTable(t *testing.T) {
	fs := &stuckTables{FS: vfs.NewMem(), stuck: make(chan struct{})}
	s := openStore(t, testOptions(t, fs, sessiontest.NewClock()))
	want(t, s, session.OK, set(s, "early", "v", time.Hour))
	handOver(t, s)
	if fs.closed.Load() > 0 {
		t.Error("a table was closed before the store was left")
	}
	o := testOptions(t, fs.FS, sessiontest.NewClock())
	o.JustClosed = true
	next := openStore(t, o)
	want(t, next, session.OK, set(next, "new", "v", time.Hour))
	wantHandedOver(t, next)
	close(fs.stuck)
	checkAndClose(t, next)
}

// stuckTables is a file system on which tables are not closed before stuck is.
type stuckTables struct {
	vfs.FS
	stuck  chan struct{}
	closed atomic.Int64
}

func (fs *stuckTables) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	if err != nil || filepath.Ext(name) != ".sst" {
		return f, err
	}
	return stuckTable{f, fs}, nil
}

type stuckTable struct {
	vfs.File
	fs *stuckTables
}

func (f stuckTable) Close() error {
	<-f.fs.stuck
	f.fs.closed.Add(1)
	return f.File.Close()
}
