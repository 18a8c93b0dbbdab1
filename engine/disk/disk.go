// Package disk is what stands between Pebble and the files of a store: spare
// files for logs, the pace of those who write tables, the order in which names
// become durable, the free space, and the signs that a file is damaged or slow.
// It knows nothing of sessions.
package disk

import (
	"context"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say which disk a store has. All fields are required but for the last
// three.
type Options struct {
	FS            vfs.FS
	Dir           string // the data directory
	Logger        *slog.Logger
	MemtableBytes int64       // of Pebble's memtables, and so of a full log
	Fatal         func(error) // is called when the store cannot go on

	SpareLogs int                     // how many files are kept ready to become logs; not positive: none
	Reserve   func(total int64) int64 // what must stay free on a disk of that size, bytes; nil or not positive: nothing
	Watch     bool                    // FS is the operating system's: slow operations are reported
}

// Disk is how the Pebble of one store uses its disk. Its methods may be called
// concurrently once Configure has returned.
type Disk struct {
	options   Options
	logs      *logPool // nil: none
	space     space
	pacer     pacer
	compactor *compactor
	events    *events
}

// New returns the disk of a store, without spare logs.
func New(o Options) *Disk {
	d := &Disk{options: o, compactor: newCompactor(), events: newEvents(&o)}
	d.space.disk = &d.options
	return d
}

// OpenLogs takes over the spare logs that an earlier process has left, if there
// are to be any. It is called before Configure.
func (d *Disk) OpenLogs() (err error) {
	if d.options.SpareLogs > 0 {
		d.logs, err = openLogPool(&d.options)
	}
	return err
}

// Configure makes Pebble use the disk this way.
func (d *Disk) Configure(o *pebble.Options) {
	var files vfs.FS = thriftyFS{d.options.FS}
	if d.logs != nil {
		files = d.logs
		o.Cleaner = newDeleter(pebble.DeleteCleaner{}.Clean)
	}
	o.FS = orderedFS{pacedFS{files, &d.pacer}}
	o.Logger = d.events
	o.EventListener = d.events.listener()
	o.MemTableSize = uint64(d.options.MemtableBytes)
	o.MemTableStopWritesThreshold = memtablesToWait
	o.L0CompactionThreshold = 2 * compactAtSublevels // Pebble counts each twice
	o.Experimental.CompactionScheduler = d.compactor
	if d.options.Watch {
		o.WithFSDefaults()
	}
}

// Look finds out whether flushes or compactions fall behind what is written.
func (d *Disk) Look(m *pebble.Metrics) { d.pacer.look(m) }

// Hurry lets flushes and compactions go on without rest, until as many calls of
// Calm.
func (d *Disk) Hurry() { d.pacer.hurry() }

// Calm takes a call of Hurry back.
func (d *Disk) Calm() { d.pacer.calm() }

// Quiet lets no compaction begin, and returns when none is running, or with the
// error of ctx. Resume undoes it.
func (d *Disk) Quiet(ctx context.Context) error { return d.compactor.quiet(ctx) }

// Resume lets compactions begin again.
func (d *Disk) Resume() { d.compactor.resume() }

// PrepareLogs makes spare logs if there are to be any and there is plenty of free
// space; on a full disk it gives up those that there are. It rests between the
// pieces, and returns nil when ctx ends.
func (d *Disk) PrepareLogs(ctx context.Context) error {
	if d.logs == nil {
		return nil
	}
	low := d.Low()
	if err := d.logs.setFull(low); err != nil || low {
		return err
	}
	if free := d.space.free.Load(); free > 0 && free < max(0, d.space.reserve.Load())+spareRoom*d.options.MemtableBytes {
		return nil
	}
	return d.logs.fill(ctx)
}

// WorthLogs reports whether a store to which so many bytes were written should
// call PrepareLogs by now.
func (d *Disk) WorthLogs(written int64) bool {
	return float64(written) >= fillAfter*float64(d.options.MemtableBytes) || d.Low()
}

// SyncDir makes the names in dir durable.
func SyncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
