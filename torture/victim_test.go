package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

// TestDiskErrors lets each kind of disk operation fail, for a while or from
// some moment on, with each errno, in a process of its own: the store may end
// that process, where it cannot go on. Whatever happens, what it acknowledged
// is there afterwards on a healthy disk, it does not flood its log, and if it
// went on, it works as soon as the disk does.
func TestDiskErrors(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	died, lived, spared, acknowledged := 0, 0, 0, 0
	for _, kind := range diskOperations {
		met := 0
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
			if !long && rng.IntN(8) > 0 {
				continue
			}
			for try := range rounds(1, 6) {
				f := &diskFault{kind: kind, errno: errno, first: rng.IntN(pick(rng, 3, 40, 400)), length: pick(rng, 1, 5, 100)}
				if errno == syscall.ENOSPC {
					f.length = pick(rng, 1, 3, 8) // what meets it waits before it tries again
				}
				if try == 0 && long {
					f.first = 0 // some operations come once
				}
				v := runVictim(t, f)
				switch {
				case !v.met:
					spared++
				case v.died:
					died++
				default:
					lived++
				}
				if v.met {
					met++
				}
				acknowledged += len(v.acknowledged)
				v.check(t, f)
				if t.Failed() {
					return
				}
			}
		}
		if long && met == 0 {
			t.Errorf("no process met an error of kind %d", kind)
		}
	}
	figures(t, "%d processes met disk errors: %d ended themselves, %d went on; %d ended before one came; %d acknowledged writes checked",
		died+lived, died, lived, spared, acknowledged)
}

// diskOperations are the kinds of operation that an engine's disk is asked for,
// aside from closing files, which errorfs never lets fail, and from early syncs
// of tables larger than the victims'.
var diskOperations = []errorfs.OpKind{
	errorfs.OpCreate, errorfs.OpLink, errorfs.OpRemoveAll, errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpRemove, errorfs.OpRename,
	errorfs.OpMkdirAll, errorfs.OpLock, errorfs.OpList, errorfs.OpFilePreallocate,
	errorfs.OpStat, errorfs.OpGetDiskUsage, errorfs.OpFileRead, errorfs.OpFileReadAt,
	errorfs.OpFileWrite, errorfs.OpFileStat, errorfs.OpFileSync, errorfs.OpFileSyncData,
}

// diskFault makes operations of one kind fail: length of them, after the first.
type diskFault struct {
	kind          errorfs.OpKind
	errno         syscall.Errno
	first, length int

	seen atomic.Int64
	met  sync.Once
}

func (f *diskFault) String() string {
	return fmt.Sprintf("%d %d %d %d", f.kind, int(f.errno), f.first, f.length)
}

func parseFault(s string) (*diskFault, error) {
	f := new(diskFault)
	var kind, errno int
	_, err := fmt.Sscan(s, &kind, &errno, &f.first, &f.length)
	f.kind, f.errno = errorfs.OpKind(kind), syscall.Errno(errno)
	return f, err
}

// MaybeError makes diskFault an errorfs.Injector.
func (f *diskFault) MaybeError(op errorfs.Op) error {
	if op.Kind != f.kind {
		return nil
	}
	n := f.seen.Add(1) - 1
	if n < int64(f.first) || n >= int64(f.first+f.length) {
		return nil
	}
	f.met.Do(func() { fmt.Println("met", n) })
	return &os.PathError{Op: "injected", Path: op.Path, Err: f.errno}
}

const (
	victimEnv    = "CAIRN_TORTURE_VICTIM" // a diskFault; makes the test binary a victim
	victimDirEnv = "CAIRN_TORTURE_VICTIM_DIR"

	victimWrites = 400
	victimStall  = 3 // exit status: a write was neither done nor refused
	victimWrong  = 4 // exit status: an answer was wrong
)

func victimOptions(fs vfs.FS) engine.Options {
	return engine.Options{
		Dir: os.Getenv(victimDirEnv), FS: fs, HotBytes: -1, MemtableBytes: 64 << 10, BlockCacheBytes: 64 << 10,
		DiskReserve: -1, DropEvery: -1, MaxValueSize: 64 << 10,
		Compression: engine.CompressionOff, // so that there are tables soon
	}
}

// victimMain is the process that meets the errors. It prints a line for each
// write that was acknowledged.
func victimMain(scenario string) int {
	fault, err := parseFault(scenario)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	disk := inject(vfs.Default, fault)
	store, err := engine.Open(victimOptions(disk))
	if err != nil {
		fmt.Fprintln(os.Stderr, "open:", err)
		return 1
	}
	for i := range victimWrites {
		if status := victimStep(store, i); status != 0 {
			return status
		}
		if i%50 == 49 {
			store.DropExpired(context.Background())
			copied := fmt.Sprintf("%s-copy-%d", os.Getenv(victimDirEnv), i)
			if err := errors.Join(store.Checkpoint(copied), disk.RemoveAll(copied)); err != nil {
				fmt.Fprintln(os.Stderr, "refused:", err)
			}
		}
	}
	// The errors are over, or never came: everything works.
	for i := victimWrites; i < victimWrites+20; i++ {
		if seen := fault.seen.Load(); seen > int64(fault.first) && seen < int64(fault.first+fault.length) {
			break // or they are not over
		}
		if !victimRecovers(store, i) {
			fmt.Fprintln(os.Stderr, "a write failed on a healthy disk")
			return victimWrong
		}
	}
	if err := store.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "close:", err)
		return 1
	}
	return 0
}

// victimRecovers writes until that is done. After a shortage of space the store tries again
// now and then, and refuses what grows meanwhile.
func victimRecovers(store *engine.Store, i int) bool {
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if victimWrite(store, i, time.Minute) {
			return true
		}
	}
	return false
}

func victimKey(i int) string   { return fmt.Sprintf("key%d", i%150) }
func victimValue(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("v", i%900)) }

// victimStep writes, and reads what an earlier write left.
func victimStep(store *engine.Store, i int) int {
	victimWrite(store, i, 20*time.Second)
	b := &session.Burst{Now: store.Now()}
	key := victimKey(i / 2)
	*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
	session.Do(store, b)
	if r := &b.Results[0]; r.Status == session.OK {
		n, _, _ := strings.Cut(string(r.Item.Value), " ")
		if from, err := strconv.Atoi(n); err != nil || victimKey(from) != key || victimValue(from) != string(r.Item.Value) {
			fmt.Fprintf(os.Stderr, "%s holds %.60q\n", key, r.Item.Value)
			return victimWrong
		}
	}
	return 0
}

// victimWrite writes and waits. A write that takes longer than most was neither
// acknowledged nor refused.
func victimWrite(store *engine.Store, i int, most time.Duration) (ok bool) {
	stalled := time.AfterFunc(most, func() { os.Exit(victimStall) })
	defer stalled.Stop()
	b := &session.Burst{Now: store.Now()}
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte(victimKey(i)), Value: []byte(victimValue(i)), Expiry: session.Never}
	fmt.Println("begin", i)
	session.Do(store, b)
	if b.Results[0].Status == session.OK {
		fmt.Println("done", i)
		return true
	}
	fmt.Fprintln(os.Stderr, "refused:", b.Results[0].Err)
	return false
}

// victim is what became of a process.
type victim struct {
	dir          string
	met          bool // an error
	died         bool
	exit         int
	acknowledged []int
	doubtful     map[int]bool // begun, neither acknowledged nor followed
	log          *tail
}

func runVictim(t *testing.T, f *diskFault) *victim {
	t.Helper()
	v := &victim{dir: filepath.Join(t.TempDir(), "data"), log: new(tail), doubtful: make(map[int]bool)}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+f.String(), victimDirEnv+"="+v.dir)
	cmd.Stderr = v.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.read(out)
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		v.died, v.exit = true, exit.ExitCode()
	}
	return v
}

func (v *victim) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var word string
		var i int
		fmt.Sscan(lines.Text(), &word, &i)
		switch word {
		case "met":
			v.met = true
		case "begin":
			v.doubtful[i] = true
		case "done":
			v.doubtful[i] = false
			v.acknowledged = append(v.acknowledged, i)
		}
	}
}

// check opens the store on a healthy disk and looks for what was acknowledged.
func (v *victim) check(t *testing.T, f *diskFault) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Errorf("fault %q: %s\nexit %d, log:\n%s", f.String(), fmt.Sprintf(format, args...), v.exit, v.log)
	}
	if lines, bytes := v.log.count(); lines > 2000 || bytes > 1<<20 {
		fail("a flood of %d lines, %d bytes in the log", lines, bytes)
	}
	switch {
	case f.errno == syscall.ENOSPC && v.exit == 1 && strings.Contains(v.log.String(), "cannot go on"):
		fail("a full disk has ended the process")
	case v.exit <= 1:
	case v.exit == 2 && strings.Contains(v.log.String(), "panic: ") && strings.Contains(v.log.String(), "(*DB).rotateWAL"):
		// Pebble itself panics when it cannot make its next log.
	default:
		fail("the process ended with status %d", v.exit)
	}
	o := victimOptions(vfs.Default)
	o.Dir, o.Logger = v.dir, slog.New(slog.DiscardHandler)
	store, err := engine.Open(o)
	if err != nil {
		fail("open on a healthy disk: %v", err)
		return
	}
	defer store.Close()
	last := make(map[string]int) // the last acknowledged write of each key
	for _, i := range v.acknowledged {
		last[victimKey(i)] = i
	}
	for key, i := range last {
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
		session.Do(store, b)
		got := string(b.Results[0].Item.Value)
		if got == victimValue(i) {
			continue
		}
		n, _, _ := strings.Cut(got, " ")
		from, err := strconv.Atoi(n)
		if err != nil || from < i || !v.doubtful[from] || got != victimValue(from) {
			fail("%s: status %d, value %.40q, want that of write %d", key, b.Results[0].Status, got, i)
		}
	}
}

// TestStalledDisk holds operations of the log back, or all that change the disk,
// for seconds: writes wait without an answer, reads go on, and the writes are
// acknowledged once the disk moves again.
func TestStalledDisk(t *testing.T) {
	t.Parallel()
	isSync := func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	}
	for name, stalls := range map[string]func(errorfs.Op) bool{
		"syncs":  isSync,
		"writes": func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite },
		"all":    func(op errorfs.Op) bool { return changesDisk(op.Kind) },
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); stallDisk(t, stalls) })
	}
}

func stallDisk(t *testing.T, stalls func(errorfs.Op) bool) {
	var held atomic.Pointer[chan struct{}]
	fs := inject(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if gate := held.Load(); gate != nil && stalls(op) {
			<-*gate
		}
		return nil
	}))
	store, err := engine.Open(engine.Options{Dir: "data", FS: fs, DropEvery: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	do := func(c session.Command) session.Result {
		b := &session.Burst{Now: store.Now()}
		c.Expiry = session.Never
		*b.Add() = c
		session.Do(store, b)
		return b.Results[0]
	}
	if r := do(session.Command{Op: session.OpSet, Key: []byte("old"), Value: []byte("v")}); r.Status != session.OK {
		t.Fatal(r)
	}
	gate := make(chan struct{})
	held.Store(&gate)
	var answered atomic.Int64
	done := make(chan session.Result)
	const writers = 20
	for i := range writers {
		go func() {
			r := do(session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "new%d", i), Value: []byte("v")})
			answered.Add(1)
			done <- r
		}()
	}
	for range 1000 {
		if r := do(session.Command{Op: session.OpGet, Key: []byte("old")}); string(r.Item.Value) != "v" {
			t.Fatalf("a read on a stalled disk: %+v", r)
		}
	}
	time.Sleep(span(20*time.Millisecond, 8*time.Second)) // beyond what Pebble calls slow
	if r := do(session.Command{Op: session.OpGet, Key: []byte("old")}); string(r.Item.Value) != "v" {
		t.Fatalf("a read on a stalled disk: %+v", r)
	}
	if n := answered.Load(); n > 0 {
		t.Errorf("%d writes were answered before any sync", n)
	}
	held.Store(nil)
	close(gate)
	for range writers {
		if r := <-done; r.Status != session.OK {
			t.Errorf("after the stall: %+v", r)
		}
	}
}
