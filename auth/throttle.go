package auth

import (
	"context"
	"sync"
	"time"

	"cairn/origin"
)

// Throttle is a Pace for each origin, for a bounded number of them. It is safe
// for concurrent use.
type Throttle struct {
	most     int
	burst    int
	interval time.Duration

	mu    sync.Mutex
	paces map[origin.Origin]*Pace
}

// NewThrottle returns a Throttle that knows up to most origins and lets each try
// burst times at once and once more every interval.
func NewThrottle(most, burst int, interval time.Duration) *Throttle {
	return &Throttle{most: most, burst: burst, interval: interval, paces: map[origin.Origin]*Pace{}}
}

// Enter is Pace.Enter for an attempt from o. The caller returns to the Pace what
// turns out to be no failure.
func (t *Throttle) Enter(ctx context.Context, o origin.Origin) (p *Pace, ok bool) {
	p = t.of(o)
	return p, p.Enter(ctx, o)
}

// of returns the Pace of an origin. Where all places are taken by others, those
// whose failures are forgiven make room; if none are, all who come anew share
// one.
func (t *Throttle) of(o origin.Origin) *Pace {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paces[o] == nil && len(t.paces) >= t.most {
		t.forget()
		if len(t.paces) >= t.most {
			o = origin.Origin{}
		}
	}
	p := t.paces[o]
	if p == nil {
		p = NewPace(t.burst, t.interval)
		t.paces[o] = p
	}
	return p
}

func (t *Throttle) forget() {
	for o, p := range t.paces {
		if p.rested() {
			delete(t.paces, o)
		}
	}
}
