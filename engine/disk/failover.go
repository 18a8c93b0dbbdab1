package disk

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

const (
	// The data directory is tried after every probeEvery times FailoverAfter while the log
	// has failed over. When all tries were quick for healthyFor times as long the log goes
	// back.
	probeEvery = 5
	healthyFor = 50

	// mostBacklog is how many memtables' sizes may wait for a slow disk to take them as
	// tables, before nothing may be written. Pebble sets no bound while the log has
	// failed over.
	mostBacklog = 8
)

// failover is how the log does with two directories.
type failover struct {
	dirs logDirs      // what LogsFile says; set before Configure
	lock *pebble.Lock // of the directory to fail over to; nil: none

	switches atomic.Int64 // from one to the other, in both directions
	backlog  atomic.Bool  // more than mostBacklog
}

// has reports whether the log has failed over. It begins in the data directory.
func (f *failover) has() bool { return f.switches.Load()%2 == 1 }

// configureFailover makes Pebble look for logs wherever there may be some, and fail over.
func (d *Disk) configureFailover(o *pebble.Options) {
	// Pebble remembers the directory, too, up to the next start without one. It refuses to
	// open if it is the only one that does.
	o.Unsafe.AllowMissingWALDirs = d.failover.dirs.store != ""
	for _, dir := range d.failover.dirs.dirs {
		if dir != d.options.FailoverDir {
			o.WALRecoveryDirs = append(o.WALRecoveryDirs, wal.Dir{FS: d.otherFiles(dir), Dirname: dir})
		}
	}
	if d.options.FailoverDir == "" {
		return
	}
	after := d.options.FailoverAfter
	o.WALFailover = &pebble.WALFailoverOptions{
		Secondary: wal.Dir{FS: d.otherFiles(d.options.FailoverDir), Dirname: d.options.FailoverDir},
		FailoverOptions: wal.FailoverOptions{
			PrimaryDirProbeInterval:            probeEvery * after,
			HealthyProbeLatencyThreshold:       after / 2,
			HealthyInterval:                    healthyFor * after,
			UnhealthySamplingInterval:          min(max(after/4, 5*time.Millisecond), 100*time.Millisecond),
			UnhealthyOperationLatencyThreshold: func() (time.Duration, bool) { return after, true },
		},
	}
}

// otherFiles is the file system for logs in another directory, on a disk that is not the
// store's: neither spares nor the ballast are for them, and a shortage there is an error,
// after which Pebble goes back.
func (d *Disk) otherFiles(dir string) vfs.FS {
	fs := d.options.FS
	if d.options.Watch {
		fs = blockingFS{fs}
	}
	if d.later != nil {
		fs = laterFS{fs, dir, d.later}
	}
	return leavingFS{fs, &d.leaving}
}

// lookAtFailover notes what has become of the log, tells about it, and reports whether it
// has come back.
func (d *Disk) lookAtFailover(m *pebble.Metrics) (cameBack bool) {
	if d.options.FailoverDir == "" {
		return false
	}
	switches := m.WAL.Failover.DirSwitchCount
	before := d.failover.switches.Swap(switches)
	now := d.failover.has()
	switch {
	case now && switches != before:
		d.options.Logger.Warn("the log has failed over: the disk of the data directory is slow or fails",
			"directory", d.options.FailoverDir, "after", d.options.FailoverAfter)
	case switches != before:
		d.options.Logger.Info("the log is in the data directory again", "failovers", (switches-before+1)/2)
	}
	behind := int64(m.MemTable.Size) > mostBacklog*d.options.MemtableBytes
	if was := d.failover.backlog.Swap(behind); behind && !was {
		d.events.log(slog.LevelError, "nothing can be written: the disk of the data directory takes no tables, and no more may wait in memory",
			"waiting_bytes", m.MemTable.Size)
	}
	return !now && switches != before
}
