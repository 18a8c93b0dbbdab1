package log_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/log"
)

var (
	seeds = flag.Uint64("seeds", 6, "random runs of each power loss test")
	seed0 = flag.Uint64("seed", 0, "the first of them")
)

// machine is a log on a machine that loses its power now and then, and what must
// be in it.
type machine struct {
	t       *testing.T
	rng     *rand.Rand
	o       log.Options
	fs      *vfs.MemFS
	l       *log.Log
	records map[log.Position][]byte
	low     log.Position // what has been asked to be truncated
	first   log.Position // the least of what may still be there
	next    log.Position

	mu    sync.Mutex
	acked log.Position
	torn  *rand.Rand
	fuse  int // syncs until the power fails; negative: it has failed
	image *vfs.MemFS
	sure  log.Position // what had been acknowledged then
}

// newMachine makes one whose log has the options o.
func newMachine(t *testing.T, seed uint64, o log.Options) *machine {
	m := &machine{
		t: t, rng: rand.New(rand.NewPCG(seed, 3)), fs: vfs.NewCrashableMem(),
		torn:    rand.New(rand.NewPCG(seed, 4)),
		records: map[log.Position][]byte{}, low: 1, first: 1, next: 1,
	}
	o.Dir, o.SegmentSize = "log", 64<<10
	o.Hook(log.Hooks{Direct: seed%2 == 1, Sync: m.sync, Write: m.write})
	m.o = o
	return m
}

// sync may lose the power before or after a sync.
func (m *machine) sync(_ string, sync func() error) error {
	m.burn()
	err := sync()
	m.burn()
	return err
}

func (m *machine) write(_ string, write func() error) error {
	err := write()
	m.burn()
	return err
}

// burn takes the picture of the disk that the power failure leaves, if it is now.
func (m *machine) burn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fuse--; m.fuse != 0 {
		return
	}
	m.sure = m.acked
	m.image = tear(m.t, m.torn, m.fs)
}

// tear returns a disk on which of what was not synced some sectors of 512 bytes
// and some entries of directories are as they were before.
func tear(t testing.TB, rng *rand.Rand, fs *vfs.MemFS) *vfs.MemFS {
	synced := fs.CrashClone(vfs.CrashCloneCfg{})
	written := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	torn := vfs.NewCrashableMem()
	for _, dir := range []string{"log", "failover"} {
		names := map[string]bool{}
		for _, fs := range []*vfs.MemFS{synced, written} {
			entries, _ := fs.List(dir)
			for _, name := range entries {
				names[name] = true
			}
		}
		if len(names) == 0 {
			continue
		}
		if err := torn.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for name := range names {
				if !yield(name) {
					return
				}
			}
		}) {
			path := dir + "/" + name
			before, was := content(t, synced, path)
			after, is := content(t, written, path)
			if was != is && rng.IntN(2) == 0 {
				continue
			}
			size := max(len(before), len(after))
			data := append(bytes.Clone(before), make([]byte, size-len(before))...)
			for at := 0; at < len(after); at += 512 {
				if rng.IntN(2) == 0 {
					copy(data[at:], after[at:min(at+512, len(after))])
				}
			}
			put(t, torn, path, data)
		}
		syncDir(t, torn, dir)
	}
	syncDir(t, torn, "")
	return torn
}

func content(t testing.TB, fs vfs.FS, path string) (data []byte, there bool) {
	t.Helper()
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err = io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data, true
}

func put(t testing.TB, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, "test")
	if err == nil {
		_, err = f.Write(bytes.Clone(data))
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func syncDir(t testing.TB, fs vfs.FS, dir string) {
	t.Helper()
	d, err := fs.OpenDir(dir)
	if err == nil {
		err = d.Sync()
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// start opens the log and checks what it has.
func (m *machine) start() {
	m.t.Helper()
	m.o.FS = m.fs
	l, err := log.Open(m.o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.l = l
	if l.Next() <= m.sure || l.Next() > m.next || l.First() < m.first || l.First() > max(m.low, m.first) {
		m.t.Fatalf("after a crash there are records %d to %d: acknowledged %d, appended %d, truncated below %d or %d",
			l.First(), l.Next()-1, m.sure, m.next-1, m.first, m.low)
	}
	m.next, m.first, m.low = l.Next(), l.First(), l.First()
	m.acked = m.next - 1
	p := l.First()
	err = l.Replay(p, func(at log.Position, r []byte) error {
		if at != p || !bytes.Equal(r, m.records[p]) {
			return fmt.Errorf("record %d is another one", at)
		}
		p++
		return nil
	})
	if err != nil || p != m.next {
		m.t.Fatalf("replay came to %d of %d: %v", p, m.next, err)
	}
}

// work does n things, or stops when the power has failed.
func (m *machine) work(n int) {
	for range n {
		m.mu.Lock()
		failed := m.image != nil
		m.mu.Unlock()
		if failed {
			return
		}
		switch m.rng.IntN(10) {
		case 0:
			if err := m.l.Truncate(m.low + log.Position(m.rng.Int64N(int64(m.next-m.low)+1))); err != nil {
				m.t.Fatal(err)
			}
			m.low = m.l.First()
		case 1, 2, 3:
			m.acknowledge()
		default:
			m.append()
		}
	}
}

func (m *machine) append() {
	var group [][]byte
	for range 1 + m.rng.IntN(6) {
		// Records of the same few lengths, so that old ones fit where new ones were.
		r := make([]byte, []int{0, 1, 100, 490, 500, 3000}[m.rng.IntN(6)])
		for i := range r {
			r[i] = byte(m.rng.Uint32())
		}
		m.records[m.next] = r
		m.next++
		group = append(group, r)
	}
	if _, err := m.l.Append(group...); err != nil {
		m.t.Fatal(err)
	}
}

// acknowledge acknowledges all there is, sometimes waiting for it.
func (m *machine) acknowledge() {
	p, done := m.next-1, make(chan error, 1)
	m.l.Sync(p, func(err error) {
		m.mu.Lock()
		if m.acked = max(m.acked, p); err != nil {
			m.t.Error(err)
		}
		m.mu.Unlock()
		done <- err
	})
	if m.rng.IntN(3) > 0 {
		<-done
	}
}

// crash ends the log and goes on with what the power failure has left. If there
// has been none, it is now.
func (m *machine) crash() {
	m.mu.Lock()
	if m.image == nil {
		m.fuse = 1
		m.mu.Unlock()
		m.burn()
		m.mu.Lock()
	}
	m.mu.Unlock()
	if err := m.l.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.fs, m.image, m.acked = m.image, nil, m.sure
}

// Whatever sectors of recycled segments a power loss keeps: what was acknowledged
// is there, and nothing that was not.
func TestPowerLoss(t *testing.T) {
	for seed := *seed0; seed < *seed0+*seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newMachine(t, seed, log.Options{Spares: 3})
			for range 60 {
				m.fuse = -1
				m.start()
				m.mu.Lock()
				m.fuse = 1 + m.rng.IntN(150)
				m.mu.Unlock()
				m.work(400)
				m.crash()
			}
			if t.Failed() {
				return
			}
			m.fuse = -1
			m.start()
			mustClose(t, m.l)
		})
	}
}

// A crash while a log is opened is like any other.
func TestPowerLossWhileOpening(t *testing.T) {
	for seed := *seed0; seed < *seed0+*seeds; seed++ {
		m := newMachine(t, seed, log.Options{Spares: 3})
		for range 40 {
			m.fuse = 1 + m.rng.IntN(6)
			m.start()
			m.work(30)
			m.crash()
		}
	}
}

// damaged returns the error of opening a log on a copy of fs with some bytes of a
// file changed.
func damaged(t testing.TB, o log.Options, fs *vfs.MemFS, path string, change func(data []byte) []byte) (*log.Log, error) {
	t.Helper()
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	data, _ := content(t, clone, path)
	put(t, clone, path, change(data))
	syncDir(t, clone, "log")
	o.FS = clone
	return log.Open(o)
}

// filled makes a log of some segments that was closed in order, and returns its
// disk and its segments' paths.
func filled(t testing.TB, o log.Options) (fs *vfs.MemFS, segments []string) {
	t.Helper()
	fs = vfs.NewCrashableMem()
	o.FS = fs
	l := open(t, o)
	write(t, l, 200, 2000)
	if err := l.Truncate(40); err != nil {
		t.Fatal(err)
	}
	write(t, l, 400, 2000)
	mustClose(t, l)
	for _, name := range list(t, fs, "log", ".seg") {
		segments = append(segments, "log/"+name)
	}
	if len(segments) < 4 {
		t.Fatalf("only %d segments", len(segments))
	}
	return fs, segments
}

// used returns how much of a segment has frames in it, and the offset of the last
// one: the mark that an orderly end leaves.
func used(data []byte) (end, last int) {
	end = len(bytes.TrimRight(data, "\x00"))
	for at := log.HeaderSize; at < end; {
		last = at
		at += log.FrameHeader + int(data[at+4]) + int(data[at+5])<<8 + int(data[at+6])<<16
	}
	return max(end, last+log.MarkSize), last
}

// Every byte of every segment counts: a change of any part of one that was
// written in order is noticed, or changes nothing.
func TestDamage(t *testing.T) {
	o := log.Options{Dir: "log", SegmentSize: 64 << 10, Spares: -1}
	fs, segments := filled(t, o)
	rng := rand.New(rand.NewPCG(1, 2))
	noticed := 0
	for i, path := range segments {
		whole, _ := content(t, fs, path)
		end, last := used(whole)
		offsets := []int{0, 5, 9, 13, 20, 30, 40, 50, 60} // of the header
		for range 60 {
			offsets = append(offsets, log.HeaderSize+rng.IntN(end-log.HeaderSize))
		}
		for _, at := range offsets {
			l, err := damaged(t, o, fs, path, func(data []byte) []byte {
				data[at] ^= 1 << rng.IntN(8)
				return data
			})
			var damage *log.DamageError
			var format *log.FormatError
			switch {
			case err == nil:
				// Only the last mark has nothing behind it that speaks of it; it has no
				// record.
				if newest := i == len(segments)-1; !newest || at < last {
					t.Errorf("%s: byte %d of %d is changed and nobody notices", path, at, end)
				}
				expect(t, l, l.First(), 400, 2000)
				mustClose(t, l)
			case errors.As(err, &damage), errors.As(err, &format):
				noticed++
			default:
				t.Errorf("%s: byte %d: %v", path, at, err)
			}
		}
	}
	if noticed < 200 {
		t.Errorf("%d were noticed", noticed)
	}
}

func TestCutSegment(t *testing.T) {
	o := log.Options{Dir: "log", SegmentSize: 64 << 10, Spares: -1}
	fs, segments := filled(t, o)
	for i, path := range segments[:len(segments)-1] {
		for _, part := range []int{0, 10, log.HeaderSize, log.HeaderSize + 3000} {
			_, err := damaged(t, o, fs, path, func(data []byte) []byte { return data[:part] })
			if !errors.As(err, new(*log.DamageError)) {
				t.Errorf("segment %d cut to %d bytes: %v", i, part, err)
			}
		}
	}
}

func TestMissingSegment(t *testing.T) {
	o := log.Options{Dir: "log", SegmentSize: 64 << 10, Spares: -1}
	fs, segments := filled(t, o)
	for i, path := range segments[:len(segments)-1] {
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		if err := clone.Remove(path); err != nil {
			t.Fatal(err)
		}
		o.FS = clone
		if _, err := log.Open(o); !errors.As(err, new(*log.DamageError)) {
			t.Errorf("segment %d is missing: %v", i, err)
		}
	}
}

// Damage refuses to open, and changes nothing: what was there can be looked at.
func TestDamageChangesNothing(t *testing.T) {
	o := log.Options{Dir: "log", SegmentSize: 64 << 10, Spares: -1}
	fs, segments := filled(t, o)
	data, _ := content(t, fs, segments[1])
	data[log.HeaderSize+200] ^= 1
	put(t, fs, segments[1], data)
	before := list(t, fs, "log", "")
	o.FS = fs
	if _, err := log.Open(o); !errors.As(err, new(*log.DamageError)) {
		t.Fatal(err)
	}
	if after := list(t, fs, "log", ""); !slices.Equal(before, after) {
		t.Errorf("%q has become %q", before, after)
	}
}

func TestForeignFiles(t *testing.T) {
	o := log.Options{Dir: "log", SegmentSize: 64 << 10, Spares: -1}
	fs, segments := filled(t, o)
	other, others := filled(t, o)
	foreign, _ := content(t, other, others[0])
	for what, change := range map[string]func(fs *vfs.MemFS){
		"a segment of another log": func(fs *vfs.MemFS) { put(t, fs, segments[2], foreign) },
		"a missing LOG":            func(fs *vfs.MemFS) { _ = fs.Remove("log/LOG") },
		"a damaged LOG":            func(fs *vfs.MemFS) { put(t, fs, "log/LOG", []byte("cairn commit log\nid 7\n")) },
		"a newer LOG":              func(fs *vfs.MemFS) { put(t, fs, "log/LOG", []byte("cairn commit log\nformat 2\nmore\n")) },
		"a renamed segment": func(fs *vfs.MemFS) {
			_ = fs.Rename(segments[1], strings.Replace(segments[1], "0000000.", "0000999.", 1)+"x.seg")
			_ = fs.Rename(segments[2], "log/0000000000000999.seg")
		},
	} {
		clone := fs.CrashClone(vfs.CrashCloneCfg{})
		change(clone)
		before := list(t, clone, "log", "")
		o.FS = clone
		_, err := log.Open(o)
		if !errors.As(err, new(*log.DamageError)) && !errors.As(err, new(*log.FormatError)) {
			t.Errorf("%s: %v", what, err)
		}
		if after := list(t, clone, "log", ""); !slices.Equal(before, after) {
			t.Errorf("%s: %q has become %q", what, before, after)
		}
	}
}

// FuzzOpen opens a log of which a segment is anything.
func FuzzOpen(f *testing.F) {
	o := log.Options{Dir: "log", SegmentSize: 64 << 10, Spares: -1}
	fs, segments := filled(f, o)
	newest := segments[len(segments)-1]
	whole, _ := content(f, fs, newest)
	end, last := used(whole)
	f.Add(log.HeaderSize, []byte{})
	f.Add(last, []byte{1})
	f.Add(end, bytes.Repeat([]byte{7}, 100))
	f.Add(100, whole[:log.HeaderSize])
	f.Add(end, whole[last:end])
	f.Fuzz(func(t *testing.T, at int, bytes []byte) {
		if at < 0 || at > len(whole) {
			return
		}
		l, err := damaged(t, o, fs, newest, func(data []byte) []byte { return append(data[:at], bytes...) })
		if err != nil {
			return
		}
		defer mustClose(t, l)
		p := l.First()
		err = l.Replay(p, func(at log.Position, r []byte) error {
			if at != p || !equalRecord(r, p) {
				return fmt.Errorf("record %d is another one", at)
			}
			p++
			return nil
		})
		if err != nil || p != l.Next() {
			t.Errorf("replay to %d of %d: %v", p, l.Next(), err)
		}
	})
}

func equalRecord(r []byte, p log.Position) bool { return bytes.Equal(r, record(p, 2000)) }
