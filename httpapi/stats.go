package httpapi

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"

	"cairn/adminapi"
	"cairn/figures"
	"cairn/session"
)

type statsOutput struct{ Body adminapi.Stats }

func (s *Server) getStats(context.Context, *struct{}) (*statsOutput, error) {
	samples, err := figures.Gather(s.figures)
	if err != nil {
		return nil, failure(err)
	}
	stats := adminapi.Stats{
		At:        s.engine.Now().Time(),
		Uptime:    time.Since(s.started).Seconds(),
		Buckets:   bucketStats(samples),
		Latencies: latencyStats(samples),
		Memcached: map[string]string{},
		Process:   processStats(),
	}
	samples.Fill(&stats)
	if stats.Commits.Syncs == 0 {
		samples.Fill((*clusterSyncs)(&stats.Commits))
	}
	stats.Disk.WriteAmplification = writeAmplification(&stats.Disk)
	s.memcached.EachStat(func(name, value string) { stats.Memcached[name] = value })
	return &statsOutput{Body: stats}, nil
}

// clusterSyncs are the syncs of a node of a cluster, whose log is not the engine's.
type clusterSyncs struct {
	Commits, Errors int64
	P50, P99        float64
	Syncs           int64   `metric:"cairn_log_sync_seconds count"`
	SyncSeconds     float64 `metric:"cairn_log_sync_seconds sum"`
	SyncP50         float64 `metric:"cairn_log_sync_seconds 0.5"`
	SyncP99         float64 `metric:"cairn_log_sync_seconds 0.99"`
}

func writeAmplification(d *adminapi.DiskStats) float64 {
	if d.UserWritten == 0 {
		return 0
	}
	return float64(d.WALWritten+d.FlushWritten+d.CompactionWritten) / float64(d.UserWritten)
}

// bucketStats lists the deadline buckets, ascending.
func bucketStats(samples figures.Samples) []adminapi.BucketStats {
	list := []adminapi.BucketStats{}
	for _, sample := range samples["cairn_bucket_disk_bytes"] {
		b := adminapi.BucketStats{Bytes: int64(sample.Value)}
		if seconds, err := strconv.ParseInt(sample.Labels["deadline"], 10, 64); err == nil {
			b.Deadline = jsonTime(session.FromTime(time.Unix(seconds, 0)))
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b adminapi.BucketStats) int { return cmp.Compare(end(&a), end(&b)) })
	return list
}

// end is the second in which a bucket leaves the disk.
func end(b *adminapi.BucketStats) int64 {
	if b.Deadline == nil {
		return math.MaxInt64
	}
	return b.Deadline.Unix()
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
