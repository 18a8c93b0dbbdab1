package load

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run measured. Latencies are in nanoseconds.
type Result struct {
	Elapsed time.Duration
	Kinds   [Kinds]Tally

	Turns    *hdrhistogram.Histogram
	Unserved int64 // turns that were due but not over when Drain ended

	// Timeline has one Moment for each Options.Interval, from the start.
	Timeline []Moment

	Written int64 // bytes of keys and values that stores sent, and of keys that touches did
	Wrong   int64 // answers that Flow.Check refused
	Refusal string
}

// Tally counts the operations of one kind; a GetMulti counts for each key in
// Items, Hits and Misses and once in Count and Latency.
type Tally struct {
	Count   int64
	Items   int64
	Hits    int64 // Done
	Misses  int64 // Absent
	Refused int64
	Latency *hdrhistogram.Histogram
}

// Moment is what happened in one interval: the latencies of the operations
// that completed in it, those of its sets and adds once more, and when it began.
type Moment struct {
	Start   time.Duration
	Latency *hdrhistogram.Histogram
	Stores  *hdrhistogram.Histogram
}

// Histograms range from 100 ns to 100 s; what is longer counts as that.
const (
	shortest = 100
	longest  = int64(100 * time.Second)
)

// NewHistogram makes one for durations in nanoseconds.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, 3) }

// newMomentHistogram is coarser: a long run keeps hundreds of them.
func newMomentHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, 2) }

func newResult() *Result {
	r := &Result{Turns: NewHistogram()}
	for k := range r.Kinds {
		r.Kinds[k].Latency = NewHistogram()
	}
	return r
}

// Operations counts the operations of all kinds, a multi-get by its keys.
func (r *Result) Operations() (n int64) {
	for i := range r.Kinds {
		n += r.Kinds[i].Items
	}
	return n
}

// Latency merges the latencies of all kinds.
func (r *Result) Latency() *hdrhistogram.Histogram {
	all := NewHistogram()
	for i := range r.Kinds {
		all.Merge(r.Kinds[i].Latency)
	}
	return all
}

// Err says what went wrong without breaking a connection: answers that were
// refused or not right. A benchmark with such answers proves nothing.
func (r *Result) Err() error {
	var refused int64
	for i := range r.Kinds {
		refused += r.Kinds[i].Refused
	}
	switch {
	case r.Wrong > 0:
		return fmt.Errorf("load: %d wrong answers", r.Wrong)
	case refused > 0:
		return fmt.Errorf("load: %d operations refused, the last one with %q", refused, r.Refusal)
	}
	return nil
}

// Merge adds what other measured at the same time, or in another round.
func (r *Result) Merge(other *Result) {
	r.Elapsed = max(r.Elapsed, other.Elapsed)
	for k := range r.Kinds {
		r.Kinds[k].merge(&other.Kinds[k])
	}
	r.Turns.Merge(other.Turns)
	r.Unserved += other.Unserved
	r.Written += other.Written
	r.Wrong += other.Wrong
	if other.Refusal != "" {
		r.Refusal = other.Refusal
	}
	for i, moment := range other.Timeline {
		if i < len(r.Timeline) {
			r.Timeline[i].Latency.Merge(moment.Latency)
			r.Timeline[i].Stores.Merge(moment.Stores)
		} else {
			r.Timeline = append(r.Timeline, moment)
		}
	}
}

func (t *Tally) merge(other *Tally) {
	t.Count += other.Count
	t.Items += other.Items
	t.Hits += other.Hits
	t.Misses += other.Misses
	t.Refused += other.Refused
	t.Latency.Merge(other.Latency)
}
