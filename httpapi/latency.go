package httpapi

import (
	"time"

	"cairn/adminapi"
	"cairn/session"
)

func latencyStats(latencies []Latency) []adminapi.LatencyStats {
	list := make([]adminapi.LatencyStats, 0, len(latencies))
	for i := range latencies {
		l := &latencies[i]
		list = append(list, adminapi.LatencyStats{
			Verb: l.Verb, Count: l.Count, Seconds: l.Sum.Seconds(),
			P50: quantile(&l.Histogram, 0.5), P90: quantile(&l.Histogram, 0.9),
			P99: quantile(&l.Histogram, 0.99), P999: quantile(&l.Histogram, 0.999),
			Buckets: cumulative(&l.Histogram),
		})
	}
	return list
}

func cumulative(h *session.Histogram) []adminapi.LatencyBucket {
	buckets := make([]adminapi.LatencyBucket, len(h.Bounds))
	var sum uint64
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		buckets[i] = adminapi.LatencyBucket{LE: bound.Seconds(), Count: sum}
	}
	return buckets
}

// quantile estimates the q-quantile in seconds, interpolating within a bucket.
// What is slower than the last bound counts as the last bound.
func quantile(h *session.Histogram, q float64) float64 {
	if h.Count == 0 || len(h.Bounds) == 0 {
		return 0
	}
	rank := q * float64(h.Count)
	var below float64
	var lower time.Duration
	for i, bound := range h.Bounds {
		in := float64(h.Counts[i])
		if in > 0 && below+in >= rank {
			fraction := (rank - below) / in
			return (lower + time.Duration(fraction*float64(bound-lower))).Seconds()
		}
		below += in
		lower = bound
	}
	return lower.Seconds()
}
