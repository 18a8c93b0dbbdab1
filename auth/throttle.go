package auth

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
)

const (
	firstPenalty   = 100 * time.Millisecond
	longestPenalty = 5 * time.Second
	longestWait    = 10 * time.Second
	forgetAfter    = 15 * time.Minute
)

// source is who an attempt comes from: one address and the user it names.
// Keeping the users apart spares an application that logs in properly from a
// misconfigured one on the same machine.
type source struct {
	addr netip.Addr
	user digest
}

// record is what a Throttle knows of a source.
type record struct {
	failures int
	last     time.Time // the latest failure
	next     time.Time // when the next attempt may be checked
}

// Throttle slows down sources whose attempts fail: each failure doubles the
// pause before the next attempt is looked at, from 100 ms up to 5 s, and
// attempts made side by side queue behind each other. A source is forgiven 15
// minutes after its last failure. No attempt waits longer than 10 s, so a
// client that has become right again is never shut out.
//
// The number of sources it remembers is bounded. It is safe for concurrent use.
type Throttle struct {
	records *otter.Cache[source, record]
}

// NewThrottle gives a Throttle that remembers up to size sources.
func NewThrottle(size int) *Throttle {
	return &Throttle{records: otter.Must(&otter.Options[source, record]{MaximumSize: size})}
}

// Admit says how long an attempt made now has to wait before it is checked: 0
// for a source without recent failures.
func (t *Throttle) Admit(from source, now time.Time) (wait time.Duration) {
	t.records.ComputeIfPresent(from, func(r record) (record, otter.ComputeOp) {
		if now.Sub(r.last) >= forgetAfter {
			return r, otter.InvalidateOp
		}
		if r.next.Before(now) {
			r.next = now
		}
		wait = min(r.next.Sub(now), longestWait)
		r.next = now.Add(wait + penalty(r.failures))
		return r, otter.WriteOp
	})
	return wait
}

// Fail records that an attempt failed and says how long its answer has to be
// held back.
func (t *Throttle) Fail(from source, now time.Time) (delay time.Duration) {
	t.records.Compute(from, func(r record, found bool) (record, otter.ComputeOp) {
		if !found || now.Sub(r.last) >= forgetAfter {
			r = record{}
		}
		r.failures++
		r.last = now
		delay = penalty(r.failures)
		if earliest := now.Add(delay); r.next.Before(earliest) {
			r.next = earliest
		}
		return r, otter.WriteOp
	})
	return delay
}

// penalty is the pause after that many failures in a row.
func penalty(failures int) time.Duration {
	if failures > 6 {
		return longestPenalty
	}
	return min(firstPenalty<<(failures-1), longestPenalty)
}
