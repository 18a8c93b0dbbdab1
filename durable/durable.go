// Package durable replaces small files so that a crash leaves the old one or the new
// one, and tells errors that may pass from those that do not.
package durable

import (
	"errors"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SyncError is the error of a sync. What it was to make durable may be lost without
// another error, so a later sync of the same proves nothing.
type SyncError struct{ Err error }

func (e *SyncError) Error() string { return e.Err.Error() }

func (e *SyncError) Unwrap() error { return e.Err }

// Passing reports whether an operation failed for a reason that may pass without a
// restart: there is no space, no quota, no file descriptor, or the file system is
// read-only for now. It has had no effect, except that a write may have written a
// part, and that Replace may have replaced the file, though not durably. A [SyncError]
// does not pass.
func Passing(err error) bool {
	if errors.As(err, new(*SyncError)) {
		return false
	}
	for _, reason := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// Replace writes the file at path. It appears whole or not at all, whatever happens,
// and is durable when Replace returns nil. The name with ".new" behind it is used. The
// error of a sync is no [SyncError] here: who tries again writes and renames anew.
func Replace(fs vfs.FS, path string, category vfs.DiskWriteCategory, content []byte) error {
	f, err := fs.Create(path+".new", category)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(path+".new", path); err != nil {
		return err
	}
	err = SyncDir(fs, fs.PathDir(path))
	if failed, ok := errors.AsType[*SyncError](err); ok {
		return failed.Err
	}
	return err
}

// SyncAncestors makes the names durable that lead to dir, up to the root or to where a
// relative path begins. A directory that may not be read is left out.
func SyncAncestors(fs vfs.FS, dir string) error {
	for above := fs.PathDir(dir); above != dir; dir, above = above, fs.PathDir(above) {
		if err := SyncDir(fs, above); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	return nil
}

// SyncPath is SyncAncestors on the operating system's file system.
func SyncPath(dir string) error { return SyncAncestors(vfs.Default, dir) }

// SyncDir makes the names in dir durable.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	if err = d.Sync(); err != nil {
		err = &SyncError{err}
	}
	return errors.Join(err, d.Close())
}
