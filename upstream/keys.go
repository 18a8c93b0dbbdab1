package upstream

import (
	"bytes"
	"slices"
	"sync"
	"time"
)

// keys are held by whoever moves, removes or copies the sessions that have them, so
// that a session that is on its way from the old store cannot arrive after it was
// removed. The zero keys are free.
type keys struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the key is free
}

// distinct sorts keys and leaves each in once. Whoever holds several takes them in
// this order, so nobody waits for each other.
func distinct(list [][]byte) [][]byte {
	slices.SortFunc(list, bytes.Compare)
	return slices.CompactFunc(list, bytes.Equal)
}

// hold waits until all keys are free and holds them. If until is not nil and fires
// first it holds none and returns nil. list is distinct, and stays unchanged until
// release is called.
func (k *keys) hold(list [][]byte, until <-chan time.Time) (release func()) {
	for i, key := range list {
		if !k.holdOne(string(key), until) {
			k.release(list[:i])
			return nil
		}
	}
	return func() { k.release(list) }
}

func (k *keys) holdOne(key string, until <-chan time.Time) bool {
	for {
		k.mu.Lock()
		wait, taken := k.held[key]
		if !taken {
			if k.held == nil {
				k.held = map[string]chan struct{}{}
			}
			k.held[key] = make(chan struct{})
			k.mu.Unlock()
			return true
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-until:
			return false
		}
	}
}

func (k *keys) release(list [][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range list {
		close(k.held[string(key)])
		delete(k.held, string(key))
	}
}
