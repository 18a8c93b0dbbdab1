package torture

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/session"
	"cairn/session/sessiontest"
)

// TestStartOnFullDisk starts servers on a disk without a free byte, with logs to
// replay: each answers reads within seconds, refuses the rest in words, says so in
// the log without a flood, and takes writes on the same connection as soon as
// there is space.
func TestStartOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 200)
	s := newServer(t)
	s.dir = filepath.Join(dir, "data")
	d := &diskFiller{t: t}
	ballast := filepath.Join(dir, "ballast")
	for round := range rounds(2, 8) {
		s.start()
		d.c = s.mustConnect(text{})
		d.mustStore(100)
		s.kill()
		os.Remove(filepath.Join(s.dir, "ballast")) // stores of earlier releases have none
		grow(t, ballast, dir, 0)
		s.start()
		d.c = s.mustConnect(text{})
		d.verify()
		d.refusedAll()
		if round > 0 { // a start can be killed, too
			s.kill()
			s.start()
			d.c = s.mustConnect(text{})
			d.verify()
		}
		s.mustRun(span(time.Second, 20*time.Second))
		if tables := countFiles(t, s.dir, ".sst"); tables > 60 {
			t.Errorf("%d tables on the full disk", tables)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		d.untilAccepted()
		d.verify()
		if lines, _ := s.log.count(); lines > 40 {
			t.Errorf("%d lines in the log", lines)
		}
		if log := s.log.String(); !strings.Contains(log, "read-only") || !strings.Contains(log, "the store is writable") {
			t.Error("the log does not say what happened")
		}
		s.kill()
	}
	s.start()
	d.c = s.mustConnect(text{})
	d.verify()
	s.stop(20 * time.Second)
	figures(t, "%d writes acknowledged and found again, by reads on the full disk too", len(d.acknowledged))
}

// TestStopOnFullDisk ends servers on a disk without a free byte, one of them
// while it is read-only.
func TestStopOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 64)
	s := newServer(t)
	s.dir = filepath.Join(dir, "data")
	s.start()
	d := &diskFiller{t: t, c: s.mustConnect(text{})}
	d.mustStore(50)
	ballast := filepath.Join(dir, "ballast")
	grow(t, ballast, dir, 0)
	d.untilRefused()
	s.stop(20 * time.Second)
	s.start()
	d.c = s.mustConnect(text{})
	d.verify()
	s.stop(20 * time.Second)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.start()
	d.c = s.mustConnect(text{})
	d.verify()
	d.untilAccepted()
	s.stop(20 * time.Second)
}

// refusedAll checks that nothing can be changed.
func (d *diskFiller) refusedAll() {
	d.t.Helper()
	key := fillerKey(d.acknowledged[0])
	answers, err := d.c.do([]session.Command{
		{Op: session.OpSet, Key: key, Value: []byte("x"), Expiry: session.Never},
		{Op: session.OpTouch, Key: key, Expiry: session.FromUnix(time.Now().Unix() + 3600)},
		{Op: session.OpDelete, Key: key},
		{Op: session.OpFlush},
		{Op: session.OpGet, Key: key},
	}, wallNow())
	if err != nil {
		d.t.Fatal(err)
	}
	for i, a := range answers[:4] {
		if !strings.HasPrefix(a.message, "SERVER_ERROR") {
			d.t.Errorf("command %d of a read-only server: %d %q", i, a.status, a.message)
		}
	}
	if answers[4].status != session.OK {
		d.t.Errorf("a get: %d %q", answers[4].status, answers[4].message)
	}
}

func countFiles(t *testing.T, dir, suffix string) (n int) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name.Name(), suffix) {
			n++
		}
	}
	return n
}

// TestFileSystemBecomesReadOnly lets ext4 find an error, upon which it takes no
// more writes: reads go on, the rest is refused, and nothing acknowledged is lost.
func TestFileSystemBecomesReadOnly(t *testing.T) {
	t.Parallel()
	disk := newExt4(t, 64)
	s := newServer(t)
	s.dir = filepath.Join(disk.dir, "data")
	s.start()
	d := &diskFiller{t: t, c: s.mustConnect(text{})}
	d.mustStore(100)
	disk.breakIt(t)
	d.c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if a, err := d.store(); err == nil && a.status == session.OK {
		t.Error("a write was acknowledged that cannot be durable")
	} else if err != nil {
		d.c = s.mustConnect(text{}) // it waits
	}
	for range rounds(3, 200) { // each takes seconds
		d.refusedAll()
	}
	d.verify()
	s.mustRun(0)
	s.kill()
	disk.remount(t)
	s.start()
	d.c = s.mustConnect(text{})
	d.verify()
	d.mustStore(10)
	s.stop(20 * time.Second)
}

// ext4 is a small file system in a file.
type ext4 struct{ image, dir string }

func newExt4(t *testing.T, megabytes int) *ext4 { return newExt4In(t, t.TempDir(), megabytes) }

func newExt4In(t *testing.T, base string, megabytes int) *ext4 {
	t.Helper()
	need(t, os.Getuid() == 0, "root, to mount a small file system")
	e := &ext4{image: filepath.Join(base, "image"), dir: filepath.Join(base, "mount")}
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	size := fmt.Sprintf("%dm", megabytes)
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", e.image, size).CombinedOutput(); err != nil {
		t.Skipf("needs mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", e.image, e.dir).CombinedOutput(); err != nil {
		t.Skipf("needs leave to mount a file: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", e.dir).Run() })
	return e
}

// device is what is mounted, a loop device.
func (e *ext4) device(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("findmnt", "-n", "-o", "SOURCE", e.dir).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// breakIt makes the file system find an error.
func (e *ext4) breakIt(t *testing.T) {
	t.Helper()
	device := filepath.Base(e.device(t))
	if err := os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("1"), 0); err != nil {
		t.Skip("needs a file system that can be told to fail: ", err)
	}
}

// remount does what a restart of the machine does. It mounts a copy of the image: as
// long as a process has a mount namespace that was made meanwhile, as other tests'
// containers have, the old file system goes on, and it would be that one again, still
// read-only.
func (e *ext4) remount(t *testing.T) {
	t.Helper()
	found := e.image + ".found"
	for _, args := range [][]string{{"umount", e.dir}, {"cp", "--sparse=always", e.image, found}, {"mv", found, e.image},
		{"e2fsck", "-fy", e.image}, {"mount", "-o", "loop", e.image, e.dir}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil && args[0] != "e2fsck" { // which reports what it has mended
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
}

// TestFewFileDescriptors starts servers whose limit on open files cannot be
// raised. One that is far too low is refused at once and in words; with one that
// is somewhat low, connections are limited, and the store does not run out.
func TestFewFileDescriptors(t *testing.T) {
	t.Parallel()
	need(t, os.Getuid() == 0, "root, to run as somebody else")
	s := limitedServer(t, 64)
	s.launch()
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatal("a server with 64 file descriptors goes on")
	}
	if log := s.log.String(); s.err == nil || !strings.Contains(log, "limit on open files is 64") {
		t.Errorf("it ends with %v and says %q", s.err, log)
	}
	s.cmd = nil

	s = limitedServer(t, 256)
	s.start()
	d := &diskFiller{t: t, c: s.mustConnect(text{})}
	d.mustStore(20)
	var conns []net.Conn
	for range 600 {
		c, err := net.Dial("unix", s.sock)
		if err != nil {
			break // the queue of those that wait to be accepted is full
		}
		defer c.Close()
		conns = append(conns, c)
	}
	d.mustStore(200)
	d.verify()
	if lines, written := s.log.count(); lines > 200 || written > 64<<10 {
		t.Errorf("a flood of %d lines, %d bytes in the log", lines, written)
	}
	for _, c := range conns {
		c.Close()
	}
	deadline := time.Now().Add(patience)
	for !s.answers() {
		if time.Now().After(deadline) {
			t.Fatal("no new client is accepted though the others have gone")
		}
	}
	s.stop(20 * time.Second)
	figures(t, "%d clients at 256 file descriptors, %d writes meanwhile", len(conns), len(d.acknowledged))
}

// limitedServer is a server that runs as nobody, with a limit on open files.
func limitedServer(t *testing.T, files int) *server {
	t.Helper()
	s := newServer(t, "--conn-limit", "500")
	base := filepath.Dir(s.dir)
	program := filepath.Join(base, "cairn-limited")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", files, cairn(t))
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(cairn(t)), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{base} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	s.program = program
	s.credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	return s
}

const nobody = 65534

// TestFullDiskDuringCheckpoint fills the disk while copies of the store are made:
// they fail, leave nothing, and the store goes on.
func TestFullDiskDuringCheckpoint(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 64)
	store, err := engine.Open(engine.Options{Dir: filepath.Join(dir, "data"), HotBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b := &session.Burst{Now: store.Now()}
	for i := range 100 {
		*b.Add() = session.Command{Op: session.OpSet, Key: fillerKey(i), Value: fillerValue(i), Expiry: session.Never}
	}
	session.Do(store, b)
	ballast := filepath.Join(dir, "ballast")
	step := uint64(256 << 10 / rounds(10, 64))
	for free := uint64(0); free < 256<<10; free += step {
		grow(t, ballast, dir, free)
		copied := filepath.Join(dir, "data", "copy")
		if err := store.Checkpoint(copied); err == nil {
			os.RemoveAll(copied)
		} else if _, err := os.Stat(copied); err == nil {
			t.Fatalf("with %d bytes free a copy failed and left something", free)
		}
		if err := os.Truncate(ballast, 0); err != nil {
			t.Fatal(err)
		}
		store.Tick(t.Context())
	}
	copied := filepath.Join(dir, "data", "copy")
	if err := store.Checkpoint(copied); err != nil {
		t.Error("with space: ", err)
	}
}

// TestFullDiskDuringDictionaryChange fills the disk while dictionaries are trained
// and adopted: the change waits for space or fails, the store goes on, and every
// session can be read, also by the next process.
func TestFullDiskDuringDictionaryChange(t *testing.T) {
	t.Parallel()
	dir, rng, clock := smallDisk(t, 96), newRand(t), sessiontest.NewClock()
	ballast := filepath.Join(dir, "ballast")
	options := engine.Options{
		Dir: filepath.Join(dir, "data"), Wall: clock.Wall, HotBytes: -1, DropEvery: -1, DropGrace: -1, MemtableBytes: 1 << 20, DiskReserve: 1,
		Compression: engine.CompressionDict, Logger: slog.New(slog.DiscardHandler),
	}
	store, err := engine.Open(options)
	must(t, err)
	defer func() { store.Close() }()
	shop := &shop{t: t, rng: rng, store: store, sold: make(map[string]soldItem)}
	adopted, failed := 0, 0
	for range rounds(1, 12) {
		for tries, before := 0, store.Figures().Compression.Dictionaries; store.Figures().Compression.Dictionaries == before; tries++ {
			if tries == 400 {
				t.Fatal("no dictionary was trained")
			}
			shop.open(400)
			grow(t, ballast, dir, uint64(rng.IntN(pick(rng, 1, 64<<10, 1<<20, 16<<20))))
			trained := make(chan error, 1)
			go func() { trained <- store.TrainDictionaries(t.Context()) }()
			select {
			case err = <-trained:
			case <-time.After(20 * time.Millisecond): // it waits for space, or is slow
				shop.read(store, "without space")
				must(t, os.Truncate(ballast, 0))
				err = <-trained
			}
			if err != nil {
				failed++
			}
			must(t, os.Truncate(ballast, 0))
			store.Tick(t.Context())
			shop.read(store, "with space again")
		}
		adopted++
		shop.layout++ // which makes the dictionary useless
		clock.Advance(2 * time.Hour)
		store.Tick(t.Context())
		must(t, store.DropExpired(t.Context()))
		must(t, store.Close())
		must(t, engine.Check(options, func(problem engine.Problem) { t.Error("check: ", problem) }))
		store, err = engine.Open(options)
		must(t, err)
		shop.store = store
		shop.read(store, "after a restart")
	}
	figures(t, "%d dictionaries adopted on a disk without space, %d attempts failed", adopted, failed)
}

// TestUpgradeOnFullDisk opens the store of each release on a disk without a free
// byte, where it cannot be upgraded: every session is read, nothing is stored. A
// kill in that state costs nothing, and with space the upgrade is done.
func TestUpgradeOnFullDisk(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/store-*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatal("no stores of releases: ", err)
	}
	for _, archive := range archives {
		dir := smallDisk(t, 96)
		ballast := filepath.Join(dir, "ballast")
		s := newServer(t)
		s.dir = filepath.Join(dir, "data")
		must(t, unpack(archive, vfs.Default, s.dir))
		grow(t, ballast, dir, 0)
		for range 2 {
			s.start()
			readUpgraded(t, s.mustConnect(meta{}))
			(&diskFiller{t: t, c: s.mustConnect(text{})}).refused()
			s.kill()
		}
		s.start()
		must(t, os.Remove(ballast))
		d := &diskFiller{t: t, c: s.mustConnect(text{})}
		d.untilAccepted()
		readUpgraded(t, s.mustConnect(meta{}))
		s.kill()
		must(t, engine.Check(upgradeOptions(s.dir), func(problem engine.Problem) { t.Errorf("%s: check: %s", archive, problem) }))
		verifyUpgrade(t, upgradeOptions(s.dir))
	}
	figures(t, "%d stores opened and killed on a full disk, and upgraded when there was space", len(archives))
}

// readUpgraded reads all of upgradeItems.
func readUpgraded(t *testing.T, c *client) {
	t.Helper()
	for _, want := range upgradeItems() {
		a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: want.Key})
		if !bytes.Equal(a.value, want.Value) || a.flags != want.Flags {
			t.Errorf("%s: %d bytes, flags %d", want.Key, len(a.value), a.flags)
		}
	}
}
