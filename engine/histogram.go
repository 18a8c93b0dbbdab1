package engine

import (
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"cairn/session"
)

// commitBounds are the upper bounds of the histogram of commits.
var commitBounds = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// histogram counts how long commits took. It is safe for concurrent use.
type histogram struct {
	counts [len(commitBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(commitBounds) && d > commitBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) snapshot() session.Histogram {
	s := session.Histogram{Sum: time.Duration(h.sum.Load()), Bounds: commitBounds[:], Counts: make([]uint64, len(commitBounds))}
	for i := range h.counts {
		n := h.counts[i].Load()
		s.Count += n
		if i < len(s.Counts) {
			s.Counts[i] = n
		}
	}
	return s
}

// thinned gives one of Pebble's histograms of nanoseconds, whose hundred
// buckets are finer than anybody needs, with bounds that are at least half as
// much again as the one before.
func thinned(h *dto.Histogram) session.Histogram {
	s := session.Histogram{Count: h.GetSampleCount(), Sum: time.Duration(h.GetSampleSum())}
	var last, below uint64
	for i, bucket := range h.Bucket {
		bound := uint64(bucket.GetUpperBound())
		if bound == 0 || bound < last+last/2 && i < len(h.Bucket)-1 {
			continue
		}
		s.Bounds = append(s.Bounds, time.Duration(bound))
		s.Counts = append(s.Counts, bucket.GetCumulativeCount()-below)
		last, below = bound, bucket.GetCumulativeCount()
	}
	return s
}
