package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine"
	"cairn/session"
)

// TestShortageAtEveryOperation lets the disk be full, or short of something else,
// from each of its operations on during a short life of a store: a start with
// logs to replay, writes of all kinds, flushes, a checkpoint, a feature's and a
// dictionary's first use, a sweep. Nothing ends the process, reads of what nobody
// writes are answered before there is space, a power cut then loses nothing
// acknowledged, and all goes on when there is.
func TestShortageAtEveryOperation(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	base := storeWithLogs(t)
	operations := newShortLife(t, base, syscall.ENOSPC, 1<<40, false).run()
	points, waited, refused := 0, int64(0), int64(0)
	var running sync.WaitGroup
	slots := make(chan struct{}, 8)
	for at := range operations {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE} {
			for _, once := range []bool{false, true} {
				if !long && rng.IntN(200) > 0 {
					continue
				}
				points++
				slots <- struct{}{}
				running.Go(func() {
					defer func() { <-slots }()
					l := newShortLife(t, base, errno, at, once)
					l.run()
					atomic.AddInt64(&waited, l.waited)
					atomic.AddInt64(&refused, l.refused)
				})
			}
		}
	}
	running.Wait()
	figures(t, "%d shortages at %d operations: %d commands were done when they were over, %d refused; nothing was lost",
		points, operations, waited, refused)
}

// storeWithLogs is the disk of a store that was killed, with tables and a log.
func storeWithLogs(t *testing.T) *vfs.MemFS {
	disk := vfs.NewCrashableMem()
	l := &shortLife{t: t, values: make(map[string]string)}
	store, err := engine.Open(l.options(disk))
	must(t, err)
	l.store = store
	for i := range 20 {
		l.write(session.Command{Op: session.OpSet}, stableKey(i), 1000)
	}
	must(t, store.Settle())
	for i := range 20 {
		l.write(session.Command{Op: session.OpSet}, stableKey(20+i), 1000)
	}
	clone := disk.CrashClone(vfs.CrashCloneCfg{})
	must(t, store.Close())
	return clone
}

func stableKey(i int) string { return fmt.Sprint("stable", i) }

// shortLife is a store whose disk is short of something from one operation on.
type shortLife struct {
	t     *testing.T
	errno syscall.Errno
	at    int64
	once  bool // the operation alone fails, and not all until the shortage is over

	disk    *vfs.MemFS
	seen    atomic.Int64 // operations that change the disk
	over    atomic.Bool
	noticed sync.Once
	watched sync.WaitGroup
	clock   atomic.Int64 // seconds

	store *engine.Store

	mu     sync.Mutex
	opened bool              // reads are answered
	values map[string]string // what was acknowledged; "": the key is absent
	doubt  string            // the key that is being written

	waited, refused int64
}

func newShortLife(t *testing.T, base *vfs.MemFS, errno syscall.Errno, at int64, once bool) *shortLife {
	l := &shortLife{t: t, errno: errno, at: at, once: once, disk: cloneDisk(base), values: make(map[string]string)}
	for i := range 40 {
		l.values[stableKey(i)] = valueFor(stableKey(i), 1000)
	}
	return l
}

func (l *shortLife) options(fs vfs.FS) engine.Options {
	return engine.Options{
		Dir: "data", FS: fs, Logger: slog.New(slog.DiscardHandler), HotBytes: 8 << 10, BlockCacheBytes: 64 << 10,
		MemtableBytes: 64 << 10, MaxValueSize: 64 << 10, DropEvery: -1, SpareLogs: 2, DiskReserve: -1,
		Wall:  func() time.Time { return time.Unix(1_800_000_000+l.clock.Load(), 0) },
		Fatal: func(err error) { panic(fmt.Sprint("at ", l.at, ": ", err)) },
	}
}

// maybeError is asked about every operation.
func (l *shortLife) maybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpLink, errorfs.OpRename, errorfs.OpMkdirAll, errorfs.OpOpenDir, errorfs.OpReuseForWrite,
		errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFilePreallocate:
	default:
		return nil
	}
	n := l.seen.Add(1) - 1
	if n < l.at || n > l.at && l.once || l.over.Load() {
		return nil
	}
	l.noticed.Do(func() { l.watched.Go(l.endShortage) })
	return &os.PathError{Op: "injected", Path: op.Path, Err: l.errno}
}

// endShortage looks at the store on the full disk, and at what a power cut would
// leave of it, and then lets there be space.
func (l *shortLife) endShortage() {
	defer l.over.Store(true)
	if l.once {
		return
	}
	l.mu.Lock()
	opened := l.opened
	l.mu.Unlock()
	if opened {
		for i := range 40 {
			b := &session.Burst{Now: l.store.Now()}
			*b.Add() = session.Command{Op: session.OpGet, Key: []byte(stableKey(i))}
			session.Do(l.store, b)
			if r := &b.Results[0]; string(r.Item.Value) != valueFor(stableKey(i), 1000) {
				l.t.Errorf("shortage %v from operation %d on: read of %s: %d %v", l.errno, l.at, stableKey(i), r.Status, r.Err)
			}
		}
	}
	l.mu.Lock()
	acknowledged, doubt := make(map[string]string), l.doubt
	for key, value := range l.values {
		acknowledged[key] = value
	}
	l.mu.Unlock()
	l.verify(l.disk.CrashClone(vfs.CrashCloneCfg{}), acknowledged, doubt)
}

// run lives, and returns how many operations changed the disk.
func (l *shortLife) run() int64 {
	fs := inject(l.disk, errorfs.InjectorFunc(l.maybeError))
	store, err := engine.Open(l.options(fs))
	if errors.Is(err, l.errno) { // it could not even begin, and says why
		l.watched.Wait()
		store, err = engine.Open(l.options(fs))
	}
	if err != nil {
		l.t.Errorf("shortage %v from operation %d on: open: %v", l.errno, l.at, err)
		l.watched.Wait()
		return 0
	}
	l.mu.Lock()
	l.store, l.opened = store, true
	l.mu.Unlock()
	l.live()
	l.mu.Lock()
	l.opened = false
	l.mu.Unlock()
	if err := store.Close(); err != nil {
		l.t.Errorf("shortage %v from operation %d on: close: %v", l.errno, l.at, err)
	}
	operations := l.seen.Load()
	l.watched.Wait()
	l.verify(l.disk, l.values, "")
	return operations
}

func (l *shortLife) live() {
	for i := range 12 {
		key := fmt.Sprint("k", i%6)
		l.write(session.Command{Op: session.OpSet}, key, 3000)
		l.write(session.Command{Op: session.OpTouch}, fmt.Sprint("k", (i+1)%6), 0)
		l.write(session.Command{Op: session.OpDelete}, fmt.Sprint("k", (i+2)%6), 0)
	}
	l.try(l.store.PrepareLogs(context.Background()))
	l.try(l.store.Settle())
	l.try(l.store.Checkpoint("copy"))
	l.write(session.Command{Op: session.OpSet, Mods: session.Tracked, Owner: []byte("somebody")}, "owned", 100)
	for i := range 30 {
		l.write(session.Command{Op: session.OpSet}, fmt.Sprint("r", i), 4000) // several logs
	}
	l.try(l.store.TrainDictionaries(context.Background()))
	l.clock.Add(3 * 24 * 3600)
	l.store.Tick(context.Background())
	l.try(l.store.DropExpired(context.Background()))
	l.watched.Wait()
	l.write(session.Command{Op: session.OpSet}, "last", 100)
	if l.over.Load() && l.values["last"] == "" {
		l.t.Errorf("shortage %v from operation %d on: it is over, and a write is refused", l.errno, l.at)
	}
}

// try lets what is not a command fail for want of something.
func (l *shortLife) try(err error) {
	if err != nil && !errors.Is(err, l.errno) && !errors.Is(err, session.ErrNoSpace) {
		l.t.Errorf("shortage %v from operation %d on: %v", l.errno, l.at, err)
	}
}

func valueFor(key string, size int) string {
	return string(bytes.Repeat([]byte(key+" "), size/(len(key)+1)))
}

func (l *shortLife) write(c session.Command, key string, size int) {
	c.Key, c.Expiry = []byte(key), session.Never
	value, had := "", l.values[key]
	switch c.Op {
	case session.OpSet:
		value = valueFor(key, size)
		c.Value = []byte(value)
	case session.OpTouch:
		value = had
	}
	l.mu.Lock()
	l.doubt = key
	l.mu.Unlock()
	before := l.seen.Load()
	b := &session.Burst{Now: l.store.Now()}
	*b.Add() = c
	session.Do(l.store, b)
	r := &b.Results[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubt = ""
	switch {
	case r.Status == session.OK:
		l.values[key] = value
		if before <= l.at && l.at < l.seen.Load() {
			l.waited++
		}
	case r.Status == session.Failed && errors.Is(r.Err, session.ErrNoSpace):
		l.refused++
	case r.Status != session.NotFound || had != "":
		l.t.Errorf("shortage %v from operation %d on: op %d on %s: %d %v", l.errno, l.at, c.Op, key, r.Status, r.Err)
	}
}

// verify opens the store on a healthy disk and looks for what was acknowledged.
func (l *shortLife) verify(disk vfs.FS, values map[string]string, doubt string) {
	store, err := engine.Open(l.options(disk))
	if err != nil {
		l.t.Errorf("shortage %v from operation %d on: open afterwards: %v", l.errno, l.at, err)
		return
	}
	defer store.Close()
	for key, value := range values {
		if key == doubt {
			continue
		}
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
		session.Do(store, b)
		if r := &b.Results[0]; string(r.Item.Value) != value {
			l.t.Errorf("shortage %v from operation %d on: %s holds %d bytes (%d %v), want %d",
				l.errno, l.at, key, len(r.Item.Value), r.Status, r.Err, len(value))
			return
		}
	}
}
