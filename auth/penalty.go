package auth

import (
	"time"

	"github.com/maypok86/otter/v2"

	"cairn/origin"
)

const (
	firstPenalty   = 100 * time.Millisecond
	longestPenalty = 5 * time.Second
	longestHold    = 10 * time.Second
	forgetAfter    = 15 * time.Minute
)

// penalties say how long the answers to failures are held back. Each failure of
// an origin doubles the time, from 100 ms up to 5 s, and those made side by side
// are answered one after another. An origin is forgiven 15 minutes after its
// last failure. Users do not matter, so that the time tells nothing of them.
type penalties struct {
	records *otter.Cache[origin.Origin, penalty]
}

// penalty is what is known of an origin.
type penalty struct {
	failures int
	last     time.Time // the latest failure
	answered time.Time // when the latest answer leaves
}

func newPenalties(most int) *penalties {
	return &penalties{otter.Must(&otter.Options[origin.Origin, penalty]{MaximumSize: most})}
}

// fail counts a failure of an attempt that began at that time, and returns when
// it may be answered.
func (p *penalties) fail(o origin.Origin, began time.Time) (answer time.Time) {
	p.records.Compute(o, func(r penalty, found bool) (penalty, otter.ComputeOp) {
		if !found || began.Sub(r.last) >= forgetAfter {
			r = penalty{}
		}
		r.failures++
		r.last = began
		if r.answered.Before(began) {
			r.answered = began
		}
		answer = r.answered.Add(pauseAfter(r.failures))
		if latest := began.Add(longestHold); answer.After(latest) {
			answer = latest
		}
		r.answered = answer
		return r, otter.WriteOp
	})
	return answer
}

// pauseAfter is the pause after that many failures.
func pauseAfter(failures int) time.Duration {
	if failures > 6 {
		return longestPenalty
	}
	return min(firstPenalty<<(failures-1), longestPenalty)
}
