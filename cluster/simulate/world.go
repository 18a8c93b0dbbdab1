// Package simulate is a world for tests of what runs on several machines: time
// that passes when a test says so, a network that loses, repeats, reorders and
// delays, disks that forget what was not synced, clocks that differ. All of it
// follows from one seed.
package simulate

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// World is virtual time and what happens in it. It is not safe for concurrent
// use, since nothing in it is concurrent.
type World struct {
	Rand  *rand.Rand
	Steps int // events so far

	now    time.Duration
	next   uint64
	events events
}

// New makes a world at instant 0.
func New(seed uint64) *World {
	return &World{Rand: rand.New(rand.NewPCG(seed, seed^0x9E3779B97F4A7C15))}
}

// Now is the time since the world began.
func (w *World) Now() time.Duration { return w.now }

// After lets f happen in d.
func (w *World) After(d time.Duration, f func()) {
	w.next++
	heap.Push(&w.events, event{w.now + max(d, 0), w.next, f})
}

// Step lets the next event happen. It returns false if there is none.
func (w *World) Step() bool {
	if len(w.events) == 0 {
		return false
	}
	e := heap.Pop(&w.events).(event)
	w.now = e.at
	w.Steps++
	e.f()
	return true
}

// Chance is true with probability p.
func (w *World) Chance(p float64) bool { return w.Rand.Float64() < p }

// Between is a random duration from low to high; low is much likelier.
func (w *World) Between(low, high time.Duration) time.Duration {
	share := w.Rand.Float64()
	return low + time.Duration(share*share*share*float64(high-low))
}

type event struct {
	at     time.Duration
	number uint64
	f      func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}
