package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

// later does what makes the opening of a store durable, in the order in which
// Pebble asked for it, while the store is in use already. Pebble hears at once that
// it is done. It may, because until then nothing of what the store had before is
// removed, and nothing that is written to the log is synced: a crash leaves the
// store as it was closed, which is opened anew.
//
// Pebble reads none of what is put off: tables and manifests are put off to be
// synced only, and the names of markers and options are looked for at a start.
type later struct {
	logger *slog.Logger
	fatal  func(error)

	pending atomic.Int64 // steps that are not done

	mu       sync.Mutex
	changed  *sync.Cond // on mu: done, err
	collects bool       // the store is being opened
	running  bool
	steps    []func() error
	added    int64
	done     int64
	err      error // of the step that has failed: none after it is taken
}

func newLater(o *Options) *later {
	l := &later{logger: o.Logger, fatal: o.Fatal, collects: true}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// opened ends the collecting of syncs: from now on they wait for the steps before
// them.
func (l *later) opened() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.collects = false
	l.begin()
}

// begin lets the steps be taken. It is called with mu held.
func (l *later) begin() {
	if len(l.steps) > 0 && !l.running && l.err == nil {
		l.running = true
		go l.run()
	}
}

// putOffSync adds the step if the store is being opened, or reports that it must be
// taken now.
func (l *later) putOffSync(step func() error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.collects {
		l.add(step)
	}
	return l.collects
}

// putOff adds the step unless nothing is before it any more.
func (l *later) putOff(step func() error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.collects && l.done == l.added {
		return false
	}
	l.add(step)
	return true
}

// add is called with mu held.
func (l *later) add(step func() error) {
	l.steps = append(l.steps, step)
	l.added++
	l.pending.Add(1)
	if !l.collects {
		l.begin()
	}
}

// run takes steps until there are none.
func (l *later) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	began, before := time.Now(), l.done
	for len(l.steps) > 0 && l.err == nil {
		step := l.steps[0]
		l.steps = l.steps[1:]
		l.mu.Unlock()
		err := step()
		l.mu.Lock()
		l.err = err
		l.done++
		l.pending.Add(-1)
		l.changed.Broadcast()
	}
	l.running = false
	if l.err != nil {
		err := fmt.Errorf("engine: make the opening of the store durable: %w", l.err)
		l.mu.Unlock()
		defer l.mu.Lock()
		l.fatal(err)
		return
	}
	l.logger.Debug("what was put off is durable", "steps", l.done-before, "took", time.Since(began))
}

// await waits until the steps up to now are taken.
func (l *later) await() error {
	if l.pending.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin() // the opening may wait itself
	for upTo := l.added; l.done < upTo && l.err == nil; {
		l.changed.Wait()
	}
	return l.err
}

// laterFS is the file system of a store that opens by way of later.
type laterFS struct {
	vfs.FS
	dir   string // the data directory
	later *later
}

func (fs laterFS) Unwrap() vfs.FS { return fs.FS }

// own reports whether the file is the store's: a checkpoint has others.
func (fs laterFS) own(name string) bool {
	return fs.PathDir(fs.PathJoin(name)) == fs.PathJoin(fs.dir)
}

// Create implements vfs.FS. A marker has no content, and its name counts.
func (fs laterFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !fs.own(name) {
		return fs.FS.Create(name, category)
	}
	if strings.HasPrefix(fs.PathBase(name), "marker.") {
		create := func() error { return fs.touch(name, category) }
		if fs.later.putOff(create) {
			return nameOnly{}, nil
		}
	}
	f, err := fs.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return laterFile{File: f, fs: fs, name: name}, nil
}

func (fs laterFS) touch(name string, category vfs.DiskWriteCategory) error {
	f, err := fs.FS.Create(name, category)
	if err != nil {
		return err
	}
	return f.Close()
}

// OpenDir implements vfs.FS.
func (fs laterFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err != nil || fs.PathJoin(name) != fs.PathJoin(fs.dir) {
		return f, err
	}
	return laterDir{File: f, fs: fs}, nil
}

// Remove implements vfs.FS. What is left when the process ends the next start
// removes.
func (fs laterFS) Remove(name string) error {
	remove := func() error {
		if err := fs.FS.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			fs.later.logger.Warn("a file that is not needed any more stays for now", "file", name, "error", err)
		}
		return nil
	}
	if fs.own(name) && fs.later.putOff(remove) {
		return nil
	}
	return fs.FS.Remove(name)
}

// Rename implements vfs.FS.
func (fs laterFS) Rename(oldname, newname string) error {
	if fs.own(newname) && fs.later.putOff(func() error { return fs.FS.Rename(oldname, newname) }) {
		return nil
	}
	return fs.FS.Rename(oldname, newname)
}

// Link implements vfs.FS. The file may have its name only later.
func (fs laterFS) Link(oldname, newname string) error {
	if err := fs.later.await(); err != nil {
		return err
	}
	return fs.FS.Link(oldname, newname)
}

// ReuseForWrite implements vfs.FS.
func (fs laterFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.later.await(); err != nil {
		return nil, err
	}
	return fs.FS.ReuseForWrite(oldname, newname, category)
}

// laterFile is a file of the store that is written.
type laterFile struct {
	vfs.File
	fs   laterFS
	name string
}

// Sync implements vfs.File.
func (f laterFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f laterFile) SyncData() error { return f.sync(f.File.SyncData) }

// sync syncs the file after all that was put off, or puts that off. Whoever syncs
// the log acknowledges what is in it.
func (f laterFile) sync(now func() error) error {
	if path.Ext(f.name) != logExt && f.fs.later.putOffSync(f.syncAgain) {
		return nil
	}
	if err := f.fs.later.await(); err != nil {
		return err
	}
	return now()
}

// syncAgain syncs the file, which may be closed by then.
func (f laterFile) syncAgain() error {
	again, err := f.fs.FS.Open(f.name)
	if err != nil {
		return err
	}
	return errors.Join(again.Sync(), again.Close())
}

// laterDir is the data directory.
type laterDir struct {
	vfs.File
	fs laterFS
}

// Sync implements vfs.File.
func (d laterDir) Sync() error {
	if d.fs.later.putOffSync(func() error { return durable.SyncDir(d.fs.FS, d.fs.dir) }) {
		return nil
	}
	if err := d.fs.later.await(); err != nil {
		return err
	}
	return d.File.Sync()
}

// nameOnly is a marker that is created later. Only Close is called.
type nameOnly struct{ vfs.File }

// Close implements io.Closer.
func (nameOnly) Close() error { return nil }

// Sync implements vfs.File.
func (nameOnly) Sync() error { return nil }

// Fd implements vfs.File.
func (nameOnly) Fd() uintptr { return vfs.InvalidFd }
