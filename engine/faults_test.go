package engine

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// clockedStore is a store that tells the time.
type clockedStore interface {
	session.Store
	session.Clock
}

// do carries out one command at the store's present instant.
func do(s clockedStore, c session.Command) session.Result {
	b := &session.Burst{Now: s.Now(), Commands: []session.Command{c}}
	session.Do(s, b)
	return b.Results[0]
}

func set(s *Store, key, value string, ttl time.Duration) session.Command {
	return session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: s.Now().Add(ttl)}
}

func op(op session.Op, key string) session.Command {
	return session.Command{Op: op, Key: []byte(key)}
}

// want carries out c and checks its status.
func want(t *testing.T, s clockedStore, status session.Status, c session.Command) session.Result {
	t.Helper()
	r := do(s, c)
	if r.Status != status {
		t.Errorf("%s: status %d (error %v), want %d", sessiontest.Describe(&c), r.Status, r.Err, status)
	}
	return r
}

// wantValue checks the value under key; "" stands for an absent key.
func wantValue(t *testing.T, s *Store, key, value string) {
	t.Helper()
	if value == "" {
		want(t, s, session.NotFound, op(session.OpGet, key))
	} else if r := want(t, s, session.OK, op(session.OpGet, key)); string(r.Item.Value) != value {
		t.Errorf("value of %s is %q, want %q", key, r.Item.Value, value)
	}
}

func isLog(o errorfs.Op) bool { return strings.HasSuffix(o.Path, ".log") }

func isSync(o errorfs.Op) bool {
	return o.Kind == errorfs.OpFileSync || o.Kind == errorfs.OpFileSyncData || o.Kind == errorfs.OpFileSyncTo
}

// Nobody may see what a crash could still take back: neither a value, nor its
// absence after a delete or a flush.
func TestReadersWaitForWhatTheyShow(t *testing.T) {
	gate := newLogGate(vfs.NewMem())
	for name, write := range map[string]session.Command{
		"set":    {Op: session.OpSet, Key: []byte("k"), Value: []byte("new"), Expiry: session.Never},
		"touch":  {Op: session.OpTouch, Key: []byte("k"), Expiry: session.Never},
		"delete": op(session.OpDelete, "k"),
		"flush":  {Op: session.OpFlush},
	} {
		for _, hot := range []int64{0, -1} {
			t.Run(name, func(t *testing.T) {
				o := testOptions(t, gate, sessiontest.NewClock())
				o.HotBytes = hot
				o.Dir = t.Name()
				s := openStore(t, o)
				want(t, s, session.OK, set(s, "k", "old", time.Hour))
				want(t, s, session.OK, set(s, "other", "old", time.Hour))
				gate.shut()
				written := startApplied(s, write)
				if write.Op != session.OpFlush {
					start(s, op(session.OpGet, "other")).wait()
				}
				read := start(s, op(session.OpGet, "k"))
				mustWait(t, read, "a read of what is not durable")
				gate.open()
				read.wait()
				written.wait()
			})
		}
	}
}

// A write whose sync fails is not acknowledged, and the store gives up.
func TestFailedSyncIsFatal(t *testing.T) {
	injected := errors.New("injected")
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if isLog(o) && isSync(o) && broken.Load() {
			return injected
		}
		return nil
	}))
	o := testOptions(t, fs, sessiontest.NewClock())
	fatal := make(chan error, 1)
	o.Fatal = func(err error) {
		fatal <- err
		runtime.Goexit()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	broken.Store(true)
	b := &session.Burst{Now: s.Now(), Commands: []session.Command{set(s, "k", "w", time.Hour), op(session.OpGet, "k")}}
	run := begin(s, b)
	if err := <-fatal; !errors.Is(err, injected) {
		t.Errorf("fatal error %v", err)
	}
	if run.isDone() {
		t.Error("the burst was completed")
	}
	for i := range b.Results {
		if b.Results[i].Status != session.Failed || !errors.Is(b.Results[i].Err, injected) {
			t.Errorf("result %d: %+v", i, b.Results[i])
		}
	}
}

// A read error fails the request and nothing else.
func TestReadErrorFailsTheRequest(t *testing.T) {
	injected := errors.New("injected")
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if strings.HasSuffix(o.Path, ".sst") && o.Kind == errorfs.OpFileReadAt && broken.Load() {
			return injected
		}
		return nil
	}))
	o := testOptions(t, fs, sessiontest.NewClock())
	o.HotBytes, o.BlockCacheBytes = -1, 1
	s := openStore(t, o)
	want(t, s, session.OK, set(s, "k", "v", 10*24*time.Hour))
	if err := s.files.db.Flush(); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "k", "v")
	broken.Store(true)
	for _, c := range []session.Command{op(session.OpGet, "k"), op(session.OpDelete, "k"), set(s, "k", "w", time.Minute)} {
		r := want(t, s, session.Failed, c)
		if !errors.Is(r.Err, injected) {
			t.Errorf("error %v", r.Err)
		}
	}
	broken.Store(false)
	wantValue(t, s, "k", "v")
	want(t, s, session.OK, set(s, "k", "w", time.Minute))
	wantValue(t, s, "k", "w")
	if n := s.Figures().ReadErrors; n == 0 {
		t.Error("read errors are not counted")
	}
}

// diskFS is a file system with a free space that the test sets.
type diskFS struct {
	vfs.FS
	free atomic.Uint64
}

func (fs *diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: fs.free.Load(), TotalBytes: 1 << 40}, nil
}

// Below the reserve, what grows is refused; the rest goes on.
func TestReserveOfDiskSpace(t *testing.T) {
	fs := &diskFS{FS: vfs.NewMem()}
	fs.free.Store(1000)
	o := testOptions(t, fs, sessiontest.NewClock())
	o.DiskReserve = 1000
	s := openStore(t, o)
	for _, key := range []string{"a", "b", "c"} {
		want(t, s, session.OK, set(s, key, "v", time.Hour))
	}
	fs.free.Store(999)
	s.Tick(t.Context())
	for _, c := range []session.Command{
		set(s, "a", "w", time.Hour), {Op: session.OpAdd, Key: []byte("new"), Expiry: session.Never},
		{Op: session.OpReplace, Key: []byte("a"), Expiry: session.Never}, op(session.OpAppend, "a"), op(session.OpIncr, "a"),
		{Op: session.OpGet, Mods: session.Vivify, Key: []byte("new"), VivifyExpiry: session.Never},
	} {
		if r := want(t, s, session.Failed, c); !errors.Is(r.Err, session.ErrNoSpace) {
			t.Errorf("error %v", r.Err)
		}
	}
	if !s.Stats().OutOfSpace {
		t.Error("stats do not tell")
	}
	wantValue(t, s, "a", "v")
	want(t, s, session.OK, session.Command{Op: session.OpGet, Mods: session.Vivify, Key: []byte("a"), VivifyExpiry: session.Never})
	want(t, s, session.OK, op(session.OpDelete, "b"))
	want(t, s, session.OK, session.Command{Op: session.OpTouch, Key: []byte("c"), Expiry: session.Never})
	want(t, s, session.OK, session.Command{Op: session.OpFlush, FlushAt: s.Now() + 1})
	fs.free.Store(1000)
	s.Tick(t.Context())
	want(t, s, session.OK, set(s, "a", "w", time.Hour))
}
