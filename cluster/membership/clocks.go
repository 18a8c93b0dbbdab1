package membership

import (
	"cmp"
	"slices"
	"time"
)

// A node whose clock is wrong must not lead: sessions would end as of what it stamps. Each
// node says what its clock shows, and compares its own with those of the voters that it
// hears. What is said takes a while to come, so a clock is at least as far ahead as the
// one message of the last that suggests the most.

const (
	// clockLimit is how far from the median of the voters' clocks the clock of a node
	// may be that leads.
	clockLimit = 5 * time.Second

	// clockSamples is how many of the last states of a node count for its clock.
	clockSamples = 8

	// clockGrace is for how long a node waits, when it starts, until it knows the clocks
	// of most voters. One that cannot know takes its own for right then.
	clockGrace = 5 * time.Second
)

// trust says what a node makes of its own clock.
type trust uint8

const (
	untested trust = iota
	right
	wrong
)

// Clock is what a node makes of its own clock.
type Clock struct {
	// Fit says that the node may lead, as far as its clock is concerned.
	Fit bool

	// Wrong says that most clocks differ from it by more than is allowed.
	Wrong bool

	// Ahead is how far it is ahead of the median of the voters' clocks; negative: behind.
	// If there are two medians, it is the one that is further away.
	Ahead time.Duration
}

// hearClock notes what another node's clock showed when it sent its state. The lock is held.
func (m *Membership) hearClock(o *other, before *other, shows int64) {
	if before != nil {
		o.clock = before.clock
	}
	if shows == 0 || m.clock == nil {
		o.clock = nil
		return
	}
	// This node's clock may jump, and elapsed does not.
	o.clock = append(slices.Clone(o.clock[max(0, len(o.clock)-clockSamples+1):]), time.UnixMilli(shows).Sub(m.since)-m.elapsed())
}

// elapsed is the time since this process began to listen.
func (m *Membership) elapsed() time.Duration { return m.now().Sub(m.since) }

// Clock judges this node's clock.
func (m *Membership) Clock() Clock {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clock == nil {
		return Clock{Fit: true}
	}
	own := m.clock().Sub(m.since) - m.elapsed()
	ahead := []time.Duration{0} // of this node's, of all voters that are heard
	voters, missing, othersWrong := 1, 0, true
	for _, x := range m.identity.Members {
		if x.Learner || x.Node == m.identity.Node {
			continue
		}
		voters++
		o := m.others[x.Node]
		if o == nil || m.now().Sub(o.heard) > forgetAfter {
			missing++
			continue
		}
		othersWrong = othersWrong && o.state.ClockWrong
		if len(o.clock) > 0 {
			ahead = append(ahead, slices.Max(o.clock)-own)
		}
	}
	near, far := medians(ahead)
	m.trust = m.trust.next(near, far, evidence{
		most: 2*len(ahead) > voters,
		late: missing == 0 || m.elapsed() > clockGrace,
		// Somebody has to lead.
		othersWrong: othersWrong && len(ahead) > 1,
	})
	return Clock{Fit: m.trust == right, Wrong: m.trust == wrong, Ahead: -far}
}

// evidence is what else there is to judge by.
type evidence struct {
	most        bool // the clocks are those of most voters
	late        bool // there is nothing to wait for
	othersWrong bool // all others that are there say that theirs are wrong
}

// next is what becomes of a node's trust when it compares its clock with the medians. With
// two clocks nobody can tell which one is wrong: what was known before counts.
func (t trust) next(near, far time.Duration, e evidence) trust {
	switch {
	case t == wrong && e.othersWrong:
		return right
	case near.Abs() > clockLimit:
		return wrong
	case e.most && far.Abs() <= clockLimit:
		return right
	case t == untested && e.late:
		return right
	}
	return t
}

// medians are the nearest to 0 and the furthest from it of the one or two medians.
func medians(all []time.Duration) (near, far time.Duration) {
	slices.Sort(all)
	a, b := all[(len(all)-1)/2], all[len(all)/2]
	if cmp.Compare(a.Abs(), b.Abs()) > 0 {
		a, b = b, a
	}
	if a < 0 != (b < 0) {
		a = 0 // there are as many clocks before it as behind it
	}
	return a, b
}
