package disk

import (
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/blocking"
)

// blockingFS is the operating system's file system, on which those who wait for the disk
// let others run. thriftyFS, above it, calls no ReuseForWrite.
type blockingFS struct{ vfs.FS }

func (b blockingFS) Unwrap() vfs.FS { return b.FS }

func (b blockingFS) file(f vfs.File, err error, name string) (vfs.File, error) {
	if err != nil || f.Fd() == vfs.InvalidFd {
		return f, err
	}
	return &blockingFile{f, name, path.Ext(name) == logExt}, nil
}

// Create implements vfs.FS.
func (b blockingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := b.FS.Create(name, category)
	return b.file(f, err, name)
}

// Open implements vfs.FS.
func (b blockingFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.Open(name, opts...)
	return b.file(f, err, name)
}

// OpenReadWrite implements vfs.FS.
func (b blockingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.OpenReadWrite(name, category, opts...)
	return b.file(f, err, name)
}

// OpenDir implements vfs.FS.
func (b blockingFS) OpenDir(name string) (vfs.File, error) {
	f, err := b.FS.OpenDir(name)
	return b.file(f, err, name)
}

type blockingFile struct {
	vfs.File
	name string
	log  bool // whose syncs are short, and so many that they should disturb nobody
}

// ReadAt implements io.ReaderAt.
func (f *blockingFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := blocking.Pread(f.Fd(), p, offset)
	return n, f.outcome("read", err)
}

// Sync implements vfs.File.
func (f *blockingFile) Sync() error { return f.outcome("sync", blocking.Fsync(f.Fd())) }

// SyncData implements vfs.File.
func (f *blockingFile) SyncData() error {
	if f.log {
		return f.File.SyncData()
	}
	return f.outcome("sync", blocking.Fdatasync(f.Fd()))
}

func (f *blockingFile) outcome(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
