package log_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/log"
)

// open opens a log and closes it at the end of the test.
func open(t testing.TB, o log.Options) *log.Log {
	t.Helper()
	l, err := log.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, log.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

func appendAll(t testing.TB, l *log.Log, records ...[]byte) log.Position {
	t.Helper()
	p, err := l.Append(records...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// syncTo waits until p is durable.
func syncTo(t testing.TB, l *log.Log, p log.Position) {
	t.Helper()
	if err := wait(l, p); err != nil {
		t.Fatalf("sync to %d: %v", p, err)
	}
}

func wait(l *log.Log, p log.Position) error {
	done := make(chan error, 1)
	l.Sync(p, func(err error) { done <- err })
	return outcome(done)
}

var errForEver = errors.New("it takes for ever")

// outcome returns what becomes of something that ends soon, in a time that has
// nothing to do with how busy the machine is.
func outcome(done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Minute):
		return errForEver
	}
}

func mustClose(t testing.TB, l *log.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// record is the record at p: its bytes and length follow from p.
func record(p log.Position, longest int) []byte {
	rng := rand.New(rand.NewPCG(uint64(p), 7))
	n := rng.IntN(longest + 1)
	if rng.IntN(8) > 0 {
		n = rng.IntN(n + 1)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// expect checks that the log has exactly the records from first to last, by
// Replay and by Read.
func expect(t testing.TB, l *log.Log, first, last log.Position, longest int) {
	t.Helper()
	if l.First() != first || l.Next() != last+1 {
		t.Fatalf("the log has records %d to %d, not %d to %d", l.First(), l.Next()-1, first, last)
	}
	p := first
	err := l.Replay(first, func(at log.Position, r []byte) error {
		if at != p || !bytes.Equal(r, record(p, longest)) {
			return fmt.Errorf("at %d instead of %d: %d bytes", at, p, len(r))
		}
		p++
		return nil
	})
	if err != nil || p != last+1 {
		t.Fatalf("replay came to %d of %d: %v", p, last, err)
	}
	for range min(50, last+1-first) {
		p := first + rand.N(last+1-first)
		if r, err := l.Read(p); err != nil || !bytes.Equal(r, record(p, longest)) {
			t.Fatalf("read %d: %d bytes, %v", p, len(r), err)
		}
	}
}

// write appends the records next to last in groups, and syncs some.
func write(t testing.TB, l *log.Log, last log.Position, longest int) {
	t.Helper()
	for p := l.Next(); p <= last; {
		var group [][]byte
		for range min(1+rand.N(log.Position(10)), last+1-p) {
			group = append(group, record(p, longest))
			p++
		}
		if got := appendAll(t, l, group...); got != p-1 {
			t.Fatalf("appended to %d, not %d", got, p-1)
		}
		if rand.N(3) == 0 {
			syncTo(t, l, p-1)
		}
	}
	syncTo(t, l, last)
}

func TestRecordsStay(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		for _, path := range []log.SyncPath{log.SyncMeasured, log.SyncBuffered, log.SyncDirect} {
			t.Run(fmt.Sprintf("%s/%v", name, path), func(t *testing.T) {
				o := log.Options{Dir: filepath.Join(t.TempDir(), "log"), FS: fs, SegmentSize: 64 << 10, SyncPath: path}
				if name == "memory" {
					o.Dir = "log-" + path.String()
				}
				last := log.Position(0)
				for round := range 5 {
					l := open(t, o)
					if l.Next() != last+1 {
						t.Fatalf("round %d: next is %d, not %d", round, l.Next(), last+1)
					}
					last += 200
					write(t, l, last, 3000)
					expect(t, l, 1, last, 3000)
					mustClose(t, l)
				}
			})
		}
	}
}

func TestLargeRecords(t *testing.T) {
	for _, path := range []log.SyncPath{log.SyncBuffered, log.SyncDirect} {
		t.Run(path.String(), func(t *testing.T) {
			o := log.Options{Dir: t.TempDir(), SegmentSize: 64 << 10, SyncPath: path}
			l := open(t, o)
			write(t, l, 100, 600<<10)
			expect(t, l, 1, 100, 600<<10)
			mustClose(t, l)
			l = open(t, o)
			expect(t, l, 1, 100, 600<<10)
		})
	}
}

// What is not durable yet is read from memory.
func TestReadBeforeSync(t *testing.T) {
	l := open(t, log.Options{Dir: "log", FS: vfs.NewMem()})
	for p := log.Position(1); p <= 100; p++ {
		appendAll(t, l, record(p, 100))
	}
	expect(t, l, 1, 100, 100)
	r, err := l.Read(7)
	if err != nil {
		t.Fatal(err)
	}
	clear(r) // it is a copy
	expect(t, l, 1, 100, 100)
}

func TestWrongPositions(t *testing.T) {
	l := open(t, log.Options{Dir: "log", FS: vfs.NewMem()})
	write(t, l, 10, 100)
	if err := l.Truncate(5); err != nil {
		t.Fatal(err)
	}
	nothing := func(log.Position, []byte) error { return nil }
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"read a truncated record", second(l.Read(4)), log.ErrTruncated},
		{"read 0", second(l.Read(0)), log.ErrTruncated},
		{"read the next record", second(l.Read(11)), log.ErrNotAppended},
		{"replay truncated records", l.Replay(4, nothing), log.ErrTruncated},
		{"replay beyond the end", l.Replay(12, nothing), log.ErrNotAppended},
		{"replay nothing", l.Replay(11, nothing), nil},
		{"replay stops", l.Replay(6, func(log.Position, []byte) error { return io.ErrShortBuffer }), io.ErrShortBuffer},
		{"sync beyond the end", wait(l, 11), log.ErrNotAppended},
		{"truncate beyond the end", l.Truncate(12), log.ErrNotAppended},
		{"append too much", second(l.Append(make([]byte, log.MaxRecord+1))), log.ErrTooLarge},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, not %v", c.what, c.got, c.want)
		}
	}
	mustClose(t, l)
	for what, err := range map[string]error{
		"append": second(l.Append(nil)), "read": second(l.Read(6)), "truncate": l.Truncate(8), "close": l.Close(),
	} {
		if !errors.Is(err, log.ErrClosed) {
			t.Errorf("%s after close: %v", what, err)
		}
	}
	if err := wait(l, 10); err != nil {
		t.Errorf("what is durable stays so: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWrongOptions(t *testing.T) {
	for _, o := range []log.Options{
		{},
		{Dir: "log", SegmentSize: 100},
		{Dir: "log", SegmentSize: 1 << 40},
		{Dir: "log", FailoverDir: "log"},
		{Dir: "log", SyncPath: 17},
		{Dir: "log", FailoverAfter: -1},
	} {
		o.FS = vfs.NewMem()
		if l, err := log.Open(o); err == nil {
			t.Errorf("%+v is taken", o)
			mustClose(t, l)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	o := log.Options{Dir: "log", FS: vfs.NewMem()}
	l := open(t, o)
	if _, err := log.Open(o); err == nil {
		t.Fatal("a log is open twice")
	}
	mustClose(t, l)
	open(t, o)
}

// list returns the files of a directory with a suffix, in order.
func list(t testing.TB, fs vfs.FS, dir, suffix string) (names []string) {
	t.Helper()
	all, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Truncated segments are used again: the log needs no more files than its length
// asks for, and what they had held is gone.
func TestSegmentsAreRecycled(t *testing.T) {
	for _, path := range []log.SyncPath{log.SyncBuffered, log.SyncDirect} {
		t.Run(path.String(), func(t *testing.T) {
			o := log.Options{Dir: t.TempDir(), SegmentSize: 64 << 10, SyncPath: path}
			l := open(t, o)
			low := log.Position(1)
			for last := log.Position(100); last <= 3000; last += 100 {
				write(t, l, last, 3000)
				low = last - 50
				if err := l.Truncate(low); err != nil {
					t.Fatal(err)
				}
			}
			if l.Size() > 10*64<<10 {
				t.Errorf("%d bytes are left", l.Size())
			}
			expect(t, l, low, 3000, 3000)
			recycled := l.Figures().Recycled
			mustClose(t, l)
			if recycled < 10 {
				t.Errorf("%d files were used again", recycled)
			}
			l = open(t, o)
			expect(t, l, l.First(), 3000, 3000)
			if l.First() < low-100 {
				t.Errorf("the log begins at %d again, not at %d", l.First(), low)
			}
			if n := len(list(t, vfs.Default, o.Dir, "")); n > 20 {
				t.Errorf("there are %d files", n)
			}
		})
	}
}

func TestManyCallers(t *testing.T) {
	l := open(t, log.Options{Dir: t.TempDir(), SegmentSize: 256 << 10})
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for i := range 50 {
				p, err := l.Append(record(log.Position(i), 500))
				if err == nil {
					err = wait(l, p)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if l.Durable() < p {
					t.Errorf("%d is not durable", p)
				}
				if _, err := l.Read(p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	f := l.Figures()
	if f.Records != 1600 || f.Syncs.Count == 0 || f.Syncs.Count > 1600 || f.WrittenBytes == 0 || f.Ended || f.PendingBytes != 0 {
		t.Errorf("%+v", f)
	}
}
