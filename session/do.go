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

// Probe reads from a store to see whether it answers. A session that is not there will
// do. The error is that of the read.
func Probe(s Store, now Time) error {
	var b Burst
	b.Reset(now)
	*b.Add() = Command{Op: OpGet, Mods: Peek, Key: []byte("watchdog")}
	Do(s, &b)
	return b.Results[0].Err
}

// DoPart carries out the commands of b from number from up to that before to, as a
// burst of their own that has all else of b, and puts their results into b. b has
// as many results as commands.
func DoPart(s Store, b *Burst, from, to int) {
	part := Burst{Now: b.Now, Admission: b.Admission, Origin: b.Origin, Commands: b.Commands[from:to]}
	if len(b.Frames) > 0 {
		part.Frames = b.Frames[from:to]
	}
	Do(s, &part)
	copy(b.Results[from:to], part.Results)
}

// waiter is the Completer of one burst at a time.
type waiter struct{ done chan struct{} }

var waiters = sync.Pool{New: func() any { return &waiter{make(chan struct{}, 1)} }}

func (w *waiter) Complete([]*Burst) { w.done <- struct{}{} }
