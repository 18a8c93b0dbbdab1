package serve

import (
	"context"
	"sync"
)

// gate stops those who accept clients, for a while.
type gate struct {
	mu      sync.Mutex
	opened  chan struct{} // nil while the gate is open
	waiting int           // stand before the closed gate
	changed *sync.Cond    // on mu; waiting has changed
}

func newGate() *gate {
	g := new(gate)
	g.changed = sync.NewCond(&g.mu)
	return g
}

// pass waits while the gate is closed and ctx has not ended.
func (g *gate) pass(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.opened != nil && ctx.Err() == nil {
		opened := g.opened
		g.waiting++
		g.changed.Broadcast()
		g.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
		}
		g.mu.Lock()
		g.waiting--
	}
}

func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened != nil
}

// close closes the gate. It returns when n stand before it, or ctx ends. They
// must be on their way there.
func (g *gate) close(ctx context.Context, n int, fetch func()) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = make(chan struct{})
	fetch()
	defer context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})()
	for g.waiting < n && ctx.Err() == nil {
		g.changed.Wait()
	}
	return ctx.Err()
}

// open lets everybody pass.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}
