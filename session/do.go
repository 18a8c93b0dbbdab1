package session

import "sync"

// Do carries out b and waits until its results are final. It is for callers with
// a goroutine to spare.
func Do(s Store, b *Burst) {
	if s.Try(b) {
		return
	}
	w := waiters.Get().(*waiter)
	s.Apply(b, w)
	<-w.done
	waiters.Put(w)
}

// waiter is the Completer of one burst at a time.
type waiter struct{ done chan struct{} }

var waiters = sync.Pool{New: func() any { return &waiter{make(chan struct{}, 1)} }}

func (w *waiter) Complete([]*Burst) { w.done <- struct{}{} }
