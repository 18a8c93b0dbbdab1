package disk

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errLeft is the error of a change to a directory that is another process's by now.
var errLeft = errors.New("engine: the store has been left to another process")

// leaveTheRest is how long a Pebble that is being closed waits when it has closed the last
// file that it writes.
const leaveTheRest = time.Second

// leaving tells when a Pebble that is being closed has closed the last file that it
// writes. From then on it may change nothing, so that another process can open the store.
// To close tables and free the memory of their blocks takes some milliseconds more, in
// which that process would go without a processor, and mostly this one ends before.
type leaving struct {
	mu      sync.Mutex
	writing int           // files that are open to be written
	left    chan struct{} // closed with the last of them; nil: nobody leaves
}

// Leave returns a channel that is closed when Pebble closes the last file that is open to
// be written. It is called before Pebble is closed, if that has no file to remove.
func (d *Disk) Leave() <-chan struct{} {
	l := &d.leaving
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = make(chan struct{})
	return l.left
}

// begin counts a file that is opened to be written, unless the store was left.
func (l *leaving) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left != nil && l.writing == 0 {
		return errLeft
	}
	l.writing++
	return nil
}

func (l *leaving) end() {
	l.mu.Lock()
	l.writing--
	left := l.left != nil && l.writing == 0
	if left {
		close(l.left)
	}
	l.mu.Unlock()
	if left {
		time.Sleep(leaveTheRest)
	}
}

// change carries out a change of names, unless the store was left.
func (l *leaving) change(what func() error) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.end()
	return what()
}

// leavingFS is a file system whose files to be written leaving counts.
type leavingFS struct {
	vfs.FS
	leaving *leaving
}

func (fs leavingFS) Unwrap() vfs.FS { return fs.FS }

func (fs leavingFS) open(open func() (vfs.File, error)) (vfs.File, error) {
	if err := fs.leaving.begin(); err != nil {
		return nil, err
	}
	f, err := open()
	if err != nil {
		fs.leaving.end()
		return nil, err
	}
	return &writtenFile{File: f, leaving: fs.leaving}, nil
}

// Create implements vfs.FS.
func (fs leavingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(func() (vfs.File, error) { return fs.FS.Create(name, category) })
}

// OpenReadWrite implements vfs.FS.
func (fs leavingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.open(func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (fs leavingFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.open(func() (vfs.File, error) { return fs.FS.ReuseForWrite(oldname, newname, category) })
}

// Link implements vfs.FS.
func (fs leavingFS) Link(oldname, newname string) error {
	return fs.leaving.change(func() error { return fs.FS.Link(oldname, newname) })
}

// Remove implements vfs.FS.
func (fs leavingFS) Remove(name string) error {
	return fs.leaving.change(func() error { return fs.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (fs leavingFS) RemoveAll(name string) error {
	return fs.leaving.change(func() error { return fs.FS.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (fs leavingFS) Rename(oldname, newname string) error {
	return fs.leaving.change(func() error { return fs.FS.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (fs leavingFS) MkdirAll(dir string, perm os.FileMode) error {
	return fs.leaving.change(func() error { return fs.FS.MkdirAll(dir, perm) })
}

// writtenFile is a file that is open to be written.
type writtenFile struct {
	vfs.File
	leaving *leaving
}

// Close implements vfs.File.
func (f *writtenFile) Close() error {
	defer f.leaving.end()
	return f.File.Close()
}
