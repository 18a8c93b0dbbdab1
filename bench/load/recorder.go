package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// recorder fills in the Result of one worker. Times are nanoseconds since the
// start of the run.
type recorder struct {
	*Result
	interval int64 // 0: no timeline
}

func newRecorder(interval time.Duration) recorder {
	return recorder{newResult(), int64(interval)}
}

// operation records one that took from start to end.
func (r *recorder) operation(op *Op, start, end int64) {
	tally := &r.Kinds[op.Kind]
	tally.Count++
	record(tally.Latency, end-start)
	if r.interval > 0 {
		moment := r.moment(end)
		record(moment.Latency, end-start)
		if op.Kind == Set || op.Kind == Add {
			record(moment.Stores, end-start)
		}
	}
	switch op.Kind {
	case Set, Add:
		r.Written += int64(len(op.Key) + len(op.Value))
	case Touch:
		r.Written += int64(len(op.Key))
	}
}

// answer counts an answer and whether it was right.
func (r *recorder) answer(op *Op, a Answer, right bool) {
	tally := &r.Kinds[op.Kind]
	tally.Items++
	switch a.Outcome {
	case Done:
		tally.Hits++
	case Absent:
		tally.Misses++
	case Refused:
		tally.Refused++
		r.Refusal = string(a.Value)
	}
	if !right {
		r.Wrong++
	}
}

// turn records one that was due at start.
func (r *recorder) turn(start, end int64) { record(r.Turns, end-start) }

// abandon accounts for the turns of s that are due but find no connection any
// more, as if they ended now.
func (r *recorder) abandon(s *schedule, now int64) {
	for {
		due, ok := s.take(now)
		if !ok {
			return
		}
		r.Unserved++
		r.turn(due, now)
	}
}

// moment returns the interval that holds the instant.
func (r *recorder) moment(at int64) *Moment {
	i := int(at / r.interval)
	for len(r.Timeline) <= i {
		start := time.Duration(int64(len(r.Timeline)) * r.interval)
		r.Timeline = append(r.Timeline, Moment{start, newMomentHistogram(), newMomentHistogram()})
	}
	return &r.Timeline[i]
}

// Record adds a duration to h, of NewHistogram.
func Record(h *hdrhistogram.Histogram, d time.Duration) { record(h, int64(d)) }

func record(h *hdrhistogram.Histogram, latency int64) {
	// The value is clamped into the histogram's range, so this cannot fail.
	_ = h.RecordValue(min(max(latency, 0), longest))
}
