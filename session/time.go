package session

import (
	"math"
	"time"
)

// Time is an instant on a store's logical clock: milliseconds since the Unix
// epoch. The logical clock follows the wall clock but never runs backwards,
// not even across restarts, so an instant that has passed stays passed.
type Time int64

// Never is the expiry of an item that does not expire. It is later than every
// other instant, so "the later expiry" needs no special case.
const Never Time = math.MaxInt64

// FromTime converts a wall-clock instant; fractions of a millisecond are cut.
func FromTime(t time.Time) Time { return Time(t.UnixMilli()) }

// FromUnix converts whole seconds since the Unix epoch. Seconds too large for
// a Time give Never, those too small the earliest Time.
func FromUnix(seconds int64) Time {
	switch {
	case seconds >= int64(Never)/1000:
		return Never
	case seconds < math.MinInt64/1000:
		return math.MinInt64
	}
	return Time(seconds * 1000)
}

// Time converts t to a wall-clock instant in UTC. Never has no such instant;
// its conversion is far in the future and meaningless.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// Unix returns the whole seconds since the Unix epoch, rounded down.
func (t Time) Unix() int64 {
	seconds := int64(t) / 1000
	if int64(t)%1000 < 0 {
		seconds--
	}
	return seconds
}

// Add returns the instant d after t, cut to whole milliseconds. The sum
// saturates at Never; Never plus anything is Never.
func (t Time) Add(d time.Duration) Time {
	if t == Never {
		return Never
	}
	sum := t + Time(d.Milliseconds())
	if d > 0 && sum < t {
		return Never
	}
	return sum
}

// Sub returns the duration from u to t, saturating at the longest Duration of
// either sign.
func (t Time) Sub(u Time) time.Duration {
	const longest = Time(math.MaxInt64 / int64(time.Millisecond))
	d := t - u
	switch {
	case t == Never, t > u && (d < 0 || d > longest):
		return math.MaxInt64
	case t < u && (d > 0 || d < -longest):
		return math.MinInt64
	}
	return time.Duration(d) * time.Millisecond
}

// A Clock tells the logical time. Whoever admits commands into a store stamps
// them with it; applying them reads no clock.
type Clock interface {
	// Now returns the present instant. It never decreases.
	Now() Time
}
