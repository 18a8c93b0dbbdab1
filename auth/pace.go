package auth

import (
	"context"
	"sync"
	"time"

	"cairn/origin"
)

// longestWait is how long an attempt waits for its turn. One that has waited so
// long is refused without a look at it: otherwise many who wait side by side
// would be looked at all at once in the end.
const longestWait = 10 * time.Second

// Bounds on who waits for a Pace.
const (
	waitingMost      = 1024
	waitingPerOrigin = 16
)

// Pace bounds how often something may be tried: burst times at once, and once
// more every interval. Who comes too early waits, and origins take turns. It is
// safe for concurrent use.
type Pace struct {
	interval time.Duration
	burst    int

	mu     sync.Mutex
	spent  time.Time // by then, all that was taken has come back
	queue  turns
	waking *time.Timer // nil: nobody waits
}

// NewPace returns a Pace of which nothing is taken.
func NewPace(burst int, interval time.Duration) *Pace {
	return &Pace{interval: interval, burst: burst, queue: turns{most: waitingMost, perLane: waitingPerOrigin}}
}

// Enter waits until an attempt may be looked at. It reports false if it may not:
// because ctx ended, the wait took too long, or too many wait already.
func (p *Pace) Enter(ctx context.Context, o origin.Origin) bool {
	p.mu.Lock()
	if p.queue.length == 0 && p.take() {
		p.mu.Unlock()
		return true
	}
	w := p.queue.push(o)
	p.wake()
	p.mu.Unlock()
	if w == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	return await(ctx, w, &p.mu, &p.queue, p.Return)
}

// await waits for w's turn. If ctx ends first w leaves the queue, which mu
// guards; giveBack undoes a turn that came at the same moment.
func await(ctx context.Context, w *waiter, mu *sync.Mutex, q *turns, giveBack func()) bool {
	select {
	case turn := <-w.heard:
		return turn
	case <-ctx.Done():
	}
	mu.Lock()
	waited := q.remove(w)
	mu.Unlock()
	if !waited && <-w.heard {
		giveBack()
	}
	return false
}

// Return gives an attempt back that turned out to be none to bound.
func (p *Pace) Return() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = p.spent.Add(-p.interval)
	p.wake()
}

// Busy reports whether an attempt would have to wait now.
func (p *Pace) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.length > 0 || p.early() > 0
}

// rested reports whether nothing is taken and nobody waits.
func (p *Pace) rested() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.length == 0 && !p.spent.After(time.Now())
}

// early is how long it is until one more may be taken. p.mu is held, as in what
// follows.
func (p *Pace) early() time.Duration {
	return time.Until(p.spent.Add(-time.Duration(p.burst-1) * p.interval))
}

func (p *Pace) take() bool {
	if p.early() > 0 {
		return false
	}
	if now := time.Now(); p.spent.Before(now) {
		p.spent = now
	}
	p.spent = p.spent.Add(p.interval)
	return true
}

// wake lets those go on whose turn it is, and sees to the next.
func (p *Pace) wake() {
	for p.queue.length > 0 && p.take() {
		p.queue.next()
	}
	if p.waking != nil {
		p.waking.Stop()
		p.waking = nil
	}
	if p.queue.length > 0 {
		p.waking = time.AfterFunc(p.early(), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.wake()
		})
	}
}

// slots bound how much is done at once. Origins take turns. It is safe for
// concurrent use.
type slots struct {
	mu    sync.Mutex
	free  int
	queue turns
}

// enter waits for a slot, to be left again. It reports false if ctx ended
// first, or too many wait already.
func (s *slots) enter(ctx context.Context, o origin.Origin) bool {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return true
	}
	w := s.queue.push(o)
	s.mu.Unlock()
	return w != nil && await(ctx, w, &s.mu, &s.queue, s.leave)
}

func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queue.next() {
		s.free++
	}
}
