package durable_test

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/durable"
)

const category = "test"

// TestReplaceWholeOrNot cuts the power, and lets an operation fail, at each operation
// of a replacement.
func TestReplaceWholeOrNot(t *testing.T) {
	replaced := false
	for failing := int32(0); !replaced; failing++ {
		disk := vfs.NewCrashableMem()
		if err := errors.Join(disk.MkdirAll("dir", 0o755), durable.SyncDir(disk, "")); err != nil {
			t.Fatal(err)
		}
		if err := durable.Replace(disk, "dir/file", category, []byte("old")); err != nil {
			t.Fatal(err)
		}
		fs := errorfs.Wrap(disk, errorfs.OnIndex(failing))
		err := durable.Replace(fs, "dir/file", category, []byte("new"))
		replaced = err == nil
		for _, got := range []string{
			content(t, disk, "dir/file"),
			content(t, disk.CrashClone(vfs.CrashCloneCfg{}), "dir/file"),
		} {
			if got != "old" && got != "new" || replaced && got != "new" {
				t.Errorf("operation %d failed (%v): the file has %q", failing, err, got)
			}
		}
	}
}

// Want of space passes, whichever operation of a replacement meets it: who tries again
// does all of it again. Of a directory's sync alone that is not so.
func TestReplaceWithoutSpace(t *testing.T) {
	replaced := false
	for failing := int32(0); !replaced; failing++ {
		operation := int32(-1)
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(errorfs.Op) error {
			if operation++; operation == failing {
				return syscall.ENOSPC
			}
			return nil
		}))
		err := durable.Replace(fs, "file", category, []byte("new"))
		if replaced = operation < failing; replaced != (err == nil) || !replaced && !durable.Passing(err) {
			t.Errorf("operation %d failed: %v, which passes: %v", failing, err, durable.Passing(err))
		}
	}
	full := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync {
			return syscall.ENOSPC
		}
		return nil
	}))
	if err := durable.SyncDir(full, ""); err == nil || durable.Passing(err) {
		t.Errorf("the sync of a directory failed: %v, which passes: %v", err, durable.Passing(err))
	}
}

func content(t *testing.T, fs vfs.FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPassing(t *testing.T) {
	for _, c := range []struct {
		err     error
		passing bool
	}{
		{nil, false},
		{errors.New("other"), false},
		{syscall.EIO, false},
		{syscall.ENOSPC, true},
		{fmt.Errorf("write: %w", syscall.EDQUOT), true},
		{syscall.EROFS, true},
		{syscall.EMFILE, true},
		{errors.Join(syscall.ENFILE, io.ErrClosedPipe), true},
		{&durable.SyncError{Err: syscall.ENOSPC}, false},
		{fmt.Errorf("log: %w", &durable.SyncError{Err: syscall.ENOSPC}), false},
	} {
		if got := durable.Passing(c.err); got != c.passing {
			t.Errorf("%v: passing %v, want %v", c.err, got, c.passing)
		}
	}
}
