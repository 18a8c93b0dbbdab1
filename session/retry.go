package session

import (
	"errors"
	"time"
)

// Retry sends the commands of a burst again that failed with ErrUnavailable,
// those only and in their order. The zero value is ready; it is used for one
// burst after the other.
//
// Begin says whether there is anything to do. If so, Burst is to be carried out
// after Delay, then End called, and so on, until Begin returns false or the
// caller's patience is over.
type Retry struct {
	// Burst has the commands to be carried out again.
	Burst Burst

	places []int // in the original burst, of the commands in Burst
	rounds int
}

const (
	firstDelay = 2 * time.Millisecond
	lastDelay  = 250 * time.Millisecond
)

// Unavailable reports whether a command of b, which is complete, failed with
// ErrUnavailable.
func Unavailable(b *Burst) bool {
	for i := range b.Results {
		if unavailable(&b.Results[i]) {
			return true
		}
	}
	return false
}

func unavailable(r *Result) bool {
	return r.Status == Failed && errors.Is(r.Err, ErrUnavailable)
}

// Begin collects in Burst what failed of b, which is complete. It returns false
// if nothing did.
func (r *Retry) Begin(b *Burst, now Time) bool {
	r.Burst.Reset(now)
	r.Burst.Origin = b.Origin
	r.Burst.Room = b.Room
	r.places = r.places[:0]
	for i := range b.Results {
		if unavailable(&b.Results[i]) {
			*r.Burst.Add() = b.Commands[i]
			r.places = append(r.places, i)
		}
	}
	return len(r.places) > 0
}

// Delay returns how long to wait before Burst is carried out: longer from round
// to round.
func (r *Retry) Delay() time.Duration {
	d := min(firstDelay<<min(r.rounds, 16), lastDelay)
	r.rounds++
	return d
}

// End takes the results of Burst, which is complete, over to b.
func (r *Retry) End(b *Burst) {
	for i, place := range r.places {
		b.Results[place] = r.Burst.Results[i]
	}
}

// Forget ends the work on a burst.
func (r *Retry) Forget() {
	r.Burst.Reset(0)
	r.places, r.rounds = r.places[:0], 0
}

// DoPatiently is Do, but while the store is unavailable it tries again, until
// patience is over or stop is closed; stop may be nil. Commands are stamped anew
// by clock each time.
func DoPatiently(s Store, b *Burst, clock Clock, patience time.Duration, stop <-chan struct{}) {
	Do(s, b)
	if !Unavailable(b) {
		return
	}
	var r Retry
	over := time.NewTimer(patience)
	defer over.Stop()
	for r.Begin(b, clock.Now()) {
		select {
		case <-time.After(r.Delay()):
		case <-over.C:
			return
		case <-stop:
			return
		}
		r.Burst.Now = clock.Now()
		Do(s, &r.Burst)
		r.End(b)
	}
}
