package engine

import (
	"sync"
	"sync/atomic"
)

// doors keep what must not happen at the same time apart: bursts, flushes and the
// close. life is taken before gate, and gate before stripes.
type doors struct {
	// life is held shared by whoever uses Pebble for longer than a burst does,
	// and alone to close; see enter.
	life sync.RWMutex

	// gate is held shared by each batch while it is made and applied, never
	// while waiting for a sync, and alone, briefly, to flush and to close.
	gate     sync.RWMutex
	closed   atomic.Bool // written with both held alone
	flushing atomic.Bool // the gate is held to flush
}

// enter keeps the store open until leave, or reports that it is closed.
func (d *doors) enter() bool {
	d.life.RLock()
	if d.closed.Load() {
		d.life.RUnlock()
		return false
	}
	return true
}

func (d *doors) leave() { d.life.RUnlock() }

// lockGate keeps all other batches out, for a flush.
func (d *doors) lockGate() {
	d.gate.Lock()
	d.flushing.Store(true)
}

func (d *doors) unlockGate() {
	d.flushing.Store(false)
	d.gate.Unlock()
}
