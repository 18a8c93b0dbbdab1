package httpapi

import (
	"cairn/adminapi"
	"cairn/figures"
)

// latencyStats describes the requests of memcached's clients by verb.
func latencyStats(samples figures.Samples) []adminapi.LatencyStats {
	list := []adminapi.LatencyStats{}
	for _, sample := range samples["cairn_request_duration_seconds"] {
		t := sample.Times
		l := adminapi.LatencyStats{
			Verb: sample.Labels["verb"], Count: t.Count, Seconds: t.Sum.Seconds(),
			P50: t.Quantile(0.5).Seconds(), P90: t.Quantile(0.9).Seconds(),
			P99: t.Quantile(0.99).Seconds(), P999: t.Quantile(0.999).Seconds(),
			Buckets: make([]adminapi.LatencyBucket, len(t.Bounds)),
		}
		for i, n := range t.Cumulative() {
			l.Buckets[i] = adminapi.LatencyBucket{LE: t.Bounds[i].Seconds(), Count: n}
		}
		list = append(list, l)
	}
	return list
}
