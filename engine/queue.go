package engine

import "sync"

const (
	// maxBatchCommands is how many commands a batch has when no further request
	// may join it, and maxBatchBytes how much they may store: Pebble copies all
	// of it at a time.
	maxBatchCommands = 256
	maxBatchBytes    = 4 << 20

	// maxAppliers is how many goroutines apply batches, where there are that
	// many processors.
	maxAppliers = 4
)

// queue holds the requests that are to be applied. What arrives while the
// appliers are busy becomes one batch.
type queue struct {
	mu      sync.Mutex
	filled  sync.Cond // on mu
	waiting line
	idle    int  // appliers that wait for work
	woken   bool // one of them is on its way
	closed  bool
}

func (q *queue) init() { q.filled.L = &q.mu }

// add puts a request in, or refuses it if the queue is closed.
func (q *queue) add(r *request) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		r.refuse()
		return
	}
	q.waiting.push(r)
	q.rouse()
	q.mu.Unlock()
}

// rouse wakes an applier if there is work for one more.
func (q *queue) rouse() {
	if q.idle > 0 && !q.woken && q.waiting.len() > 0 {
		q.woken = true
		q.filled.Signal()
	}
}

// take waits for requests and appends those of one batch to dst. It returns
// none if the queue is closed and empty.
func (q *queue) take(dst []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting.len() == 0 && !q.closed {
		q.idle++
		q.filled.Wait()
		q.idle--
		q.woken = false
	}
	commands, bytes := 0, 0
	for q.waiting.len() > 0 && commands < maxBatchCommands && bytes < maxBatchBytes {
		r := q.waiting.first()
		alone := r.flushes()
		if alone && len(dst) > 0 {
			break
		}
		dst = append(dst, q.waiting.pop())
		commands, bytes = commands+len(r.in.Commands), bytes+r.bytes
		if alone {
			break
		}
	}
	q.rouse()
	return dst
}

// close refuses what comes from now on. The appliers end when they have done
// what waits.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Broadcast()
}

// line is a first-in, first-out list of requests.
type line struct {
	requests []*request
	head     int
}

func (l *line) len() int        { return len(l.requests) - l.head }
func (l *line) first() *request { return l.requests[l.head] }

func (l *line) push(r *request) {
	if l.head > 0 && len(l.requests) == cap(l.requests) {
		n := copy(l.requests, l.requests[l.head:])
		clear(l.requests[n:])
		l.requests, l.head = l.requests[:n], 0
	}
	l.requests = append(l.requests, r)
}

func (l *line) pop() *request {
	r := l.requests[l.head]
	l.requests[l.head] = nil
	if l.head++; l.head == len(l.requests) {
		l.requests, l.head = l.requests[:0], 0
	}
	return r
}
