// Package disk is what stands between Pebble and the files of a store: spare
// files for logs, the pace of those who write tables, the order in which names
// become durable, the free space, and the signs that a file is damaged or slow.
// It knows nothing of sessions.
package disk

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say which disk a store has. All fields are required up to Fatal.
type Options struct {
	FS            vfs.FS
	Dir           string // the data directory
	Logger        *slog.Logger
	MemtableBytes int64       // of Pebble's memtables, and so of a full log
	Fatal         func(error) // is called when the store cannot go on

	SpareLogs int                     // how many files are kept ready to become logs; not positive: none
	Reserve   func(total int64) int64 // what must stay free on a disk of that size, bytes; nil or not positive: nothing
	Watch     bool                    // FS is the operating system's: slow operations are reported, and who waits lets others run
	OpenFiles int                     // how many descriptors the store may have; 0: plenty
	ReadOnly  bool                    // nothing is written
	Known     bool                    // the directory's own name is durable
	Later     bool                    // what an opening writes is made durable while the store is in use; it must sync the log
	Short     func()                  // is called now and then while something waits for space or a descriptor; may be nil

	FailoverDir   string        // takes the log while Dir is slow or fails; absolute; "": none
	FailoverAfter time.Duration // how long a write or a sync of the log may take before that
}

// Disk is how the Pebble of one store uses its disk. Its methods may be called
// concurrently once Configure has returned.
type Disk struct {
	options   Options
	logs      *logPool // nil: none
	later     *later   // nil: nothing is put off
	claimed   claim
	space     space
	pacer     pacer
	compactor *compactor
	events    *events
	shortage  *shortage
	keeper    keeper
	leaving   leaving
	ballast   ballast // only with spare logs
	failover  failover
}

// New returns the disk of a store, without spare logs.
func New(o Options) *Disk {
	d := &Disk{options: o, compactor: newCompactor(), events: newEvents(&o)}
	d.space.disk = &d.options
	d.ballast.fs, d.ballast.path = o.FS, o.FS.PathJoin(o.Dir, BallastFile)
	d.shortage = newShortage(&d.options, d.relieve, d.space.look, &d.space.free)
	d.events.shortage = d.shortage
	if o.Later {
		d.later = newLater(&d.options)
	}
	return d
}

// files is the file system on which a shortage is no error.
func (d *Disk) files() thriftyFS {
	fs := d.options.FS
	if d.options.Watch {
		fs = blockingFS{fs}
	}
	patient := patientFS{fs, fs.PathJoin(d.options.Dir), d.shortage}
	step := max(1, min(lengthenBy, d.options.MemtableBytes/4))
	return thriftyFS{keepingFS{patient, &d.keeper}, &d.claimed, d.shortage, step}
}

// OpenLogs takes over the spare logs that an earlier process has left, if there
// are to be any. It is called before Configure.
func (d *Disk) OpenLogs() (err error) {
	if d.options.SpareLogs > 0 {
		d.space.look()
		d.ballast.adopt(d.ballast.sizeOn(d.space.total.Load()))
		d.logs, err = openLogPool(d.files(), &d.options)
	}
	return err
}

// Configure makes Pebble use the disk this way.
func (d *Disk) Configure(o *pebble.Options) {
	var files vfs.FS = d.files()
	if d.logs != nil {
		files = d.logs
		o.Cleaner = newDeleter(pebble.DeleteCleaner{}.Clean)
	}
	o.FS = orderedFS{pacedFS{files, &d.pacer}}
	if d.options.Known {
		o.FS = knownFS{o.FS, o.FS.PathDir(o.FS.PathJoin(d.options.Dir))}
	}
	if d.later != nil {
		o.FS = laterFS{o.FS, d.options.Dir, d.later}
	}
	o.FS = leavingFS{o.FS, &d.leaving}
	o.Logger = d.events
	o.EventListener = d.events.listener()
	o.MemTableSize = uint64(d.options.MemtableBytes)
	o.MemTableStopWritesThreshold = memtablesToWait
	o.L0CompactionThreshold = 2 * compactAtSublevels // Pebble counts each twice
	o.Experimental.CompactionScheduler = d.compactor
	o.MaxOpenFiles = openTables
	if d.options.OpenFiles > 0 {
		o.MaxOpenFiles = min(openTables, d.options.OpenFiles)
	}
	if d.options.ReadOnly {
		o.ReadOnly, o.FS = true, sharedFS{o.FS}
	}
	d.configureFailover(o)
	if d.options.Watch {
		o.WithFSDefaults()
	}
}

// Opened says that the store is open, or could not be opened. Compactions begin.
func (d *Disk) Opened() {
	d.compactor.resume()
	if d.later != nil {
		d.later.opened()
	}
}

// Closed says that Pebble is closed.
func (d *Disk) Closed() { d.pacer.fallBehind(false) }

// Await waits until what the opening has put off is done.
func (d *Disk) Await() error {
	if d.later == nil {
		return nil
	}
	return d.later.await()
}

// Look finds out whether flushes or compactions fall behind what is written, and whether
// the log has failed over. It reports whether the log has come back, and Pebble should
// flush: each time that one log fails over Pebble waits longer, and at last does not, and
// the other directory is needed for as long as the log is.
func (d *Disk) Look(m *pebble.Metrics) (cameBack bool) {
	d.pacer.look(m)
	return d.lookAtFailover(m)
}

// Hurry lets flushes and compactions go on without rest, until as many calls of
// Calm.
func (d *Disk) Hurry() { d.pacer.hurry() }

// Calm takes a call of Hurry back.
func (d *Disk) Calm() { d.pacer.calm() }

// Quiet lets no compaction begin, and returns when none is running, or with the
// error of ctx. Resume undoes it.
func (d *Disk) Quiet(ctx context.Context) error { return d.compactor.quiet(ctx) }

// IsTidy reports whether all files are removed that Pebble does not need any more,
// by what it says of itself.
func (d *Disk) IsTidy(m *pebble.Metrics) bool {
	return m.Table.ObsoleteCount == 0 && m.BlobFiles.ObsoleteCount == 0 &&
		(d.logs == nil || d.logs.inUse() <= int(m.WAL.Files))
}

// Resume lets compactions begin again.
func (d *Disk) Resume() { d.compactor.resume() }

// Exhausted reports whether nothing may be written, because something that has to
// be written waits already, or would have to soon: the disk is full to the last
// byte, and so is what the log has claimed before. Or too much waits in memory for a slow
// disk, while the log is on another one.
func (d *Disk) Exhausted() bool {
	if d.options.ReadOnly || d.failover.backlog.Load() || d.shortage.waiting.Load() > 0 {
		return true
	}
	return d.space.none.Load() && d.claimed.left()+d.spareBytes()+d.ballast.held.Load() < leastClaim
}

func (d *Disk) spareBytes() int64 {
	if d.logs == nil {
		return 0
	}
	return d.logs.bytes()
}

// relieve frees space by giving up a spare log or the ballast, or reports that
// there is none.
func (d *Disk) relieve() bool { return d.logs != nil && (d.logs.giveUp() || d.ballast.drop()) }

// TakeBallast claims the space that is kept for a full disk, if it is not claimed
// and there is enough of it.
func (d *Disk) TakeBallast() {
	if d.logs == nil || d.options.ReadOnly {
		return
	}
	size := d.ballast.sizeOn(d.space.total.Load())
	if d.space.free.Load() >= max(0, d.space.reserve.Load())+2*size {
		d.ballast.take(size)
	}
}

// Short reports whether something that had to be written could not be lately, and
// waits.
func (d *Disk) Short() bool {
	d.shortage.mu.Lock()
	defer d.shortage.mu.Unlock()
	return d.shortage.short
}

// GiveUp makes what waits for space fail. It is for the end: Pebble does not
// survive it.
func (d *Disk) GiveUp() { d.shortage.giveUp() }

// PrepareLogs makes spare logs if there are to be any and there is plenty of free
// space. Below the reserve those that there are stay, as space for the log that
// nobody else can take, until the disk is full for other files. It rests between
// the pieces, and returns nil when ctx ends.
func (d *Disk) PrepareLogs(ctx context.Context) error {
	if d.logs == nil {
		return nil
	}
	low := d.Low()
	d.logs.setLow(low)
	if low {
		return nil
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

// openTables is how many tables are kept open.
const openTables = 4096

// knownFS is the file system of a store whose directory has been in use: Pebble
// need not sync the one above it.
type knownFS struct {
	vfs.FS
	above string
}

func (fs knownFS) Unwrap() vfs.FS { return fs.FS }

// OpenDir implements vfs.FS.
func (fs knownFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err == nil && fs.PathJoin(name) == fs.above {
		f = syncedDir{f}
	}
	return f, err
}

// syncedDir is a directory of which nothing has to be made durable.
type syncedDir struct{ vfs.File }

// Sync implements vfs.File.
func (syncedDir) Sync() error { return nil }

// sharedFS is the file system of a store that is read while another Disk of the
// same process, which has the lock, opens it.
type sharedFS struct{ vfs.FS }

func (fs sharedFS) Unwrap() vfs.FS { return fs.FS }

// Lock implements vfs.FS.
func (fs sharedFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }
