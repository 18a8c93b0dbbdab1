package httpapi

import (
	"time"

	"cairn/session"
)

// LatencyStats describe how long one verb took, from the arrival of a request
// to its reply.
type LatencyStats struct {
	Verb    string          `json:"verb"`
	Count   uint64          `json:"count_total"`
	Seconds float64         `json:"seconds_total"`
	P50     float64         `json:"p50_seconds" doc:"Since the start, like the other quantiles; for those of an interval take differences of the buckets."`
	P90     float64         `json:"p90_seconds"`
	P99     float64         `json:"p99_seconds"`
	P999    float64         `json:"p999_seconds"`
	Buckets []LatencyBucket `json:"buckets" nullable:"false" doc:"Cumulative, ascending; requests slower than the last are only in count_total."`
}

// LatencyBucket counts requests that took at most so long.
type LatencyBucket struct {
	LE    float64 `json:"le_seconds"`
	Count uint64  `json:"count_total"`
}

func latencyStats(latencies []Latency) []LatencyStats {
	list := make([]LatencyStats, 0, len(latencies))
	for i := range latencies {
		l := &latencies[i]
		list = append(list, LatencyStats{
			Verb: l.Verb, Count: l.Count, Seconds: l.Sum.Seconds(),
			P50: quantile(&l.Histogram, 0.5), P90: quantile(&l.Histogram, 0.9),
			P99: quantile(&l.Histogram, 0.99), P999: quantile(&l.Histogram, 0.999),
			Buckets: cumulative(&l.Histogram),
		})
	}
	return list
}

func cumulative(h *session.Histogram) []LatencyBucket {
	buckets := make([]LatencyBucket, len(h.Bounds))
	var sum uint64
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		buckets[i] = LatencyBucket{LE: bound.Seconds(), Count: sum}
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
