package httpapi

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

type statsOutput struct{ Body adminapi.Stats }

func (s *Server) getStats(context.Context, *struct{}) (*statsOutput, error) {
	engine := s.engine.Stats()
	now := s.engine.Now()
	stats := adminapi.Stats{
		At:        now.Time(),
		Uptime:    time.Since(s.started).Seconds(),
		Sessions:  sessionStats(&engine),
		Cache:     cacheStats(&engine.Hot),
		Commits:   commitStats(&engine),
		Disk:      diskStats(&engine, now),
		Codec:     codecStats(&engine.Disk),
		Buckets:   bucketStats(engine.Buckets),
		Latencies: latencyStats(s.memcached.Latencies()),
		Memcached: map[string]string{},
		Process:   processStats(),
	}
	s.memcached.EachStat(func(name, value string) { stats.Memcached[name] = value })
	return &statsOutput{Body: stats}, nil
}

func sessionStats(e *session.Stats) adminapi.SessionStats {
	return adminapi.SessionStats{
		Items: e.Items, Bytes: e.Bytes, Stored: e.TotalItems,
		Expired: e.Expired, Evicted: e.Evicted, Flushes: e.Flushes,
	}
}

func cacheStats(h *session.HotStats) adminapi.CacheStats {
	return adminapi.CacheStats{
		Items: h.Items, Bytes: h.Bytes, Capacity: h.Capacity,
		Hits: h.Hits, Misses: h.Misses, Evicted: h.Evicted,
	}
}

func commitStats(e *session.Stats) adminapi.CommitStats {
	return adminapi.CommitStats{
		Commits: e.Commits, Errors: e.CommitErrors,
		P50: quantile(&e.CommitTimes, 0.5), P99: quantile(&e.CommitTimes, 0.99),
		Syncs: int64(e.SyncTimes.Count), SyncSeconds: e.SyncTimes.Sum.Seconds(),
		SyncP50: quantile(&e.SyncTimes, 0.5), SyncP99: quantile(&e.SyncTimes, 0.99),
	}
}

func diskStats(e *session.Stats, now session.Time) adminapi.DiskStats {
	d := &e.Disk
	return adminapi.DiskStats{
		Bytes: d.Bytes, WALBytes: d.WALBytes, MemtableBytes: d.MemtableBytes,
		ExpiredBytes: expiredBytes(e.Buckets, now), BucketsDropped: e.Dropped,
		BlockCacheBytes: d.CacheBytes, BlockCacheHits: d.CacheHits, BlockCacheMisses: d.CacheMisses,
		UserWritten: d.UserWritten, WALWritten: d.WALWritten,
		FlushWritten: d.FlushWritten, CompactionWritten: d.CompactionWritten,
		WriteAmplification: writeAmplification(d),
		Compactions:        d.Compactions, CompactionsRunning: d.CompactionsRunning,
		CompactionDebt: d.CompactionDebt, ReadAmplification: d.ReadAmplification,
		Tables: d.TablesTotal, ZombieTables: d.ZombieTables,
		FreeBytes: d.Free, TotalBytes: d.Total, SlowOperations: d.SlowOperations,
		WriteStalls: d.WriteStalls, WriteStallSeconds: d.WriteStallTime.Seconds(),
		Stalled: e.Stalled, OutOfSpace: e.OutOfSpace,
		ReadErrors: e.ReadErrors, Corruptions: e.Corruptions,
	}
}

// expiredBytes sums up the buckets whose deadline has passed.
func expiredBytes(buckets []session.BucketStats, now session.Time) (bytes int64) {
	for _, b := range buckets {
		if b.Deadline <= now {
			bytes += b.DiskBytes
		}
	}
	return bytes
}

func writeAmplification(d *session.DiskStats) float64 {
	if d.UserWritten == 0 {
		return 0
	}
	return float64(d.WALWritten+d.FlushWritten+d.CompactionWritten) / float64(d.UserWritten)
}

func codecStats(d *session.DiskStats) adminapi.CodecStats {
	return adminapi.CodecStats{
		Dictionaries: d.Dictionaries, DictionaryBytes: d.DictionaryBytes,
		In: d.CompressedIn, Out: d.CompressedOut,
	}
}

func bucketStats(buckets []session.BucketStats) []adminapi.BucketStats {
	list := make([]adminapi.BucketStats, len(buckets))
	for i, b := range buckets {
		list[i] = adminapi.BucketStats{Deadline: jsonTime(b.Deadline), Bytes: b.DiskBytes}
	}
	return list
}

func processStats() adminapi.ProcessStats {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	return adminapi.ProcessStats{
		Goroutines: int(samples[0].Value.Uint64()),
		HeapBytes:  samples[1].Value.Uint64(),
		SysBytes:   samples[2].Value.Uint64(),
		Processors: runtime.NumCPU(),
	}
}
