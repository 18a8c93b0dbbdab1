package group

import (
	"math"
	"sync"
)

// holds are the indices behind which the log must stay, for copies on their way.
type holds struct {
	mu      sync.Mutex
	indices map[uint64]int // how many hold each
}

func (h *holds) add(index uint64) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.indices == nil {
		h.indices = make(map[uint64]int)
	}
	h.indices[index]++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.indices[index]--; h.indices[index] == 0 {
			delete(h.indices, index)
		}
	})
}

// least is the lowest index that is held.
func (h *holds) least() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	least := uint64(math.MaxUint64)
	for index := range h.indices {
		least = min(least, index)
	}
	return least
}

// Hold lets replicas keep what the log has from now on, as long as this one leads,
// until release is called.
func (g *Group) Hold() (release func()) { return g.core.holds.add(g.Status().Applied) }
