package load

import "math"

// schedule says when turns are due. Times are nanoseconds since the start.
type schedule struct {
	first, step float64 // of an open loop
	open        bool
	begun       int64 // turns taken so far
	end         int64 // no turn is due from then on
	drain       int64 // how long after that turns may still begin
}

// newSchedule gives worker i of n its share of the turns.
func newSchedule(o *Options, i, n int) schedule {
	s := schedule{end: math.MaxInt64, drain: int64(o.Drain), open: o.Rate > 0}
	if o.Duration > 0 {
		s.end = int64(o.Duration)
	}
	if s.open {
		interval := 1e9 / o.Rate
		s.first, s.step = interval*float64(i), interval*float64(n)
	}
	return s
}

// next returns the instant at which the next turn is due, now being the present;
// ok is false if there is none any more.
func (s *schedule) next(now int64) (due int64, ok bool) {
	due = now
	if s.open {
		due = int64(s.first + s.step*float64(s.begun))
	}
	return due, due < s.end
}

// take returns the next turn's instant if it has come.
func (s *schedule) take(now int64) (due int64, ok bool) {
	if due, ok = s.next(now); !ok || due > now {
		return 0, false
	}
	s.begun++
	return due, true
}

// late reports whether an open loop has waited long enough for turns that were
// due before its end.
func (s *schedule) late(now int64) bool { return s.open && now-s.drain > s.end }
