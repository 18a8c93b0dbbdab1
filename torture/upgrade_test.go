package torture

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/session"
)

// upgradeItems are what every store in testdata holds.
func upgradeItems() []session.Item {
	var items []session.Item
	for i := range 60 {
		it := session.Item{
			Key:    fmt.Appendf(nil, "item%d", i),
			Value:  bytes.Repeat(fmt.Appendf(nil, "value %d ", i), i*i),
			Flags:  uint32(i) * 0x01010101,
			Expiry: session.Never,
		}
		if i%3 == 1 { // the year 2200
			it.Expiry = session.FromUnix(7_258_118_400 + int64(i))
		}
		it.Stale = i%10 == 7
		items = append(items, it)
	}
	return items
}

// ownedItems is how many sessions of which it is known whose they are (see
// storeOwned) a store in testdata holds: those of the first format none, all
// others as many as TestWriteUpgradeStore writes.
func ownedItems(archive string) int64 {
	if filepath.Base(archive) == "store-format1.tar.gz" {
		return 0
	}
	return writtenOwned
}

const writtenOwned = 6

// upgradeClock is when the stores were written.
func upgradeClock() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) }

func upgradeOptions(dir string) engine.Options {
	return engine.Options{Dir: dir, Wall: upgradeClock, DropEvery: -1, Logger: slog.New(slog.DiscardHandler)}
}

// TestWriteUpgradeStore writes the store for a release:
//
//	CAIRN_TORTURE_WRITE_STORE=store-<version> go test -run WriteUpgradeStore ./torture
func TestWriteUpgradeStore(t *testing.T) {
	name := os.Getenv("CAIRN_TORTURE_WRITE_STORE")
	if name == "" {
		t.Skip("a release does this")
	}
	dir := filepath.Join(t.TempDir(), "data")
	store, err := engine.Open(upgradeOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	write := func(from, to int) {
		for i := from / 10; i < to/10; i++ {
			storeOwned(t, store, i)
		}
		b := &session.Burst{Now: store.Now()}
		for _, it := range upgradeItems()[from:to] {
			long := it.Expiry // some get theirs by a touch, some are overwritten or deleted
			*b.Add() = session.Command{Op: session.OpSet, Key: it.Key, Value: []byte("old"), Expiry: store.Now().Add(time.Hour)}
			*b.Add() = session.Command{Op: session.OpSet, Key: it.Key, Value: it.Value, Flags: it.Flags, Expiry: store.Now().Add(40 * 24 * time.Hour)}
			*b.Add() = session.Command{Op: session.OpTouch, Key: it.Key, Expiry: long}
			*b.Add() = session.Command{Op: session.OpSet, Key: append([]byte("gone-"), it.Key...), Value: it.Value, Expiry: session.Never}
			*b.Add() = session.Command{Op: session.OpDelete, Key: append([]byte("gone-"), it.Key...)}
			if it.Stale {
				*b.Add() = session.Command{Op: session.OpDelete, Mods: session.Invalidate, Key: it.Key}
			}
		}
		session.Do(store, b)
	}
	write(0, 30) // into tables
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = engine.Open(upgradeOptions(dir)); err != nil {
		t.Fatal(err)
	}
	write(30, 60) // these stay in the log: the copy is taken as a crash would leave it
	if err := pack(dir, filepath.Join("testdata", name+".tar.gz")); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUpgrade opens the store of each release, twice, and reads all of it.
func TestUpgrade(t *testing.T) {
	archives, err := filepath.Glob("testdata/store-*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatal("no stores of releases: ", err)
	}
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := unpack(archive, vfs.Default, dir); err != nil {
				t.Fatal(err)
			}
			if err := engine.Check(upgradeOptions(dir), func(problem engine.Problem) { t.Error("check: ", problem) }); err != nil {
				t.Error(err)
			}
			for range 2 {
				verifyUpgrade(t, upgradeOptions(dir))
				verifyOwned(t, upgradeOptions(dir), ownedItems(archive), ownedItems(archive))
			}
		})
	}
	figures(t, "%d stores", len(archives))
}

func verifyUpgrade(t *testing.T, o engine.Options) {
	t.Helper()
	store, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, want := range upgradeItems() {
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: want.Key}
		*b.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: append([]byte("gone-"), want.Key...)}
		session.Do(store, b)
		it := b.Results[0].Item
		if b.Results[0].Status != session.OK || !bytes.Equal(it.Value, want.Value) || it.Flags != want.Flags ||
			it.Expiry != want.Expiry || it.Stale != want.Stale || it.Version == 0 {
			t.Errorf("%s: status %d, %d bytes, %+v", want.Key, b.Results[0].Status, len(it.Value), it.Expiry)
		}
		if b.Results[1].Status != session.NotFound {
			t.Errorf("%s came back", b.Commands[1].Key)
		}
	}
}

// TestFutureFormat refuses, in words, a store of a format that is not known
// yet, and leaves it as it is.
func TestFutureFormat(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.mustConnect(text{}).mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never})
	s.stop(20 * time.Second)
	path := filepath.Join(s.dir, "FORMAT")
	present, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("cairn 99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.launch()
	<-s.done
	if s.err == nil || !strings.Contains(s.log.String(), "cairn 99") {
		t.Errorf("ended with %v, log %q", s.err, s.log)
	}
	if err := os.WriteFile(path, present, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	if a := s.mustConnect(text{}).mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: []byte("k")}); string(a.value) != "v" {
		t.Errorf("value %q", a.value)
	}
}

// TestPrivateFiles checks that nobody but the owner can look into the data, not
// even in a data directory that was there before and is open to all.
func TestPrivateFiles(t *testing.T) {
	s := newServer(t)
	s.start()
	info, err := os.Stat(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 {
		t.Errorf("the data directory has mode %o", mode)
	}
	s.kill()
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(s.dir, 0o755), os.Chmod(s.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start writes tables
		s.start()
		s.mustConnect(text{}).mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never})
		privateTree(t, s.dir)
		s.stop(20 * time.Second)
	}
	privateTree(t, s.dir)
	s.start()
	socket, err := os.Stat(s.sock)
	if err != nil {
		t.Fatal(err)
	}
	if mode := socket.Mode().Perm(); mode&0o077 != 0 {
		t.Errorf("the socket has mode %o", mode)
	}
}

// privateTree checks that only the owner may use what is below root.
func privateTree(t *testing.T, root string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server has renamed it since its directory was read
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		files++
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files: %v", files, err)
	}
}

// TestSecondProcess is refused with a clear message, and does no harm.
func TestSecondProcess(t *testing.T) {
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	second := newServer(t)
	second.dir = s.dir
	second.launch()
	<-second.done
	if second.err == nil || !strings.Contains(second.log.String(), "in use") {
		t.Errorf("ended with %v, log %q", second.err, second.log)
	}
	neighbour.check()
}

func pack(dir, path string) error {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err := errors.Join(err, w.Close(), zip.Close()); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// unpack writes the files of an archive into dir on disk, and syncs them.
func unpack(path string, disk vfs.FS, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for r := tar.NewReader(zip); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return syncDirs(disk, dir, filepath.Dir(dir))
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := writeFile(disk, disk.PathJoin(dir, filepath.Base(header.Name)), data); err != nil {
			return err
		}
	}
}

func writeFile(disk vfs.FS, path string, data []byte) error {
	f, err := disk.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDirs(disk vfs.FS, dirs ...string) error {
	for _, dir := range dirs {
		d, err := disk.OpenDir(strings.TrimPrefix(dir, "."))
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}
