package ttl

import (
	"sync"
	"sync/atomic"
	"time"

	"cairn/session"
)

// Source is where a Clock learns of time. All functions must be safe for
// concurrent use.
type Source struct {
	// Wall is what the system believes the time to be. It may jump.
	Wall func() time.Time

	// Elapsed is the time since some fixed instant. It does not jump, but may
	// stand still while the machine is suspended.
	Elapsed func() time.Duration

	// Asleep is how long the machine has been suspended since some fixed
	// instant; nil if that cannot be known.
	Asleep func() time.Duration
}

// FromWall makes a Source in which all time that passes is what wall says; a
// step back of wall lets time stand still until it has caught up.
func FromWall(wall func() time.Time) Source {
	start := wall()
	return Source{Wall: wall, Elapsed: func() time.Duration { return wall().Sub(start) }}
}

// Clock is the logical clock of a store. It starts at the wall clock or at the
// persisted mark, whichever is later, then counts the time that really passes,
// suspended time included. It never runs backwards.
//
// While it runs it does not follow steps of the wall clock, because a step
// forward would end sessions before their time. If the wall clock turns out to
// be ahead, Adjust closes the gap slowly; if it turns out to be behind, the
// clock stays ahead.
type Clock struct {
	source Source
	base   atomic.Int64 // the instant at which Elapsed was 0, milliseconds
	latest atomic.Int64 // the latest instant given out

	mu       sync.Mutex    // guards the fields below
	adjusted time.Duration // Elapsed at the last Adjust
	asleep   time.Duration // of Asleep, already counted
}

// slewShare is the part of the passing time by which Adjust lets the clock run
// fast at most: 1/100 shortens a session of 30 minutes by 18 seconds.
const slewShare = 100

// NewClock starts a clock that has already reached mark. jump is how far the
// wall clock is ahead of mark (negative: behind it).
func NewClock(source Source, mark session.Time) (c *Clock, jump time.Duration) {
	c = &Clock{source: source, adjusted: source.Elapsed()}
	if source.Asleep != nil {
		c.asleep = source.Asleep()
	}
	wall := session.FromTime(source.Wall())
	start := max(wall, mark)
	c.base.Store(int64(start) - c.adjusted.Milliseconds())
	c.latest.Store(int64(start))
	return c, time.Duration(wall-mark) * time.Millisecond
}

// Now returns the present instant. It never decreases.
func (c *Clock) Now() session.Time {
	now := c.base.Load() + c.source.Elapsed().Milliseconds()
	for {
		latest := c.latest.Load()
		if now <= latest {
			return session.Time(latest)
		}
		if c.latest.CompareAndSwap(latest, now) {
			return session.Time(now)
		}
	}
}

// Adjust counts suspended time and lets the clock gain on a wall clock that is
// ahead, by at most one hundredth of the time since the last Adjust. Call it
// about once a second. It returns how far the wall clock is ahead.
func (c *Clock) Adjust() (ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.source.Elapsed()
	passed := max(elapsed-c.adjusted, 0)
	c.adjusted = elapsed
	if c.source.Asleep != nil {
		asleep := c.source.Asleep()
		slept := max(asleep-c.asleep, 0)
		c.asleep = asleep
		passed += slept
		c.base.Add(slept.Milliseconds())
	}
	ahead = session.FromTime(c.source.Wall()).Sub(c.Now())
	if gain := min(ahead, passed/slewShare); gain > 0 {
		c.base.Add(gain.Milliseconds())
	}
	return ahead
}
