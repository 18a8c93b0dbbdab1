package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestBlockingFS(t *testing.T) {
	fsys := blockingFS{vfs.Default}
	dir := t.TempDir()
	for _, name := range []string{"000001.log", "000002.sst"} {
		path := filepath.Join(dir, name)
		f, err := fsys.Create(path, "test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write([]byte("abcdef"))
		if err := errors.Join(err, f.Sync(), f.SyncData(), f.Close()); err != nil {
			t.Error(err)
		}
		if err := f.Sync(); err == nil {
			t.Error("a closed file can be synced")
		}
		if f, err = fsys.Open(path); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4)
		if n, err := f.ReadAt(p, 1); n != 4 || err != nil || string(p) != "bcde" {
			t.Errorf("%s: read %d bytes, %q, %v", name, n, p, err)
		}
		if n, err := f.ReadAt(p, 4); n != 2 || err != io.EOF || string(p[:2]) != "ef" {
			t.Errorf("%s: read %d bytes at the end, %q, %v", name, n, p[:2], err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	d, err := fsys.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		t.Error(err)
	}
	if _, err := fsys.Open(filepath.Join(dir, "000003.sst")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestBlockingFSNamesFiles reads a directory, which is an error.
func TestBlockingFSNamesFiles(t *testing.T) {
	dir := t.TempDir()
	f, err := blockingFS{vfs.Default}.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var of *fs.PathError
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.As(err, &of) || of.Path != dir || of.Err != syscall.EISDIR {
		t.Errorf("read of a directory: %v", err)
	}
}
