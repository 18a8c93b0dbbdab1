package auth

import "cairn/origin"

// turns is a queue in which origins take turns: one that sends much waits for
// itself, not others for it. The owner serialises all calls.
type turns struct {
	most    int // that wait, over all origins
	perLane int // that wait, for each origin

	lanes  map[origin.Origin]*lane
	order  []*lane // those in which somebody waits, the next first
	length int
}

// lane holds those who wait of one origin, in their order.
type lane struct {
	origin  origin.Origin
	waiting []*waiter
}

// waiter is one who waits.
type waiter struct {
	lane  *lane
	heard chan bool // gets one value: whether it is its turn, or it was displaced
}

// push adds one to the queue. Where all places are taken it displaces the last
// of the longest lane, if that is longer than its own would be. nil: it has no
// place.
func (q *turns) push(o origin.Origin) *waiter {
	l := q.lanes[o]
	if l == nil {
		l = &lane{origin: o}
	}
	if len(l.waiting) >= q.perLane || q.length >= q.most && !q.displace(len(l.waiting)+1) {
		return nil
	}
	if len(l.waiting) == 0 {
		if q.lanes == nil {
			q.lanes = map[origin.Origin]*lane{}
		}
		q.lanes[o] = l
		q.order = append(q.order, l)
	}
	w := &waiter{lane: l, heard: make(chan bool, 1)}
	l.waiting = append(l.waiting, w)
	q.length++
	return w
}

// displace ends the wait of the last in the longest lane, if that has more than
// so many.
func (q *turns) displace(than int) bool {
	var longest *lane
	for _, l := range q.order {
		if len(l.waiting) > than {
			longest, than = l, len(l.waiting)
		}
	}
	if longest == nil {
		return false
	}
	last := longest.waiting[len(longest.waiting)-1]
	q.remove(last)
	last.heard <- false
	return true
}

// next lets one go on, if anybody waits.
func (q *turns) next() bool {
	if len(q.order) == 0 {
		return false
	}
	l := q.order[0]
	w := l.waiting[0]
	q.order = append(q.order[1:], l) // behind the others
	q.remove(w)
	w.heard <- true
	return true
}

// remove takes w off the queue and reports whether it still was on it.
func (q *turns) remove(w *waiter) bool {
	l := w.lane
	for i := range l.waiting {
		if l.waiting[i] != w {
			continue
		}
		l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
		q.length--
		if len(l.waiting) == 0 {
			q.drop(l)
		}
		return true
	}
	return false
}

func (q *turns) drop(l *lane) {
	delete(q.lanes, l.origin)
	for i := range q.order {
		if q.order[i] == l {
			q.order = append(q.order[:i], q.order[i+1:]...)
			return
		}
	}
}
