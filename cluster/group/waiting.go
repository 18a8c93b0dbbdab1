package group

import (
	"cmp"
	"slices"
	"sync"

	"cairn/session"
)

// waiting are the writes that this node has proposed and that are not done.
type waiting struct {
	mu      sync.Mutex
	writes  map[waiter]*Write
	last    uint64 // number of the last one that came
	stopped bool
}

type waiter struct {
	origin Origin
	seq    Sequence // 0: a registration
}

func (w *waiting) init() { w.writes = make(map[waiter]*Write) }

func keyOf(w *Write) waiter {
	if w.Register {
		return waiter{origin: w.Origin}
	}
	return waiter{w.Origin, w.Seq}
}

// add lets w wait. One that waits for the same is lost: it was sent again.
func (w *waiting) add(write *Write) {
	w.mu.Lock()
	earlier, stopped := w.writes[keyOf(write)], w.stopped
	if !stopped {
		w.last++
		write.number = w.last
		w.writes[keyOf(write)] = write
	}
	w.mu.Unlock()
	if earlier != nil {
		earlier.Done(nil, ErrLost)
	}
	if stopped {
		write.Done(nil, ErrStopped)
	}
}

func (w *waiting) take(origin Origin, seq Sequence) *Write {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := waiter{origin, seq}
	write := w.writes[key]
	delete(w.writes, key)
	return write
}

// from returns where the burst of a write comes from that waits; nil: none does.
func (w *waiting) from(origin Origin, seq Sequence) session.Origin {
	w.mu.Lock()
	defer w.mu.Unlock()
	if write := w.writes[waiter{origin, seq}]; write != nil {
		return write.Burst.Origin
	}
	return nil
}

// fail ends the wait of a write, if it still waits.
func (w *waiting) fail(write *Write, err error) {
	w.mu.Lock()
	waits := w.writes[keyOf(write)] == write
	if waits {
		delete(w.writes, keyOf(write))
	}
	w.mu.Unlock()
	if waits {
		write.Done(nil, err)
	}
}

// complete tells who waits for an entry what has become of it.
func (w *waiting) complete(o *outcome) {
	switch o.entry.form {
	case formRegister:
		if write := w.take(o.entry.origin, 0); write != nil {
			write.Done(nil, nil)
		}
	case formBurst:
		write := w.take(o.entry.origin, o.entry.seq)
		if write == nil {
			return
		}
		switch o.verdict {
		case stranger:
			write.Done(nil, ErrStranger)
		case forgotten:
			write.Done(nil, ErrForgotten)
		default:
			write.Done(o.results, nil)
		}
	}
}

// lose ends the wait of what was proposed up to a term.
func (w *waiting) lose(term uint64) {
	w.end(func(write *Write) bool { return write.term <= term }, ErrLost)
}

func (w *waiting) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.end(func(*Write) bool { return true }, ErrStopped)
}

// end ends the wait of some, in the order in which they came.
func (w *waiting) end(which func(*Write) bool, err error) {
	var ended []*Write
	w.mu.Lock()
	for key, write := range w.writes {
		if which(write) {
			ended = append(ended, write)
			delete(w.writes, key)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(ended, func(a, b *Write) int { return cmp.Compare(a.number, b.number) })
	for _, write := range ended {
		write.Done(nil, err)
	}
}
