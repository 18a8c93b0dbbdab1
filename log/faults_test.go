package log_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/bubble"
	"cairn/log"
)

// The tests below run in bubbles (testing/synctest): the log's timers go by a time
// that passes only while all goroutines wait.

// gate holds operations on files whose path has a prefix, until the end of the
// test at the latest.
type gate struct {
	over   <-chan struct{}
	mu     sync.Mutex
	prefix string      // "": none
	held   []chan bool // oldest first; gets whether to go on whatever the prefix is
	err    error       // of operations instead of holding them
}

func newGate(t *testing.T) *gate { return &gate{over: t.Context().Done()} }

// set holds operations of another prefix, or lets them fail. Those that are held
// already are treated like new ones.
func (g *gate) set(prefix string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prefix, g.err = prefix, err
	for _, op := range g.held {
		op <- false
	}
	g.held = nil
}

// hold holds operations of another prefix; who is held already stays so.
func (g *gate) hold(prefix string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.prefix = prefix
}

func (g *gate) do(path string, op func() error) error {
	for {
		held, err := g.enter(path)
		if err != nil {
			return err
		}
		if held == nil {
			return op()
		}
		select {
		case freed := <-held:
			if freed {
				return op()
			}
		case <-g.over:
			return op()
		}
	}
}

// enter returns what an operation that is to be held waits for.
func (g *gate) enter(path string) (chan bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.prefix == "" || !strings.HasPrefix(path, g.prefix) {
		return nil, nil
	}
	if g.err != nil {
		return nil, g.err
	}
	held := make(chan bool, 1)
	g.held = append(g.held, held)
	return held, nil
}

// step lets the operation go on that has been held for longest.
func (g *gate) step() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[0] <- true
	g.held = g.held[1:]
}

// wantHeld checks that n operations are held when everything has come to rest.
func (g *gate) wantHeld(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.held) != n {
		t.Fatalf("%d operations are held, not %d", len(g.held), n)
	}
}

const failoverAfter = 100 * time.Millisecond

// withFailover returns options of a log with a failover directory, and what
// holds its syncs.
func withFailover(t *testing.T) (log.Options, *vfs.MemFS, *gate) {
	fs, g := vfs.NewCrashableMem(), newGate(t)
	o := log.Options{Dir: "log", FailoverDir: "failover", FS: fs, SegmentSize: 64 << 10, MaxWindow: -1, Spares: -1}
	o.Hook(log.Hooks{Sync: g.do})
	return o, fs, g
}

// start asks for a sync of all there is.
func start(l *log.Log) chan error {
	done := make(chan error, 1)
	l.Sync(l.Next()-1, func(err error) { done <- err })
	return done
}

func add(t testing.TB, l *log.Log, n int) {
	t.Helper()
	for range n {
		appendAll(t, l, record(l.Next(), 100))
	}
}

// syncDuringStall holds the operations in a directory, and checks that a sync of 10 more
// records meets that and succeeds all the same.
func syncDuringStall(t *testing.T, l *log.Log, g *gate, prefix string) {
	t.Helper()
	g.set(prefix, nil)
	add(t, l, 10)
	done := start(l)
	g.wantHeld(t, 1)
	if err := outcome(done); err != nil {
		t.Fatal(err)
	}
}

// A disk that does not answer does not hold up the log for long, and gets it back
// when it has answered quickly for a while. A crash at any time loses nothing.
func TestFailoverAndBack(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, fs, g := withFailover(t)
		l := open(t, o)
		write(t, l, 50, 100)
		syncDuringStall(t, l, g, "log/")
		expect(t, l, 1, 60, 100)
		if f := l.Figures(); !f.Away || f.Failovers != 1 {
			t.Errorf("%+v", f)
		}
		write(t, l, 100, 100)
		afterCrash(t, o, fs, 100)

		g.set("", nil)
		for l.Figures().Away && l.Next() < 150 {
			time.Sleep(time.Second)
			synctest.Wait() // the disk has been tried
			write(t, l, l.Next(), 100)
		}
		write(t, l, 150, 100)
		if f := l.Figures(); f.Away || f.Failovers != 1 {
			t.Errorf("%+v", f)
		}
		if len(list(t, fs, "failover", ".seg")) == 0 {
			t.Error("the failover directory had no segment")
		}
		afterCrash(t, o, fs, 150)
		expect(t, l, 1, 150, 100)
		if err := l.Truncate(151); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		l = open(t, o)
		expect(t, l, 151, 150, 100)
		if left := list(t, fs, "failover", ".seg"); len(left) > 0 {
			t.Errorf("%q are left", left)
		}
	})
}

// afterCrash checks that a log opened on what a power failure leaves of fs has
// the records up to last.
func afterCrash(t *testing.T, o log.Options, fs *vfs.MemFS, last log.Position) {
	t.Helper()
	for i := range 6 {
		rng := rand.New(rand.NewPCG(uint64(last), uint64(i)))
		clean := log.Options{Dir: o.Dir, FailoverDir: o.FailoverDir, SegmentSize: o.SegmentSize}
		clean.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 20 * i, RNG: rng})
		l, err := log.Open(clean)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, l, 1, last, 100)
		mustClose(t, l)
	}
}

// The failover directory stalls too, when the log's own has come back to life.
func TestFailoverStalls(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, fs, g := withFailover(t)
		l := open(t, o)
		write(t, l, 10, 100)
		syncDuringStall(t, l, g, "log/")
		// What was late in the log's own directory has to end first.
		syncDuringStall(t, l, g, "failover/")
		if f := l.Figures(); f.Away || f.Failovers != 2 {
			t.Errorf("%+v", f)
		}
		expect(t, l, 1, 30, 100)
		afterCrash(t, o, fs, 30)
		g.set("", nil)
	})
}

// While both disks stall the log waits, and says for how long.
func TestBothStall(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, _, g := withFailover(t)
		l := open(t, o)
		write(t, l, 10, 100)
		g.set("log/", nil)
		add(t, l, 1)
		done := start(l)
		g.wantHeld(t, 1)
		g.hold("failover/")
		time.Sleep(failoverAfter)
		g.wantHeld(t, 2) // the segment in the failover directory cannot be begun
		time.Sleep(5 * failoverAfter)
		g.wantHeld(t, 2)
		select {
		case err := <-done:
			t.Fatalf("acknowledged: %v", err)
		default:
		}
		if got := l.SyncTime(); got < 5*failoverAfter {
			t.Errorf("the sync has taken %v", got)
		}
		g.set("", nil)
		if err := outcome(done); err != nil {
			t.Fatal(err)
		}
		expect(t, l, 1, 11, 100)
	})
}

var errIO = fmt.Errorf("injected: %w", syscall.EIO)

// A failed sync is never tried again on that file: what it was to write is
// written elsewhere, and what was acknowledged before stays.
func TestFailedSyncFailsOver(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, fs, g := withFailover(t)
		l := open(t, o)
		write(t, l, 50, 100)
		g.set("log/", errIO)
		write(t, l, 100, 100)
		if f := l.Figures(); !f.Away || f.Failovers != 1 || f.Ended {
			t.Errorf("%+v", f)
		}
		expect(t, l, 1, 100, 100)
		afterCrash(t, o, fs, 100)
	})
}

// Without a failover directory a failed sync is the end.
func TestFailedSyncIsFinal(t *testing.T) {
	g := newGate(t)
	o := log.Options{Dir: "log", FS: vfs.NewCrashableMem(), SegmentSize: 64 << 10}
	o.Hook(log.Hooks{Sync: g.do})
	l := open(t, o)
	write(t, l, 50, 100)
	g.set("log/", errIO)
	add(t, l, 1)
	if err := wait(l, 51); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	g.set("", nil)
	for what, err := range map[string]error{
		"append": second(l.Append(nil)), "sync": wait(l, 51), "truncate": l.Truncate(2), "err": l.Err(), "close": l.Close(),
	} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if f := l.Figures(); l.Durable() != 50 || f.Records != 51 {
		t.Errorf("%d is durable, %+v", l.Durable(), f)
	}
	o.FS = o.FS.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	l = open(t, o)
	expect(t, l, 1, 50, 100)
}

// A write that fails for good is like a failed sync.
func TestFailedWriteIsFinal(t *testing.T) {
	g := newGate(t)
	o := log.Options{Dir: "log", FS: vfs.NewMem(), SegmentSize: 64 << 10}
	o.Hook(log.Hooks{Write: g.do})
	l := open(t, o)
	g.set("log/", errIO)
	add(t, l, 1)
	if err := wait(l, 1); !errors.Is(err, syscall.EIO) || !errors.Is(l.Close(), syscall.EIO) {
		t.Fatal(err)
	}
}

// A full disk delays the log; it goes on by itself.
func TestNoSpace(t *testing.T) {
	for _, place := range []string{"write", "create"} {
		t.Run(place, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				g := newGate(t)
				o := log.Options{Dir: "log", SegmentSize: 64 << 10, MaxWindow: -1, Spares: -1}
				var messages bytes.Buffer
				o.Logger = slog.New(slog.NewTextHandler(&messages, nil))
				mem := vfs.NewCrashableMem()
				o.FS = mem
				if place == "write" {
					o.Hook(log.Hooks{Write: g.do})
				} else {
					o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
						if op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpFilePreallocate || op.Kind == errorfs.OpFileWriteAt && op.Offset == 0 {
							return g.do(op.Path, func() error { return nil })
						}
						return nil
					}))
				}
				l := open(t, o)
				write(t, l, 500, 100)
				g.set("log/", fmt.Errorf("injected: %w", syscall.ENOSPC))
				add(t, l, 1000) // more than one segment
				done := start(l)
				time.Sleep(time.Minute)
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatalf("on a full disk: %v", err)
				default:
				}
				if !l.Figures().WaitsForSpace {
					t.Error("it does not say that it waits for space")
				}
				g.set("", nil)
				if err := outcome(done); err != nil {
					t.Fatal(err)
				}
				if l.Figures().WaitsForSpace {
					t.Error("it says that it waits for space")
				}
				expect(t, l, 1, 1500, 100)
				if n := strings.Count(messages.String(), "waits for disk space"); n != 1 {
					t.Errorf("said %d times: %s", n, messages.String())
				}
				afterCrash(t, o, mem, 1500)
			})
		})
	}
}

// A log opens on a full disk, can be read, and takes records when there is space.
func TestOpenWithoutSpace(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := newGate(t)
		mem := vfs.NewCrashableMem()
		o := log.Options{Dir: "log", FS: mem, SegmentSize: 64 << 10, MaxWindow: -1, Spares: -1}
		l := open(t, o)
		write(t, l, 100, 100)
		mustClose(t, l)
		o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFilePreallocate {
				return g.do(op.Path, func() error { return nil })
			}
			return nil
		}))
		g.set("log/", syscall.ENOSPC)
		l = open(t, o)
		expect(t, l, 1, 100, 100)
		mustClose(t, l)
		l = open(t, o)
		add(t, l, 1)
		done := start(l)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, l, 1, 101, 100)
		g.set("", nil)
		if err := outcome(done); err != nil {
			t.Fatal(err)
		}
		expect(t, l, 1, 101, 100)
		afterCrash(t, o, mem, 101)
	})
}

// The failover directory has space when the log's own has none.
func TestFailoverForSpace(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, mem, g := withFailover(t)
		o.Hook(log.Hooks{})
		o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFilePreallocate {
				return g.do(op.Path, func() error { return nil })
			}
			return nil
		}))
		l := open(t, o)
		write(t, l, 100, 100)
		g.set("log/", syscall.ENOSPC)
		add(t, l, 2000) // more than one segment
		if err := outcome(start(l)); err != nil {
			t.Fatal(err)
		}
		if f := l.Figures(); !f.Away || f.WaitsForSpace {
			t.Errorf("%+v", f)
		}
		expect(t, l, 1, 2100, 100)
		afterCrash(t, o, mem, 2100)
	})
}

// A log that waits for space can be closed.
func TestCloseWithoutSpace(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := newGate(t)
		o := log.Options{Dir: "log", FS: vfs.NewMem()}
		o.Hook(log.Hooks{Write: g.do})
		l := open(t, o)
		g.set("log/", syscall.ENOSPC)
		add(t, l, 1)
		done := start(l)
		if err := l.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("close: %v", err)
		}
		if err := <-done; !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("sync: %v", err)
		}
	})
}

// A file system that opens files for direct writes and refuses them gets
// buffered ones.
func TestDirectWritesRefused(t *testing.T) {
	mem := vfs.NewCrashableMem()
	o := log.Options{Dir: "log", FS: mem, SegmentSize: 64 << 10}
	refused := 0
	o.Hook(log.Hooks{Write: func(_ string, write func() error) error {
		if refused++; refused == 5 || refused == 9 {
			return log.ErrNoDirect
		}
		return write()
	}})
	l := open(t, o)
	write(t, l, 300, 100)
	expect(t, l, 1, 300, 100)
	if refused < 9 {
		t.Fatal("there were too few writes")
	}
	afterCrash(t, o, mem, 300)
}

// Append waits when too much is pending.
func TestAppendWaits(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := newGate(t)
		o := log.Options{Dir: "log", FS: vfs.NewMem(), MaxPending: 100 << 10}
		o.Hook(log.Hooks{Sync: g.do})
		l := open(t, o)
		g.set("log/", nil)
		appendAll(t, l, make([]byte, 10))
		done := start(l)
		g.wantHeld(t, 1)
		appendAll(t, l, make([]byte, 90<<10))
		appended := make(chan error, 1)
		go func() {
			_, err := l.Append(make([]byte, 20<<10))
			appended <- err
		}()
		if f := l.Figures(); f.PendingBytes > 100<<10 {
			t.Errorf("%d bytes are pending", f.PendingBytes)
		}
		g.set("", nil)
		if err := errors.Join(outcome(done), outcome(appended)); err != nil {
			t.Fatal(err)
		}
		syncTo(t, l, 3)
	})
}

// A log that is closed or ends wakes who waits in Append.
func TestAppendWaitsInVain(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := newGate(t)
		o := log.Options{Dir: "log", FS: vfs.NewMem(), MaxPending: 1000}
		o.Hook(log.Hooks{Sync: g.do})
		l := open(t, o)
		g.set("log/", nil)
		appendAll(t, l, make([]byte, 10))
		done := start(l)
		g.wantHeld(t, 1)
		appendAll(t, l, make([]byte, 900))
		appended := make(chan error, 1)
		go func() {
			_, err := l.Append(make([]byte, 900))
			appended <- err
		}()
		g.set("log/", errIO)
		if err := outcome(appended); !errors.Is(err, syscall.EIO) {
			t.Errorf("append: %v", err)
		}
		if err := <-done; !errors.Is(err, syscall.EIO) {
			t.Errorf("sync: %v", err)
		}
		if err := l.Close(); !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	})
}

func TestFailoverDirectoryIsNeeded(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, fs, g := withFailover(t)
		l := open(t, o)
		g.set("log/", errIO)
		write(t, l, 10, 100)
		mustClose(t, l)
		g.set("", nil)

		without := o
		without.FailoverDir = ""
		if _, err := log.Open(without); err == nil || !strings.Contains(err.Error(), "failover") {
			t.Errorf("opened without its records: %v", err)
		}
		elsewhere := o
		elsewhere.FailoverDir = "elsewhere"
		if _, err := log.Open(elsewhere); err == nil || !strings.Contains(err.Error(), "failover") {
			t.Errorf("opened with another failover directory: %v", err)
		}
		lost := o
		lost.FS = fs.CrashClone(vfs.CrashCloneCfg{})
		if err := lost.FS.RemoveAll("failover/LOG"); err != nil {
			t.Fatal(err)
		}
		lost.FailoverDir = ""
		if _, err := log.Open(lost); err == nil || !strings.Contains(err.Error(), "put it back") {
			t.Errorf("opened though its failover directory is not there: %v", err)
		}
		foreign := log.Options{Dir: "foreign", FailoverDir: "failover", FS: fs}
		if _, err := log.Open(foreign); !errors.As(err, new(*log.FormatError)) {
			t.Errorf("another log took the directory: %v", err)
		}
		if err := fs.Rename("failover", "moved"); err != nil {
			t.Fatal(err)
		}
		moved := o
		moved.FailoverDir = "moved"
		l = open(t, moved)
		expect(t, l, 1, 10, 100)
		if err := l.Truncate(11); err != nil {
			t.Fatal(err)
		}
		mustClose(t, l)
		l = open(t, moved) // removes the segments
		mustClose(t, l)
		without.FS = fs
		l = open(t, without)
		expect(t, l, 11, 10, 100)
	})
}

// stalls holds an operation now and then, until some others have been done.
type stalls struct {
	mu   sync.Mutex
	rng  *rand.Rand
	free chan struct{} // closed to go on with the one that is held; nil: none is
	left int
	off  bool
}

func (s *stalls) maybe() {
	s.mu.Lock()
	if s.free != nil {
		if s.left--; s.left <= 0 {
			s.release()
		}
		s.mu.Unlock()
		return
	}
	if s.off || s.rng.IntN(20) > 0 {
		s.mu.Unlock()
		return
	}
	free := make(chan struct{})
	s.free, s.left = free, 1+s.rng.IntN(20)
	s.mu.Unlock()
	<-free
}

// release lets the one go on that is held. s.mu is held.
func (s *stalls) release() {
	close(s.free)
	s.free = nil
}

func (s *stalls) set(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off = off; off && s.free != nil {
		s.release()
	}
}

// Disks that stall in turn, and power that fails at any time.
func TestPowerLossWithFailover(t *testing.T) {
	moves := int64(0)
	for seed := *seed0; seed < *seed0+*seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) { moves += powerLossWithFailover(t, seed) })
		})
	}
	if moves < 50 {
		t.Errorf("only %d failovers", moves)
	}
}

func powerLossWithFailover(t *testing.T, seed uint64) (moves int64) {
	s := &stalls{rng: rand.New(rand.NewPCG(seed, 5)), off: true}
	m := newMachine(t, seed, log.Options{
		Spares: 2, FailoverDir: "failover", FailoverAfter: failoverAfter, FailbackEvery: failoverAfter / 20,
	})
	m.o.Hook(log.Hooks{
		Direct: seed%2 == 1,
		Write:  m.write,
		Sync: func(path string, sync func() error) error {
			s.maybe()
			return m.sync(path, sync)
		},
	})
	for range 40 {
		m.fuse = -1
		m.start()
		s.set(false)
		m.mu.Lock()
		m.fuse = 1 + m.rng.IntN(150)
		m.mu.Unlock()
		m.work(200)
		s.set(true)
		moves += m.l.Figures().Failovers
		m.crash()
	}
	return moves
}

// Alone a sync waits for nobody; in a crowd, at most the window.
func TestPace(t *testing.T) {
	const window = 500 * time.Microsecond
	now := time.Unix(100, 0)
	for _, c := range []struct {
		crowd  int
		since  time.Duration // the last write began
		n      int
		window time.Duration
		want   time.Duration
	}{
		{crowd: 1, since: 0, n: 1, window: window, want: 0},
		{crowd: 3, since: 0, n: 1, window: window, want: 0},
		{crowd: 32, since: 0, n: 1, window: window, want: window},
		{crowd: 1000, since: 0, n: 1, window: window, want: window},
		{crowd: 16, since: 0, n: 1, window: window, want: window / 2},
		{crowd: 32, since: 200 * time.Microsecond, n: 1, window: window, want: 300 * time.Microsecond},
		{crowd: 32, since: 0, n: 32, window: window, want: 0}, // all are there
		{crowd: 32, since: 0, n: 1, window: -1, want: 0},
	} {
		if got := log.PaceWait(c.crowd, now.Add(-c.since), now, c.n, c.window); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if got := log.PaceWait(32, now.Add(-time.Second), now, 1, window); got > 0 {
		t.Errorf("a slow disk: %v", got)
	}
}

// Files are removed when it is durable that they may be missing, not before.
func TestTruncationIsDurableFirst(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := newGate(t)
		o := log.Options{Dir: "log", FS: vfs.NewCrashableMem(), SegmentSize: 64 << 10, Spares: -1}
		o.Hook(log.Hooks{Sync: g.do})
		l := open(t, o)
		write(t, l, 200, 2000)
		before := l.Figures().Segments
		g.set("log/", nil)
		appendAll(t, l, record(201, 2000))
		done := start(l)
		g.wantHeld(t, 1)
		if err := l.Truncate(200); err != nil { // while a write is under way that does not say so
			t.Fatal(err)
		}
		g.step()
		if err := outcome(done); err != nil {
			t.Fatal(err)
		}
		g.wantHeld(t, 1) // the write that says so
		if now := l.Figures().Segments; now < before {
			t.Errorf("%d segments have become %d", before, now)
		}
		g.set("", nil)
		write(t, l, 202, 2000)
		mustClose(t, l)
		if left := list(t, o.FS, "log", ".seg"); len(left) > 2 {
			t.Errorf("%q are left", left)
		}
	})
}
