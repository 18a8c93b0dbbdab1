package engine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session/sessiontest"
)

// lockFS is a file system whose locks fail.
type lockFS struct {
	vfs.FS
	err error
}

func (f lockFS) Lock(string) (io.Closer, error) { return nil, f.err }

// TestOpenSaysWhyItCannotLock tells a directory that somebody else has open
// from one that may not or cannot be written to.
func TestOpenSaysWhyItCannotLock(t *testing.T) {
	at := func(err error) error { return &fs.PathError{Op: "open", Path: "/data/LOCK", Err: err} }
	for _, c := range []struct {
		err    error
		says   string
		locked bool
	}{
		{syscall.EAGAIN, "in use by another process", true},
		{syscall.EACCES, "in use by another process", true}, // fcntl(2) may say so
		{at(syscall.EACCES), "no permission to write to the data directory: it belongs to uid", false},
		{at(syscall.EPERM), "no permission to write", false},
		{at(syscall.EROFS), "read-only file system", false},
		{at(syscall.ENOSPC), "no space left", false},
	} {
		o := testOptions(t, lockFS{vfs.Default, c.err}, sessiontest.NewClock())
		o.Dir = t.TempDir()
		for name, err := range map[string]error{"open": openError(o), "check": Check(withFormat(t, o), func(Problem) {})} {
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrLocked) != c.locked {
				t.Errorf("%s with %v: %v", name, c.err, err)
			}
		}
	}
}

func openError(o Options) error {
	s, err := Open(o)
	if err == nil {
		err = s.Close()
	}
	return err
}

func withFormat(t *testing.T, o Options) Options {
	t.Helper()
	writeFile(t, vfs.Default, filepath.Join(o.Dir, formatFile), plainFormat)
	return o
}

// TestOpenRefusesAnUnfinishedRestore would else make a new store in the midst
// of one that is being restored.
func TestOpenRefusesAnUnfinishedRestore(t *testing.T) {
	o := testOptions(t, nil, sessiontest.NewClock())
	o.Dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(o.Dir, restoringDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := openError(o); !errors.Is(err, ErrRestoring) {
		t.Errorf("error %v", err)
	}
	withFormat(t, o)
	if err := openError(o); err != nil {
		t.Errorf("what is left of a restore that was whole: %v", err)
	}
}

func TestReserveIsScaledToSmallDisks(t *testing.T) {
	for _, c := range []struct{ asked, total, want int64 }{
		{0, 1 << 40, 256 << 20},
		{0, 2 << 30, 256 << 20},
		{0, 64 << 20, 8 << 20},
		{300 << 20, 64 << 20, 300 << 20},
		{-1, 64 << 20, -1},
	} {
		o := Options{Dir: "data", DiskReserve: c.asked}
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		if got := o.reserveOf(c.total); got != c.want {
			t.Errorf("a disk of %d and a reserve of %d: %d, want %d", c.total, c.asked, got, c.want)
		}
	}
}
