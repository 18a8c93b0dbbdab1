package serve

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// clients are the connected ones.
type clients struct {
	lastID   atomic.Uint64
	total    atomic.Uint64 // ever connected
	rejected atomic.Uint64 // for want of room
	kicked   atomic.Uint64 // for being idle
	expelled atomic.Uint64 // for not having logged in in time, or for want of room
	stalled  atomic.Uint64 // for holding up others

	mu sync.Mutex
	admission
	all     map[client]struct{}
	removed chan struct{} // closed when one goes, if not nil
}

// add adds a client that another process has admitted.
func (cs *clients) add(cl client) {
	cs.total.Add(1)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.insert(cl)
}

// know makes sure that no other client gets the number of one that was resumed.
func (cs *clients) know(id uint64) {
	for {
		last := cs.lastID.Load()
		if last >= id || cs.lastID.CompareAndSwap(last, id) {
			return
		}
	}
}

func (cs *clients) remove(cl client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.leave(cl)
	if cs.removed != nil {
		close(cs.removed)
		cs.removed = nil
	}
}

// awaitGone waits until none of the clients is there that which tells, or ctx
// ends.
func (cs *clients) awaitGone(ctx context.Context, which func(client) bool) error {
	for {
		removed := cs.nextRemoval()
		if !slices.ContainsFunc(cs.list(), which) {
			return nil
		}
		select {
		case <-removed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// nextRemoval returns a channel that is closed when a client goes.
func (cs *clients) nextRemoval() <-chan struct{} {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.removed == nil {
		cs.removed = make(chan struct{})
	}
	return cs.removed
}

func (cs *clients) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.all)
}

// list returns the clients that are connected now.
func (cs *clients) list() []client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	list := make([]client, 0, len(cs.all))
	for cl := range cs.all {
		list = append(list, cl)
	}
	return list
}

// wakeAll makes every client notice that the server stops.
func (cs *clients) wakeAll() {
	for _, cl := range cs.list() {
		cl.wake()
	}
}

func (cs *clients) closeAll() {
	for _, cl := range cs.list() {
		cl.hangUp()
	}
}
