package log

import (
	"sync/atomic"

	"cairn/figures"
)

// counts are what a log counts; records and bytes are guarded by Log.mu.
type counts struct {
	records, bytes int64
	syncs          figures.Histogram
	lastSync       atomic.Int64 // ns
	recycled       atomic.Int64
	failovers      atomic.Int64
	waitsForSpace  atomic.Bool
}

// Figures are what a Log has counted since it was opened, and what it is like.
type Figures struct {
	Records       int64 // appended
	WrittenBytes  int64 // made durable, with what stands beside the records
	Syncs         figures.Times
	Bytes         int64 // of segments with records that are not truncated
	PendingBytes  int64 // that wait to be written
	SpareBytes    int64
	Segments      int
	Recycled      int64 // segments whose files were kept
	Failovers     int64
	Away          bool // the failover directory is in use
	Direct        bool // writes go past the page cache
	WaitsForSpace bool
	Ended         bool
}

// Declared are the figures of a Log that operators see.
var Declared = figures.Set[Figures]{
	figures.Counter("cairn_log_records_total", "Records appended to the commit log.", func(f Figures) int64 { return f.Records }),
	figures.Counter("cairn_log_written_bytes_total", "Bytes that the commit log has made durable.", func(f Figures) int64 { return f.WrittenBytes }),
	figures.Timing("cairn_log_sync_seconds", "How long it took to make a group of records durable.", func(f Figures) figures.Times { return f.Syncs }),
	figures.Gauge("cairn_log_size_bytes", "Size of the commit log's records that are not truncated.", func(f Figures) int64 { return f.Bytes }),
	figures.Gauge("cairn_log_pending_bytes", "Bytes of records that wait to be written.", func(f Figures) int64 { return f.PendingBytes }),
	figures.Gauge("cairn_log_spare_bytes", "Size of the files that are kept for segments to come.", func(f Figures) int64 { return f.SpareBytes }),
	figures.Gauge("cairn_log_segments", "Segments of the commit log.", func(f Figures) int { return f.Segments }),
	figures.Counter("cairn_log_recycled_segments_total", "Segments whose files were kept to be used again.", func(f Figures) int64 { return f.Recycled }),
	figures.Counter("cairn_log_failovers_total", "Times that the commit log went on in its other directory.", func(f Figures) int64 { return f.Failovers }),
	figures.Flag("cairn_log_failed_over", "1 while the commit log is written to its failover directory.", func(f Figures) bool { return f.Away }),
	figures.Flag("cairn_log_direct", "1 if the commit log is written past the page cache.", func(f Figures) bool { return f.Direct }),
	figures.Flag("cairn_log_waits_for_space", "1 while the commit log waits for disk space.", func(f Figures) bool { return f.WaitsForSpace }),
	figures.Flag("cairn_log_failed", "1 after the commit log has ended because the disk failed.", func(f Figures) bool { return f.Ended }),
}

// Figures returns the present figures.
func (l *Log) Figures() Figures {
	f := Figures{
		Syncs:         l.counts.syncs.Times(),
		Bytes:         l.Size(),
		Recycled:      l.counts.recycled.Load(),
		Failovers:     l.counts.failovers.Load(),
		Away:          l.away.Load(),
		Direct:        l.home.direct.Load(),
		WaitsForSpace: l.counts.waitsForSpace.Load(),
	}
	for _, d := range l.directories() {
		f.SpareBytes += d.bytes.Load()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.Records, f.WrittenBytes, f.Segments = l.counts.records, l.counts.bytes, len(l.segments)
	f.PendingBytes = int64(len(l.pending.data) + len(l.flying.data))
	f.Ended = l.err != nil && !l.closing
	return f
}
