package figures

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// bounds are the upper bounds of a Histogram: from what memory answers to what
// makes every client give up.
var bounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Histogram counts how long something took. Its zero value is ready; it is safe
// for concurrent use and never allocates.
type Histogram struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts one that took d.
func (h *Histogram) Observe(d time.Duration) { h.ObserveAll(d, 1) }

// ObserveAll counts n that took d each.
func (h *Histogram) ObserveAll(d time.Duration, n int) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.counts[i].Add(uint64(n))
	h.sum.Add(int64(d) * int64(n))
}

// Times returns what was counted so far.
func (h *Histogram) Times() Times {
	t := Times{Sum: time.Duration(h.sum.Load()), Bounds: bounds[:], Counts: make([]uint64, len(bounds))}
	for i := range h.counts {
		n := h.counts[i].Load()
		t.Count += n
		if i < len(t.Counts) {
			t.Counts[i] = n
		}
	}
	return t
}

// Times are what a histogram has counted at one moment.
type Times struct {
	Count uint64
	Sum   time.Duration

	// Bounds are upper bounds, ascending; Counts[i] is how often it took at
	// most Bounds[i] and more than the bound before. What took longer than the
	// last bound is only in Count.
	Bounds []time.Duration
	Counts []uint64
}

// Plus returns t and other together. They have the same bounds, unless one of
// them is empty.
func (t Times) Plus(other Times) Times {
	return t.combine(other, func(a, b uint64) uint64 { return a + b }, t.Sum+other.Sum)
}

// Since returns what came after an earlier state of the same histogram.
func (t Times) Since(earlier Times) Times {
	return t.combine(earlier, func(a, b uint64) uint64 { return a - min(a, b) }, t.Sum-earlier.Sum)
}

func (t Times) combine(other Times, op func(a, b uint64) uint64, sum time.Duration) Times {
	c := Times{Count: op(t.Count, other.Count), Sum: sum, Bounds: t.Bounds}
	if len(t.Bounds) == 0 {
		c.Bounds = other.Bounds
	}
	c.Counts = make([]uint64, len(c.Bounds))
	for i := range c.Counts {
		c.Counts[i] = op(at(t.Counts, i), at(other.Counts, i))
	}
	return c
}

func at(counts []uint64, i int) uint64 {
	if i < len(counts) {
		return counts[i]
	}
	return 0
}

// Quantile estimates the q-quantile, 0 <= q <= 1, interpolating within a
// bucket. What took longer than the last bound counts as that; 0 if there is
// nothing.
func (t Times) Quantile(q float64) time.Duration {
	if t.Count == 0 {
		return 0
	}
	rank := q * float64(t.Count)
	var below float64
	var lower time.Duration
	for i, bound := range t.Bounds {
		in := float64(t.Counts[i])
		if in > 0 && below+in >= rank {
			return lower + time.Duration((rank-below)/in*float64(bound-lower))
		}
		below += in
		lower = bound
	}
	return lower
}

// Cumulative returns how often it took at most each of the bounds.
func (t Times) Cumulative() []uint64 {
	sums := make([]uint64, len(t.Counts))
	var sum uint64
	for i, n := range t.Counts {
		sum += n
		sums[i] = sum
	}
	return sums
}

// Metric returns the times as a metric in seconds.
func (t Times) Metric(desc *prometheus.Desc, labels ...string) prometheus.Metric {
	counts := make(map[float64]uint64, len(t.Bounds))
	for i, n := range t.Cumulative() {
		counts[t.Bounds[i].Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(desc, t.Count, t.Sum.Seconds(), counts, labels...)
}

// TimesOf reads a histogram of Prometheus', whose bounds and sum are in units.
func TimesOf(h *dto.Histogram, unit time.Duration) Times {
	t := Times{Count: h.GetSampleCount(), Sum: duration(h.GetSampleSum(), unit)}
	var below uint64
	for _, b := range h.Bucket {
		bound := duration(b.GetUpperBound(), unit)
		t.Bounds = append(t.Bounds, bound)
		t.Counts = append(t.Counts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	return t
}

// duration rounds, for a binary fraction of a second is no whole nanosecond.
func duration(units float64, unit time.Duration) time.Duration {
	return time.Duration(units*float64(unit) + 0.5)
}

// Thinned returns the times with fewer bounds: each but the last is at least
// half as much again as the one before.
func (t Times) Thinned() Times {
	thin := Times{Count: t.Count, Sum: t.Sum}
	var last time.Duration
	var gathered uint64
	for i, bound := range t.Bounds {
		gathered += t.Counts[i]
		if bound == 0 || bound < last+last/2 && i < len(t.Bounds)-1 {
			continue
		}
		thin.Bounds = append(thin.Bounds, bound)
		thin.Counts = append(thin.Counts, gathered)
		last, gathered = bound, 0
	}
	return thin
}
