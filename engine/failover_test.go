package engine

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine/disk"
	"cairn/session"
	"cairn/session/sessiontest"
)

// stallingFS is a file system on which writes in some directory wait while it stalls.
type stallingFS struct {
	vfs.FS
	stalls func(o errorfs.Op) bool

	mu      sync.Mutex
	stalled chan struct{} // closed when it goes on; nil: nothing waits
}

// newStallingFS makes one whose operations that stalls chooses wait.
func newStallingFS(fs vfs.FS, stalls func(o errorfs.Op) bool) *stallingFS {
	s := &stallingFS{stalls: stalls}
	s.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(s.pass))
	return s
}

func (s *stallingFS) pass(o errorfs.Op) error {
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled != nil && o.Kind.ReadOrWrite() == errorfs.OpIsWrite && s.stalls(o) {
		<-stalled
	}
	return nil
}

func (s *stallingFS) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = make(chan struct{})
}

func (s *stallingFS) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled != nil {
		close(s.stalled)
		s.stalled = nil
	}
}

// ofLogs reports whether an operation is about the log in the data directory, or tries
// that directory.
func ofLogs(o errorfs.Op) bool {
	return path.Dir(o.Path) == "data" && (path.Ext(o.Path) == ".log" || path.Base(o.Path) == disk.ProbeFile)
}

// inData reports whether an operation is about the data directory.
func inData(o errorfs.Op) bool { return path.Dir(o.Path) == "data" || o.Path == "data" }

func failoverOptions(o Options) Options {
	o.LogFailoverDir, o.LogFailoverAfter = "/other/logs", 20*time.Millisecond
	return o
}

// awaitFailover lets the store look until it knows that the log has failed over, or has
// not.
func awaitFailover(t *testing.T, s *Store, want bool) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for s.Tick(t.Context()); s.files.disk.Figures().FailedOver != want; s.Tick(t.Context()) {
		if time.Now().After(end) {
			t.Fatalf("failed over is not %t: %+v", want, s.files.db.Metrics().WAL)
		}
		time.Sleep(time.Millisecond) // Pebble looks at its own clock
	}
}

// awaitNoLogs waits until the other directory is not needed.
func awaitNoLogs(t *testing.T, fs vfs.FS) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // tables take their time
		names, err := fs.List("/other/logs")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(names, func(name string) bool { return path.Ext(name) == ".log" }) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after the log came back %q are there", names)
		}
	}
}

func wantValues(t *testing.T, s *Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		wantValue(t, s, key, "v of "+key)
	}
}

func setAll(t *testing.T, s *Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		want(t, s, session.OK, set(s, key, "v of "+key, time.Hour))
	}
}

// Writes go on while the disk of the log stalls, and survive a power cut in which it still
// does, and a backup has them. Then the log comes back, and the other directory is not
// needed any more.
func TestLogFailsOver(t *testing.T) { withAndWithoutSpares(t, testLogFailsOver) }

func testLogFailsOver(t *testing.T, options func(vfs.FS) Options) {
	mem := vfs.NewCrashableMem()
	fs := newStallingFS(mem, ofLogs)
	s := openStore(t, failoverOptions(options(fs)))
	t.Cleanup(fs.goOn)
	setAll(t, s, "before")
	fs.stall()
	setAll(t, s, "during1", "during2")
	awaitFailover(t, s, true)
	if f := s.files.disk.Figures(); f.Failovers != 1 || f.ReadOnly {
		t.Errorf("%+v", f)
	}
	clone := mem.CrashClone(vfs.CrashCloneCfg{})
	problems := func(p Problem) { t.Errorf("check: %+v", p) }
	if err := Check(options(clone), problems); err != nil {
		t.Error(err)
	}
	salvaged, err := Salvage(t.Context(), SalvageOptions{
		From: options(clone), To: "new", Scratch: "scratch",
		Problem: func(problem string) { t.Error(problem) },
		Lost:    func(key []byte, why string) { t.Errorf("%s: %s", key, why) },
	})
	if err != nil || salvaged.Sessions != 3 {
		t.Errorf("salvage: %+v, %v", salvaged, err)
	}
	other := mem.CrashClone(vfs.CrashCloneCfg{})
	for name, o := range map[string]Options{"with the flag": failoverOptions(options(other)), "without": options(clone)} {
		t.Run(name, func(t *testing.T) {
			o.ReadOnly = true
			read := openStore(t, o)
			wantValues(t, read, "before", "during1", "during2")
			checkAndClose(t, read)
			o.ReadOnly = false
			wantValues(t, openStore(t, o), "before", "during1", "during2")
		})
	}
	fs.goOn()
	if err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	copied := options(mem)
	copied.Dir = "copy"
	wantValues(t, openStore(t, copied), "before", "during1", "during2")
	awaitFailover(t, s, false)
	awaitNoLogs(t, mem)
	setAll(t, s, "after")
	checkAndClose(t, s)

	s = openStore(t, options(mem))
	wantValues(t, s, "before", "during1", "during2", "after")
	checkAndClose(t, s)
	checkAndClose(t, openStore(t, options(mem)))
	if dirs, err := disk.LogDirs(mem, "data"); err != nil || len(dirs) != 1 {
		t.Errorf("the store remembers directories that it does not need: %v, %v", dirs, err)
	}
}

// A store that is taken over goes on where the one before had failed over to.
func TestFailedOverLogIsTakenOver(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := newStallingFS(mem, ofLogs)
	o := failoverOptions(testOptions(t, fs, sessiontest.NewClock()))
	s := openStore(t, o)
	t.Cleanup(fs.goOn)
	setAll(t, s, "early")
	fs.stall()
	setAll(t, s, "during")
	awaitFailover(t, s, true)
	fs.goOn()
	if err := s.Quiesce(t.Context()); err != nil {
		t.Fatal(err)
	}
	setAll(t, s, "late")
	if err := s.Leave(); err != nil {
		t.Fatal(err)
	}
	o.JustClosed = true
	s = openStore(t, o)
	setAll(t, s, "new")
	wantValues(t, s, "early", "during", "late", "new")
	o.JustClosed, o.FS = false, mem.CrashClone(vfs.CrashCloneCfg{})
	wantValues(t, openStore(t, o), "early", "during", "late", "new")
}

// Power cuts while a disk stalls again and again leave what was acknowledged.
func TestPowerLossDuringFailover(t *testing.T) { withAndWithoutSpares(t, testPowerLossDuringFailover) }

func testPowerLossDuringFailover(t *testing.T, options func(vfs.FS) Options) {
	power := newPowerCuts(vfs.NewCrashableMem(), 13)
	fs := newStallingFS(power.fs, ofLogs)
	s := openStore(t, failoverOptions(options(fs)))
	t.Cleanup(fs.goOn)
	value := strings.Repeat("v", 3000)
	for i := range 320 {
		switch i % 80 {
		case 20:
			fs.stall()
		case 60:
			awaitFailover(t, s, true)
			fs.goOn()
		}
		want(t, s, session.OK, set(s, fmt.Sprint("k", i), value, time.Hour))
		power.acked.Add(1)
		if i%80 == 79 {
			awaitFailover(t, s, false)
		}
	}
	failovers := s.files.disk.Figures().Failovers
	checkAndClose(t, s)
	if failovers < 4 || len(power.cuts) < 20 {
		t.Errorf("%d failovers, %d power cuts", failovers, len(power.cuts))
	}
	for i, c := range power.cuts {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := openStore(t, options(c.fs))
			for i := range c.acked {
				wantValue(t, s, fmt.Sprint("k", i), value)
			}
		})
	}
}

// While a disk takes nothing at all, memory does not grow without bound.
func TestStalledDiskFillsMemoryOnlySoFar(t *testing.T) {
	fs := newStallingFS(vfs.NewMem(), inData)
	o := failoverOptions(testOptions(t, fs, sessiontest.NewClock()))
	o.Compression = CompressionOff
	s := openStore(t, o)
	t.Cleanup(fs.goOn)
	fs.stall()
	value := strings.Repeat("v", 4000)
	sets, refused := 0, false
	for ; sets < 100_000 && !refused; sets++ {
		if sets%50 == 0 {
			s.Tick(t.Context())
		}
		refused = do(s, set(s, fmt.Sprint("k", sets), value, time.Hour)).Status != session.OK
	}
	if most := 20 * int(s.options.MemtableBytes) / len(value); !refused || sets > most {
		t.Errorf("refused %t after %d sets, want at most %d", refused, sets, most)
	}
	wantValue(t, s, "k0", value)
	fs.goOn()
	if err := s.files.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Tick(t.Context())
	want(t, s, session.OK, set(s, "again", "v", time.Hour))
}

// A directory is for the log of one store, and one that may have logs must be there.
func TestFailoverDirectory(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := newStallingFS(mem, ofLogs)
	o := failoverOptions(testOptions(t, fs, sessiontest.NewClock()))
	s := openStore(t, o)
	t.Cleanup(fs.goOn)
	other := o
	other.Dir = "second"
	wantOpenError(t, other, "in use by another process")
	setAll(t, s, "early")
	fs.stall()
	setAll(t, s, "k")
	awaitFailover(t, s, true)

	other.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	wantOpenError(t, other, "logs of another store")
	lost := o
	clone := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := clone.RemoveAll("/other/logs"); err != nil {
		t.Fatal(err)
	}
	lost.FS = clone
	wantOpenError(t, lost, "/other/logs is not there")
	if err := clone.MkdirAll("/other/logs", 0o700); err != nil { // the mount point
		t.Fatal(err)
	}
	wantOpenError(t, lost, "/other/logs is not there")
	lost.LogFailoverDir = ""
	wantOpenError(t, lost, "/other/logs is not there")
	var problems []string
	if err := Check(lost, func(p Problem) { problems = append(problems, p.Text) }); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "/other/logs is not there") }) {
		t.Errorf("check: %q", problems)
	}

	// What is in the logs that are missing may be newer than all else.
	problems = nil
	salvaged, err := Salvage(t.Context(), SalvageOptions{
		From: lost, To: "new", Scratch: "scratch",
		Problem: func(problem string) { problems = append(problems, problem) },
		Lost:    func([]byte, string) {},
	})
	if err != nil || salvaged.Sessions != 1 || salvaged.Complete || !salvaged.DeletedMayReturn {
		t.Errorf("salvage: %+v, %v", salvaged, err)
	}
	if len(problems) != 1 || !strings.Contains(problems[0], "/other/logs is not there") {
		t.Errorf("salvage: %q", problems)
	}

	forgotten := o
	forgotten.LogFailoverDir, forgotten.FS = "", mem.CrashClone(vfs.CrashCloneCfg{})
	if err := forgotten.FS.Remove("data/" + disk.LogsFile); err != nil {
		t.Fatal(err)
	}
	wantOpenError(t, forgotten, "/other/logs")

	within := o
	within.LogFailoverDir = "data/logs"
	wantOpenError(t, within, "is in the data directory")
	fs.goOn()
	checkAndClose(t, s)
	// Its logs are in tables after a start.
	checkAndClose(t, openStore(t, o))
	s = openStore(t, o)
	checkAndClose(t, s)
	other.FS = mem
	checkAndClose(t, openStore(t, other))
}

// Directories that a start makes are there after a power cut, whole paths of them.
func TestNewDirectoriesAreDurable(t *testing.T) {
	mem := vfs.NewCrashableMem()
	o := testOptions(t, mem, sessiontest.NewClock())
	o.Dir, o.LogFailoverDir = "/a/b/c/data", "/x/y/z/logs"
	s := openStore(t, o)
	setAll(t, s, "k")
	o.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	wantValues(t, openStore(t, o), "k")
	if _, err := o.FS.Stat("/x/y/z/logs/STORE"); err != nil {
		t.Error(err)
	}
}

// What is removed is removed in both directories.
func TestRemoveOfFailedOverStore(t *testing.T) {
	fs := newStallingFS(vfs.NewMem(), ofLogs)
	o := failoverOptions(testOptions(t, fs, sessiontest.NewClock()))
	s := openStore(t, o)
	t.Cleanup(fs.goOn)
	fs.stall()
	setAll(t, s, "k")
	awaitFailover(t, s, true)
	fs.goOn()
	checkAndClose(t, s)
	if err := Remove(fs, o.Dir); err != nil {
		t.Fatal(err)
	}
	for dir, left := range map[string][]string{o.Dir: nil, o.LogFailoverDir: {"LOCK"}} {
		if names, err := fs.List(dir); err != nil || !slices.Equal(names, left) {
			t.Errorf("left in %s: %q, %v", dir, names, err)
		}
	}
	wantValue(t, openStore(t, o), "k", "")
}

func wantOpenError(t *testing.T, o Options, text string) {
	t.Helper()
	s, err := Open(o)
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("opens with %v, want %q", err, text)
	}
}
