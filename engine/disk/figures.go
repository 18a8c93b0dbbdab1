package disk

import (
	"time"

	"cairn/figures"
)

// Figures are what a Disk has counted and measured since it was made.
type Figures struct {
	Free, Total    int64 // of the file system, bytes; 0: unknown
	SpareBytes     int64 // of spare logs
	Corruptions    int64 // that Pebble came upon
	SlowOperations int64
	WriteStalls    int64
	WriteStallTime time.Duration // the present stall included
	Stalled        bool          // writes wait at present
	OutOfSpace     bool          // free space is below the reserve
	ReadOnly       bool          // nothing can be written at present
	Failovers      int64         // of the log to the failover directory
	FailedOver     bool          // the log is there
}

// Declared are the figures of a Disk that operators see.
var Declared = figures.Set[Figures]{
	figures.Gauge("cairn_filesystem_free_bytes", "Free bytes of the store's file system; 0 if unknown.", func(f Figures) int64 { return f.Free }),
	figures.Gauge("cairn_filesystem_size_bytes", "Size of the store's file system; 0 if unknown.", func(f Figures) int64 { return f.Total }),
	figures.Flag("cairn_out_of_space", "1 while values are refused because disk space is below the reserve.", func(f Figures) bool { return f.OutOfSpace }),
	figures.Flag("cairn_read_only", "1 while nothing can be written, not even deletes and touches, because the disk is full or takes no writes.", func(f Figures) bool { return f.ReadOnly }),
	figures.Counter("cairn_wal_failovers_total", "Times that the log of the store has failed over to log-failover-dir.", func(f Figures) int64 { return f.Failovers }),
	figures.Flag("cairn_wal_failed_over", "1 while the log of the store is written to log-failover-dir, because the disk of the data directory is slow or fails.", func(f Figures) bool { return f.FailedOver }),
	figures.Flag("cairn_write_stalled", "1 while writes wait for flushes or compactions.", func(f Figures) bool { return f.Stalled }),
	figures.Counter("cairn_write_stalls_total", "Times that writes had to wait for flushes or compactions.", func(f Figures) int64 { return f.WriteStalls }),
	figures.Counter("cairn_write_stall_seconds_total", "Time that writes waited for flushes or compactions.", func(f Figures) float64 { return f.WriteStallTime.Seconds() }),
	figures.Counter("cairn_disk_slow_operations_total", "Disk operations that took seconds.", func(f Figures) int64 { return f.SlowOperations }),
}

// Figures returns the present figures.
func (d *Disk) Figures() Figures {
	f := Figures{
		Free:           d.space.free.Load(),
		Total:          d.space.total.Load(),
		Corruptions:    d.events.corruptions.Load(),
		SlowOperations: d.events.slow.Load(),
		WriteStalls:    d.events.stalls.Load(),
		WriteStallTime: d.events.stallTime(),
		Stalled:        d.events.stalled.Load() != 0,
		OutOfSpace:     d.Low(),
		ReadOnly:       d.Exhausted(),
		SpareBytes:     d.spareBytes(),
		Failovers:      (d.failover.switches.Load() + 1) / 2,
		FailedOver:     d.failover.has(),
	}
	return f
}
