package peer

import "sync"

// Pending are calls that have no answer. They can be ended before one comes. The zero
// value has none. All methods may be called by anybody at any time.
type Pending struct {
	mu   sync.Mutex
	open map[*pendingCall]bool
}

type pendingCall struct {
	to   uint64
	done func(answer []byte, err error)
}

// Begin returns what to give a call to a node in the place of done, which is called
// once: with the outcome of the call, or by End.
func (p *Pending) Begin(to uint64, done func(answer []byte, err error)) func(answer []byte, err error) {
	c := &pendingCall{to, done}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = make(map[*pendingCall]bool)
	}
	p.open[c] = true
	return func(answer []byte, err error) {
		if p.take(c) {
			c.done(answer, err)
		}
	}
}

func (p *Pending) take(c *pendingCall) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.open[c]
	delete(p.open, c)
	return open
}

// End ends the calls to some nodes with ErrBroken, as if their connections had broken.
func (p *Pending) End(which func(to uint64) bool) {
	var ended []*pendingCall
	p.mu.Lock()
	for c := range p.open {
		if which(c.to) {
			ended = append(ended, c)
			delete(p.open, c)
		}
	}
	p.mu.Unlock()
	for _, c := range ended {
		c.done(nil, ErrBroken)
	}
}
