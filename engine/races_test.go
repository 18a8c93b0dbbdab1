package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// blocker stops the first file operation that a test waits for.
type blocker struct {
	vfs.FS
	match   func(o errorfs.Op) bool
	armed   atomic.Bool
	entered chan struct{} // closed when an operation is stopped
	release chan struct{} // to be closed to let it go on
}

func newBlocker(fs vfs.FS, match func(o errorfs.Op) bool) *blocker {
	b := &blocker{match: match, entered: make(chan struct{}), release: make(chan struct{})}
	b.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if b.armed.Load() && b.match(o) && b.armed.CompareAndSwap(true, false) {
			close(b.entered)
			<-b.release
		}
		return nil
	}))
	return b
}

func readsTable(o errorfs.Op) bool {
	return o.Kind == errorfs.OpFileReadAt && strings.HasSuffix(o.Path, ".sst")
}

// finishes fails the test if f hangs.
func finishes(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s hangs", what)
	}
}

// Pebble takes the bytes of a batch that is too large for a memtable away, and
// its sequence number with them.
func TestReadersWaitForLargeBatches(t *testing.T) {
	for _, hot := range []int64{0, -1} {
		gate := newLogGate(vfs.NewMem())
		o := testOptions(t, gate, sessiontest.NewClock())
		o.HotBytes = hot
		s := openStore(t, o)
		want(t, s, session.OK, set(s, "key99", "old", time.Hour))
		var large []session.Command
		for i := range 100 {
			large = append(large, set(s, fmt.Sprintf("key%d", i), strings.Repeat("x", o.MaxValueSize), time.Hour))
		}
		gate.shut()
		written := startApplied(s, large...)
		read := start(s, op(session.OpGet, "key99"))
		mustWait(t, read, "a read of a large batch")
		gate.open()
		read.wait()
		written.wait()
	}
}

// Once a session was seen to have expired, a burst that was admitted before it
// expired must not revive it, however late it comes.
func TestSlowBurstDoesNotReviveTheExpired(t *testing.T) {
	for name, hot := range map[string]int64{"Hot": 1 << 20, "Cold": -1} {
		t.Run(name, func(t *testing.T) {
			clock := sessiontest.NewClock()
			fs := newBlocker(vfs.NewMem(), readsTable)
			o := testOptions(t, fs, clock)
			o.HotBytes, o.BlockCacheBytes = hot, 1
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			want(t, s, session.OK, set(s, "slow", "v", time.Hour))
			want(t, s, session.OK, set(s, "k", "v", 10*time.Second))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, o)
			wantValue(t, s, "k", "v")

			touch := &session.Burst{Now: s.Now()}
			*touch.Add() = session.Command{Op: session.OpTouch, Key: []byte("slow"), Expiry: s.Now().Add(2 * time.Hour)}
			*touch.Add() = session.Command{Op: session.OpTouch, Key: []byte("k"), Expiry: s.Now().Add(2 * time.Hour)}
			fs.armed.Store(true)
			var both sync.WaitGroup
			both.Go(func() { session.Do(s, touch) })
			<-fs.entered
			clock.Advance(20 * time.Second)
			get := &session.Burst{Now: s.Now(), Commands: []session.Command{op(session.OpGet, "k")}}
			var got atomic.Bool
			both.Go(func() {
				session.Do(s, get)
				got.Store(true)
			})
			for range 100_000 {
				if got.Load() {
					break
				}
				runtime.Gosched()
			}
			close(fs.release)
			both.Wait()
			later := do(s, op(session.OpGet, "k"))
			if get.Results[0].Status == session.NotFound && later.Status == session.OK {
				t.Errorf("expired for a reader, then touched (status %d) and back", touch.Results[1].Status)
			}
		})
	}
}

// A start skips versions; so does the next, even if nothing that the first
// wrote has survived and no time has passed.
func TestVersionsDoNotRepeatAfterTwoCrashes(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(t, fs, sessiontest.NewClock())
	o.Durability.Interval = MaxInterval
	var last uint64
	for range 4 {
		o.FS = fs
		s := openStore(t, o)
		r := want(t, s, session.OK, set(s, "k", "v", time.Hour))
		if r.Item.Version <= last {
			t.Errorf("version %d after %d", r.Item.Version, last)
		}
		last = r.Item.Version
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
	}
}

// A checkpoint that takes long must not stop requests, not even while a flush
// comes.
func TestFlushDuringCheckpoint(t *testing.T) {
	fs := newBlocker(vfs.NewMem(), func(o errorfs.Op) bool {
		return o.Kind == errorfs.OpLink || o.Kind == errorfs.OpCreate && strings.HasPrefix(o.Path, "backup")
	})
	o := testOptions(t, fs, sessiontest.NewClock())
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	var backup sync.WaitGroup
	fs.armed.Store(true)
	backup.Go(func() {
		if err := s.Checkpoint("backup"); err != nil {
			t.Error(err)
		}
	})
	<-fs.entered
	finishes(t, "a flush during a checkpoint", func() { want(t, s, session.OK, op(session.OpFlush, "")) })
	finishes(t, "a read after it", func() { wantValue(t, s, "k", "") })
	close(fs.release)
	backup.Wait()
	checkAndClose(t, s)
}

// A store on a full disk stops all the same: what it cannot flush is in its
// log.
func TestCloseOnFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	o := testOptions(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if full.Load() && strings.HasSuffix(o.Path, ".sst") && (o.Kind == errorfs.OpCreate || o.Kind == errorfs.OpFileWrite) {
			return syscall.ENOSPC
		}
		return nil
	})), sessiontest.NewClock())
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	full.Store(true)
	finishes(t, "Close", func() {
		if err := s.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
	})
	full.Store(false)
	s = openStore(t, o)
	wantValue(t, s, "k", "v")
}

// A flush that has fallen due is carried out before anyone lists sessions.
func TestScanAfterDueFlush(t *testing.T) {
	clock := sessiontest.NewClock()
	s := openStore(t, testOptions(t, vfs.NewMem(), clock))
	want(t, s, session.OK, set(s, "k", "v", time.Hour))
	want(t, s, session.OK, session.Command{Op: session.OpFlush, FlushAt: s.Now().Add(time.Second)})
	clock.Advance(2 * time.Second)
	err := s.Scan(context.Background(), nil, nil, func(it *session.Item) bool {
		t.Errorf("scan shows %q", it.Key)
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

// A page of a scan is bounded by what it reads, not by what it shows.
func TestScanPageOfExpired(t *testing.T) {
	clock := sessiontest.NewClock()
	s := openStore(t, testOptions(t, vfs.NewMem(), clock))
	b := &session.Burst{Now: s.Now()}
	for i := range 2 * pageItems {
		*b.Add() = set(s, fmt.Sprintf("k%06d", i), "v", time.Minute)
	}
	session.Do(s, b)
	want(t, s, session.OK, set(s, "last", "v", time.Hour))
	clock.Advance(2 * time.Minute)
	p, err := s.readPage(context.Background(), nil, []byte{})
	if err != nil || p.next == nil || len(p.items) != 0 {
		t.Errorf("%d items, next %q, error %v", len(p.items), p.next, err)
	}
	n := 0
	if err := s.Scan(context.Background(), nil, nil, func(*session.Item) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d items, error %v", n, err)
	}
}
