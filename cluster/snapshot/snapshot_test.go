package snapshot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/cluster/snapshot"
	"cairn/engine"
	"cairn/session"
)

// pipe is one direction of a connection. It holds some bytes, damages one, and
// breaks.
type pipe struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte
	passed  int64
	broken  bool

	cut   int64 // after so many bytes; 0: never
	flip  int64 // the byte to be damaged, from 1 on
	other *pipe
}

const pipeBytes = 64 << 10

var errCut = errors.New("the connection was cut")

func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 {
		for !p.broken && len(p.buf) >= pipeBytes {
			p.changed.Wait()
		}
		if p.broken {
			return n, errCut
		}
		part := min(len(b), pipeBytes-len(p.buf))
		if p.cut > 0 {
			part = int(min(int64(part), p.cut-p.passed))
		}
		p.buf = append(p.buf, b[:part]...)
		if at := p.flip - p.passed - 1; 0 <= at && at < int64(part) {
			p.buf[len(p.buf)-part+int(at)] ^= 0x10
		}
		p.passed, n, b = p.passed+int64(part), n+part, b[part:]
		p.changed.Broadcast()
		if p.passed == p.cut && p.cut > 0 {
			p.broken = true
			go p.other.close()
			return n, errCut
		}
	}
	return n, nil
}

func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 {
		if p.broken {
			return 0, io.EOF
		}
		p.changed.Wait()
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	p.changed.Broadcast()
	return n, nil
}

func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	p.changed.Broadcast()
}

type end struct {
	io.Reader
	io.Writer
}

// link makes a connection: from is what the sender writes.
func link() (sender, receiver end, from, back *pipe) {
	from, back = new(pipe), new(pipe)
	from.changed.L, back.changed.L = &from.mu, &back.mu
	from.other, back.other = back, from
	return end{back, from}, end{from, back}, from, back
}

// transfer sends over a connection that change has changed.
func transfer(s *snapshot.Source, so snapshot.SendOptions, ro snapshot.ReceiveOptions, change func(from, back *pipe)) (m *snapshot.Manifest, sent int64, sendErr, err error) {
	a, b, from, back := link()
	if change != nil {
		change(from, back)
	}
	done := make(chan error, 1)
	go func() {
		err := snapshot.Send(context.Background(), a, s, so)
		from.close()
		done <- err
	}()
	m, err = snapshot.Receive(context.Background(), b, ro)
	back.close()
	from.close()
	return m, from.passed, <-done, err
}

var unlimited = snapshot.SendOptions{BytesPerSecond: -1}

// fill makes files of random sizes and content.
func fill(t testing.TB, fs vfs.FS, dir string, rng *rand.Rand, files, longest int) {
	t.Helper()
	must(t, fs.MkdirAll(dir, 0o700))
	for i := range files {
		data := make([]byte, rng.IntN(longest+1))
		if i == 0 {
			data = nil
		}
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], rng.Uint64())
		_, _ = rand.NewChaCha8(seed).Read(data) // there is always more
		write(t, fs, dir+fmt.Sprintf("/%06d.sst", i), data)
	}
	syncDir(t, fs, dir)
	syncDir(t, fs, fs.PathDir(dir))
}

func write(t testing.TB, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, "test")
	must(t, err)
	_, err = f.Write(bytes.Clone(data))
	must(t, errors.Join(err, f.Sync(), f.Close()))
}

func syncDir(t testing.TB, fs vfs.FS, dir string) {
	t.Helper()
	d, err := fs.OpenDir(dir)
	must(t, err)
	must(t, errors.Join(d.Sync(), d.Close()))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// contents reads a directory.
func contents(t testing.TB, fs vfs.FS, dir string) string {
	t.Helper()
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "nothing"
	}
	must(t, err)
	slices.Sort(names)
	var all strings.Builder
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		must(t, err)
		data, err := io.ReadAll(f)
		must(t, errors.Join(err, f.Close()))
		fmt.Fprintf(&all, "%s: %d bytes %x\n", name, len(data), sha256.Sum256(data))
	}
	return all.String()
}

func nothing(*snapshot.Manifest) error { return nil }

// installed installs what has been received and compares it with the source.
func installed(t testing.TB, fs vfs.FS, dir, from string, m *snapshot.Manifest) {
	t.Helper()
	got, err := snapshot.Install(fs, dir, nothing)
	must(t, err)
	if got.Index != m.Index || got.Term != 3 || string(got.Conf) != "conf" || got.Bytes() != m.Bytes() {
		t.Errorf("%+v was installed, not %+v", got, m)
	}
	if contents(t, fs, dir) != contents(t, fs, from) {
		t.Error("what was installed is not what was sent")
	}
}

// A connection that breaks again and again delays a transfer, and lets little be
// sent twice.
func TestInterrupted(t *testing.T) {
	for seed := range uint64(5) {
		fs, rng := vfs.NewCrashableMem(), rand.New(rand.NewPCG(seed, 1))
		fill(t, fs, "source", rng, 12, 600<<10)
		s, err := snapshot.NewSource(fs, "source", 7)
		must(t, err)
		offer := s.Manifest()
		total, cuts := int64(0), int64(0)
		for {
			if seed == 4 { // another sender, which knows nothing of what was sent
				s, err = snapshot.NewSource(fs, "source", 7)
				must(t, err)
			}
			m, sent, sendErr, err := transfer(s, unlimited, snapshot.ReceiveOptions{FS: fs, Dir: "engine"}, func(from, back *pipe) {
				if cuts < 20 {
					from.cut = 1 + rng.Int64N(offer.Bytes()/4)
				}
			})
			total += sent
			if err == nil {
				must(t, sendErr)
				installed(t, fs, "engine", "source", m)
				break
			}
			if sendErr == nil {
				t.Fatalf("sent, but not received: %v", err)
			}
			cuts++
		}
		if most := offer.Bytes() + (cuts+1)*(256<<10+pipeBytes+8<<10); total > most || cuts < 4 {
			t.Errorf("%d of %d bytes were sent, with %d cuts", total, offer.Bytes(), cuts)
		}
	}
}

// A damaged byte, in whichever direction, is noticed, and another transfer puts it
// right.
func TestDamaged(t *testing.T) {
	fs, rng := vfs.NewMem(), rand.New(rand.NewPCG(1, 1))
	fill(t, fs, "source", rng, 5, 300<<10)
	s, err := snapshot.NewSource(fs, "source", 7)
	must(t, err)
	noticed := 0
	for i := range 30 {
		dir := fmt.Sprintf("engine%d", i)
		o := snapshot.ReceiveOptions{FS: fs, Dir: dir}
		m, _, sendErr, err := transfer(s, unlimited, o, func(from, back *pipe) {
			if i%6 == 0 {
				back.flip = 1 + rng.Int64N(30)
			} else {
				from.flip = 1 + rng.Int64N(s.Manifest().Bytes())
			}
		})
		if err != nil || sendErr != nil {
			noticed++
			if err != nil && !errors.Is(err, snapshot.ErrDamaged) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, new(*snapshot.RemoteError)) {
				t.Errorf("%v", err)
			}
			m, _, sendErr, err = transfer(s, unlimited, o, nil)
			must(t, errors.Join(sendErr, err))
		}
		installed(t, fs, dir, "source", m)
	}
	if noticed < 25 {
		t.Errorf("%d were noticed", noticed)
	}
}

// What an interrupted transfer has left of another snapshot is used only where it
// is the same.
func TestOtherSnapshot(t *testing.T) {
	for _, cut := range []int64{0, 200 << 10, 900 << 10} {
		fs := vfs.NewMem()
		fill(t, fs, "first", rand.New(rand.NewPCG(1, 1)), 10, 300<<10)
		fill(t, fs, "second", rand.New(rand.NewPCG(1, 1)), 7, 300<<10)
		for _, name := range []string{"000002.sst", "000004.sst"} {
			f, err := fs.OpenReadWrite("second/"+name, "test")
			must(t, err)
			_, err = f.WriteAt([]byte("other"), 0)
			must(t, errors.Join(err, f.Close()))
		}
		first, err := snapshot.NewSource(fs, "first", 7)
		must(t, err)
		second, err := snapshot.NewSource(fs, "second", 8)
		must(t, err)
		o := snapshot.ReceiveOptions{FS: fs, Dir: "engine"}
		_, _, _, err = transfer(first, unlimited, o, func(from, back *pipe) { from.cut = cut })
		if (err == nil) != (cut == 0) {
			t.Fatal(err)
		}
		m, sent, sendErr, err := transfer(second, unlimited, o, nil)
		must(t, errors.Join(sendErr, err))
		if whole := second.Manifest(); cut != 200<<10 && sent > whole.Bytes() {
			t.Errorf("%d of %d bytes were sent", sent, whole.Bytes())
		}
		installed(t, fs, "engine", "second", m)
	}
}

// What is noted of a file does not outlive the file.
func TestNotesOfReplacedFiles(t *testing.T) {
	fs := vfs.NewMem()
	o := snapshot.ReceiveOptions{FS: fs, Dir: "engine"}
	var sources []*snapshot.Source
	for _, name := range []string{"first", "second"} {
		must(t, fs.MkdirAll(name, 0o700))
		write(t, fs, name+"/table", bytes.Repeat([]byte(name[:1]), 10_000))
		s, err := snapshot.NewSource(fs, name, 7)
		must(t, err)
		sources = append(sources, s)
	}
	_, sent, sendErr, err := transfer(sources[0], unlimited, o, nil)
	must(t, errors.Join(sendErr, err))
	m := sources[0].Manifest()
	m.Files[0].Sum = snapshot.Sum{1}
	text, err := json.Marshal(m)
	must(t, err)
	end := sent - int64(17+len(text)) - int64(17+16) // before the last file's end
	_, _, _, err = transfer(sources[1], unlimited, o, func(from, _ *pipe) { from.cut = end })
	if err == nil {
		t.Fatal("it came without its end")
	}
	m2, _, sendErr, err := transfer(sources[0], unlimited, o, nil)
	must(t, errors.Join(sendErr, err))
	installed(t, fs, "engine", "first", m2)
}

// The other side's reason arrives.
func TestRefused(t *testing.T) {
	mem := vfs.NewMem()
	fill(t, mem, "source", rand.New(rand.NewPCG(1, 1)), 3, 100<<10)
	s, err := snapshot.NewSource(mem, "source", 7)
	must(t, err)
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 200 << 10})
	old := errors.New("it is too old")
	for what, c := range map[string]struct {
		o    snapshot.ReceiveOptions
		want error
	}{
		"no space": {snapshot.ReceiveOptions{Reserve: 200 << 10}, snapshot.ErrNoSpace},
		"refused":  {snapshot.ReceiveOptions{Accept: func(*snapshot.Manifest) error { return old }}, old},
	} {
		c.o.FS, c.o.Dir = mem, "engine"
		_, _, sendErr, err := transfer(s, unlimited, c.o, nil)
		var remote *snapshot.RemoteError
		if !errors.Is(err, c.want) || !errors.As(sendErr, &remote) || remote.Message != err.Error() {
			t.Errorf("%s: %v, and the sender: %v", what, err, sendErr)
		}
	}
	if _, err := snapshot.Install(mem, "engine", nothing); !errors.Is(err, snapshot.ErrNone) {
		t.Errorf("install of nothing: %v", err)
	}
}

// waits is a clock on which waiting takes no time but its own.
type waits struct {
	now   time.Time
	total time.Duration
}

func (w *waits) Now() time.Time { return w.now }

func (w *waits) After(d time.Duration) <-chan time.Time {
	w.now, w.total = w.now.Add(d), w.total+d
	c := make(chan time.Time, 1)
	c <- w.now
	return c
}

func TestRate(t *testing.T) {
	fs := vfs.NewMem()
	fill(t, fs, "source", rand.New(rand.NewPCG(1, 1)), 10, 2<<20)
	s, err := snapshot.NewSource(fs, "source", 7)
	must(t, err)
	clock := &waits{now: time.Unix(0, 0)}
	last := int64(0)
	_, _, sendErr, err := transfer(s, snapshot.SendOptions{BytesPerSecond: 1 << 20, Clock: clock, Progress: func(there, total int64) {
		if last = there; there > total {
			t.Errorf("%d of %d", there, total)
		}
	}}, snapshot.ReceiveOptions{FS: fs, Dir: "engine"}, nil)
	must(t, errors.Join(sendErr, err))
	m := s.Manifest()
	if want := float64(m.Bytes()-256<<10) / (1 << 20); clock.total.Seconds() < want*0.99 || clock.total.Seconds() > want*1.01 {
		t.Errorf("%d bytes took %v", m.Bytes(), clock.total)
	}
	if last != m.Bytes() {
		t.Errorf("%d of %d bytes were there in the end", last, m.Bytes())
	}
}

func TestCancelled(t *testing.T) {
	fs := vfs.NewMem()
	fill(t, fs, "source", rand.New(rand.NewPCG(1, 1)), 3, 100<<10)
	s, err := snapshot.NewSource(fs, "source", 7)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a, b, from, back := link()
	sent := make(chan error, 1)
	go func() {
		err := snapshot.Send(ctx, a, s, unlimited)
		from.close()
		sent <- err
	}()
	_, err = snapshot.Receive(context.Background(), b, snapshot.ReceiveOptions{FS: fs, Dir: "engine"})
	back.close()
	if sendErr := <-sent; !errors.Is(sendErr, context.Canceled) || !errors.As(err, new(*snapshot.RemoteError)) {
		t.Errorf("%v, %v", sendErr, err)
	}
}

func TestManifestsThatAreNone(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{"files": 7}`,
		`{"files": [{"name": "../engine/CURRENT"}]}`,
		`{"files": [{"name": "/etc/passwd"}]}`,
		`{"files": [{"name": "a\\b"}]}`,
		`{"files": [{"name": ""}]}`,
		`{"files": [{"name": ".."}]}`,
		`{"files": [{"name": "INSTALL"}]}`,
		`{"files": [{"name": "SNAPSHOT"}]}`,
		`{"files": [{"name": "PROGRESS"}]}`,
		`{"files": [{"name": "` + strings.Repeat("x", 256) + `"}]}`,
		`{"files": [{"name": "a"}, {"name": "a"}]}`,
		`{"files": [{"name": "a", "size": -1}]}`,
		`{"files": [{"name": "a", "size": 9223372036854775807}, {"name": "b", "size": 1}]}`,
		`{"files": [{"name": "a", "sum": "abc"}]}`,
	} {
		if m, err := snapshot.ParseManifest([]byte(text)); err == nil {
			t.Errorf("%s is taken for %+v", text, m)
		}
	}
}

// FuzzReceive receives anything, which must not leave the directory.
func FuzzReceive(f *testing.F) {
	fs := vfs.NewMem()
	fill(f, fs, "source", rand.New(rand.NewPCG(1, 1)), 3, 1000)
	s, err := snapshot.NewSource(fs, "source", 7)
	must(f, err)
	var whole bytes.Buffer
	have := new(bytes.Buffer)
	a, b, from, back := link()
	done := make(chan error, 1)
	go func() {
		err := snapshot.Send(context.Background(), end{a.Reader, io.MultiWriter(a.Writer, &whole)}, s, unlimited)
		from.close()
		done <- err
	}()
	_, err = snapshot.Receive(context.Background(), end{b.Reader, io.MultiWriter(b.Writer, have)}, snapshot.ReceiveOptions{FS: fs, Dir: "engine"})
	back.close()
	must(f, errors.Join(<-done, err))
	f.Add(whole.Bytes())
	f.Add(have.Bytes())
	f.Add(whole.Bytes()[:200])
	f.Fuzz(func(t *testing.T, sent []byte) {
		fs := vfs.NewMem()
		m, err := snapshot.Receive(context.Background(), end{bytes.NewReader(sent), io.Discard}, snapshot.ReceiveOptions{FS: fs, Dir: "engine"})
		names, _ := fs.List("")
		if len(names) > 1 || len(names) == 1 && names[0] != "engine.incoming" {
			t.Errorf("%q are there", names)
		}
		if err == nil {
			if _, err := snapshot.Install(fs, "engine", nothing); err != nil {
				t.Errorf("%+v cannot be installed: %v", m, err)
			}
		}
	})
}

// Wherever a crash comes, the directory is the one before or the snapshot, as a
// whole; and it is the snapshot once the log has been told so.
func TestInstallCrashes(t *testing.T) {
	before, after := 0, 0
	for round := range 4 {
		for op := 1; ; op++ {
			rng := rand.New(rand.NewPCG(uint64(op), uint64(round)))
			mem := vfs.NewCrashableMem()
			if round > 0 { // else there is no engine yet
				fill(t, mem, "engine", rand.New(rand.NewPCG(5, 5)), 3, 9000)
			}
			fill(t, mem, "source", rand.New(rand.NewPCG(6, 6)), 4, 9000)
			s, err := snapshot.NewSource(mem, "source", 7)
			must(t, err)
			_, _, sendErr, err := transfer(s, unlimited, snapshot.ReceiveOptions{FS: mem, Dir: "engine"}, nil)
			must(t, errors.Join(sendErr, err))

			var crashed *vfs.MemFS
			count, told, toldAtCrash := 0, false, false
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
				if o.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					if count++; count == op {
						toldAtCrash = told
						crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 40 * (round % 3), RNG: rng})
					}
				}
				return nil
			}))
			_, err = snapshot.Install(fs, "engine", func(*snapshot.Manifest) error { told = true; return nil })
			must(t, err)
			if crashed == nil {
				if count < 10 {
					t.Fatalf("there were only %d steps", count)
				}
				break
			}
			old, sent := contents(t, mem, "nothing"), contents(t, mem, "source")
			if round > 0 {
				fill(t, mem, "old", rand.New(rand.NewPCG(5, 5)), 3, 9000)
				old = contents(t, mem, "old")
			}
			again := false
			m, err := snapshot.Recover(crashed, "engine", func(m *snapshot.Manifest) error { again = m.Index == 7; return nil })
			must(t, err)
			switch contents(t, crashed, "engine") {
			case old:
				if before++; toldAtCrash || m != nil {
					t.Errorf("step %d: the log begins behind the snapshot, the engine does not: %+v", op, m)
				}
			case sent:
				// If the installation was over, there is nothing to say of it.
				if after++; m != nil && !again {
					t.Errorf("step %d: the log is not told again of %+v", op, m)
				}
			default:
				t.Errorf("step %d, round %d: the directory is neither", op, round)
			}
			names, err := crashed.List("")
			must(t, err)
			if slices.Contains(names, "engine.replaced") || m != nil && slices.Contains(names, "engine.incoming") {
				t.Errorf("step %d: %q are left", op, names)
			}
			if m, err := snapshot.Recover(crashed, "engine", nothing); m != nil || err != nil {
				t.Errorf("step %d: recovered again: %+v, %v", op, m, err)
			}
		}
	}
	if before < 4 || after < 10 {
		t.Errorf("%d times the old directory, %d times the new one", before, after)
	}
}

// A receiver that loses its power goes on with what is sound of what is left.
func TestReceiverCrashes(t *testing.T) {
	source := vfs.NewMem()
	fill(t, source, "source", rand.New(rand.NewPCG(1, 1)), 6, 400<<10)
	fill(t, source, "older", rand.New(rand.NewPCG(1, 1)), 3, 400<<10)
	write(t, source, "older/000001.sst", bytes.Repeat([]byte("older"), 50<<10))
	s, err := snapshot.NewSource(source, "source", 7)
	must(t, err)
	older, err := snapshot.NewSource(source, "older", 6)
	must(t, err)
	crashes := 0
	for op := 1; ; op += 1 + op/20 {
		rng := rand.New(rand.NewPCG(uint64(op), 1))
		mem := vfs.NewCrashableMem()
		_, _, sendErr, err := transfer(older, unlimited, snapshot.ReceiveOptions{FS: mem, Dir: "engine"}, nil)
		must(t, errors.Join(sendErr, err))
		var crashed *vfs.MemFS
		count := 0
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(o errorfs.Op) error {
			if o.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if count++; count == op {
					crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(100), RNG: rng})
				}
			}
			return nil
		}))
		_, _, sendErr, err = transfer(s, unlimited, snapshot.ReceiveOptions{FS: fs, Dir: "engine"}, nil)
		must(t, errors.Join(sendErr, err))
		if crashed == nil {
			break
		}
		crashes++
		if m, err := snapshot.Recover(crashed, "engine", nothing); m != nil || err != nil {
			t.Fatalf("%+v, %v", m, err)
		}
		early := crashed.CrashClone(vfs.CrashCloneCfg{})
		if _, err := snapshot.Install(early, "engine", nothing); err == nil {
			if got := contents(t, early, "engine"); got != contents(t, source, "source") && got != contents(t, source, "older") {
				t.Fatalf("step %d: something incomplete is installed", op)
			}
		} else if !errors.Is(err, snapshot.ErrNone) {
			t.Fatal(err)
		}
		m, _, sendErr, err := transfer(s, unlimited, snapshot.ReceiveOptions{FS: crashed, Dir: "engine"}, nil)
		must(t, errors.Join(sendErr, err))
		_, err = snapshot.Install(crashed, "engine", nothing)
		must(t, err)
		if contents(t, crashed, "engine") != contents(t, source, "source") || m.Index != 7 {
			t.Fatalf("step %d: what was installed is not what was sent", op)
		}
	}
	if crashes < 20 {
		t.Errorf("only %d crashes", crashes)
	}
}

// A log that cannot begin behind the snapshot keeps it from being installed; after
// a start it is.
func TestInstallFails(t *testing.T) {
	fs := vfs.NewMem()
	fill(t, fs, "engine", rand.New(rand.NewPCG(5, 5)), 3, 9000)
	fill(t, fs, "source", rand.New(rand.NewPCG(6, 6)), 3, 9000)
	old := contents(t, fs, "engine")
	s, err := snapshot.NewSource(fs, "source", 7)
	must(t, err)
	o := snapshot.ReceiveOptions{FS: fs, Dir: "engine"}
	_, _, sendErr, err := transfer(s, unlimited, o, nil)
	must(t, errors.Join(sendErr, err))
	full := errors.New("the disk is full")
	if _, err := snapshot.Install(fs, "engine", func(*snapshot.Manifest) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if contents(t, fs, "engine") != old {
		t.Error("the engine is another one")
	}
	if _, _, _, err := transfer(s, unlimited, o, nil); !errors.Is(err, snapshot.ErrInstalling) {
		t.Errorf("received meanwhile: %v", err)
	}
	m, err := snapshot.Recover(fs, "engine", nothing)
	if err != nil || m == nil || contents(t, fs, "engine") != contents(t, fs, "source") {
		t.Errorf("recovered: %+v, %v", m, err)
	}
}

// A real engine: what arrives has the same entries, and goes on with the next.
func TestEngine(t *testing.T) {
	dir := t.TempDir()
	follow := func(name string) *engine.Store {
		s, err := engine.Open(engine.Options{Dir: dir + "/" + name, ExternalLog: true})
		must(t, err)
		return s
	}
	replay := func(s *engine.Store, index uint64) {
		b := session.Burst{Now: session.Time(1_800_000_000_000 + index), Commands: []session.Command{{
			Op: session.OpSet, Key: fmt.Appendf(nil, "key%d", index%500), Value: bytes.Repeat([]byte{byte(index)}, 1000),
		}}}
		b.Results = make([]session.Result, 1)
		must(t, s.Replay(engine.Position{Index: index, Term: 2}, &b))
	}
	from := follow("from")
	defer from.Close()
	for index := uint64(1); index <= 2000; index++ {
		replay(from, index)
	}
	conf := func(index uint64) ([]byte, error) { return fmt.Appendf(nil, "conf at %d", index), nil }
	s, err := snapshot.Take(from, vfs.Default, dir+"/checkpoint", conf)
	must(t, err)
	m := s.Manifest()
	if m.Index != 2000 || m.Term != 2 || string(m.Conf) != "conf at 2000" || len(m.Files) < 3 {
		t.Fatalf("%+v", m)
	}
	o := snapshot.ReceiveOptions{FS: vfs.Default, Dir: dir + "/to"}
	_, _, _, err = transfer(s, unlimited, o, func(from, _ *pipe) { from.cut = m.Bytes() / 2 })
	if err == nil {
		t.Fatal("half of it was enough")
	}
	_, _, sendErr, err := transfer(s, unlimited, o, nil)
	must(t, errors.Join(sendErr, err))
	_, err = snapshot.Install(vfs.Default, o.Dir, nothing)
	must(t, err)
	must(t, s.Close())
	to := follow("to")
	defer to.Close()
	for index := uint64(2001); index <= 2100; index++ {
		replay(from, index)
		replay(to, index)
	}
	at, sum, err := from.Digest()
	must(t, err)
	gotAt, got, err := to.Digest()
	must(t, err)
	if at != gotAt || sum != got {
		t.Errorf("at %v the sum is %x, not %x as at %v", gotAt, got, sum, at)
	}
	if _, err := os.Stat(dir + "/checkpoint"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the checkpoint is left: %v", err)
	}
	if _, err := snapshot.Take(from, vfs.Default, dir+"/to", conf); err == nil {
		t.Error("a checkpoint was made over a directory")
	}
}
