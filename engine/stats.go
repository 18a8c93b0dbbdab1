package engine

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	dto "github.com/prometheus/client_model/go"

	"cairn/engine/record"
	"cairn/session"
)

// counts are the store's counters since it was opened.
type counts struct {
	stored, flushes         atomic.Int64
	commits, commitErrors   atomic.Int64
	dropped                 atomic.Int64
	readErrors, corruptions atomic.Int64
	userWritten             atomic.Int64
	commitTimes             histogram
}

// Forecast says how many live items and bytes expire in which minute, ascending;
// what never expires is in one slot with From == session.Never.
func (s *Store) Forecast() []session.ForecastSlot { return s.ledger.forecast(s.writeClock()) }

// SetHotBytes changes Options.HotBytes while the store runs. Sessions that no
// longer fit leave memory, not the disk. It is an error if the store was opened
// without a cache.
func (s *Store) SetHotBytes(n int64) error { return s.hot.resize(n) }

// Stats gives the store's figures. After Close those that come from Pebble are
// zero.
func (s *Store) Stats() session.Stats {
	items, bytes, expired := s.ledger.totals(s.writeClock())
	figures := s.disk.Figures()
	stats := session.Stats{
		Items:        items,
		Bytes:        bytes,
		TotalItems:   s.counts.stored.Load(),
		Hot:          s.hot.stats(),
		Expired:      expired,
		Dropped:      s.counts.dropped.Load(),
		Flushes:      s.counts.flushes.Load(),
		Commits:      s.counts.commits.Load(),
		CommitErrors: s.counts.commitErrors.Load(),
		CommitTimes:  s.counts.commitTimes.snapshot(),
		Stalled:      figures.Stalled,
		OutOfSpace:   s.disk.Low(),
		ReadErrors:   s.counts.readErrors.Load(),
		Corruptions:  s.counts.corruptions.Load() + figures.Corruptions,
	}
	if !s.enter() {
		return stats
	}
	defer s.leave()
	metrics := s.db.Metrics()
	stats.SyncTimes = syncTimes(metrics)
	stats.Disk = s.diskStats(metrics)
	stats.Buckets = s.bucketStats()
	return stats
}

// syncTimes reads Pebble's histogram of the latency of log syncs.
func syncTimes(m *pebble.Metrics) session.Histogram {
	var metric dto.Metric
	if m.LogWriter.FsyncLatency == nil || m.LogWriter.FsyncLatency.Write(&metric) != nil {
		return session.Histogram{}
	}
	return thinned(metric.GetHistogram())
}

func (s *Store) diskStats(m *pebble.Metrics) session.DiskStats {
	figures, compressed := s.disk.Figures(), s.values.Figures()
	d := session.DiskStats{
		Bytes:              int64(m.DiskSpaceUsage()) + figures.SpareBytes,
		WALBytes:           int64(m.WAL.Size),
		MemtableBytes:      int64(m.MemTable.Size),
		CacheBytes:         m.BlockCache.Size,
		CacheHits:          m.BlockCache.Hits,
		CacheMisses:        m.BlockCache.Misses,
		WALWritten:         int64(m.WAL.BytesWritten),
		UserWritten:        s.counts.userWritten.Load(),
		CompressedIn:       compressed.In,
		CompressedOut:      compressed.Out,
		Compactions:        m.Compact.Count,
		CompactionsRunning: m.Compact.NumInProgress,
		CompactionDebt:     int64(m.Compact.EstimatedDebt),
		ReadAmplification:  int64(m.ReadAmp()),
		Free:               figures.Free,
		Total:              figures.Total,
		SlowOperations:     figures.SlowOperations,
		WriteStalls:        figures.WriteStalls,
		WriteStallTime:     figures.WriteStallTime,
		TablesTotal:        int64(m.Table.Local.LiveCount),
		ZombieTables:       m.Table.ZombieCount + m.Table.ObsoleteCount,
	}
	d.Dictionaries, d.DictionaryBytes = compressed.Dictionaries, compressed.DictionaryBytes
	for i := range m.Levels {
		d.FlushWritten += int64(m.Levels[i].TableBytesFlushed)
		d.CompactionWritten += int64(m.Levels[i].TableBytesCompacted)
	}
	return d
}

// bucketStats estimates what each bucket takes on disk. What is still only in
// the log and in memory does not count.
func (s *Store) bucketStats() []session.BucketStats {
	list := s.buckets.all()
	stats := make([]session.BucketStats, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		bucket := session.BucketStats{Deadline: list[i].Deadline()}
		for _, space := range record.Bucketed() {
			size, err := s.db.EstimateDiskUsage(space.AppendBucket(nil, list[i]), space.AppendBucketEnd(nil, list[i]))
			if err != nil {
				_ = s.readError(err) // counted
			}
			bucket.DiskBytes += int64(size)
		}
		stats = append(stats, bucket)
	}
	return stats
}
