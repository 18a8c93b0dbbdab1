package upstream

import "sync"

// maxQueue is how many keys may wait to be brought to the old store.
const maxQueue = 100_000

// queue has the keys whose sessions the old store is to be brought up to date with,
// each once, in order. The empty key stands for a flush.
type queue struct {
	mu      sync.Mutex
	order   []string
	queued  map[string]struct{}
	changed chan struct{} // has an element if somebody may find something
	taken   int           // keys that were taken, and are not done
	dropped uint64
}

func newQueue() *queue {
	return &queue{queued: map[string]struct{}{}, changed: make(chan struct{}, 1)}
}

// add queues a key. If there are too many it is dropped, unless it has to be told.
func (q *queue) add(key string, must bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.queued[key]; ok {
		return
	}
	if len(q.order) >= maxQueue && !must {
		q.dropped++
		return
	}
	q.queued[key] = struct{}{}
	q.order = append(q.order, key)
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// take waits for keys and takes at most n off the queue; none once stop is closed.
func (q *queue) take(n int, stop <-chan struct{}) (list [][]byte) {
	for {
		q.mu.Lock()
		for _, key := range q.order[:min(n, len(q.order))] {
			list = append(list, []byte(key))
			delete(q.queued, key)
		}
		q.order = q.order[len(list):]
		q.taken += len(list)
		if len(q.order) > 0 {
			q.signal() // others may help
		} else {
			q.order = nil
		}
		q.mu.Unlock()
		if len(list) > 0 {
			return list
		}
		select {
		case <-q.changed:
		case <-stop:
			return nil
		}
	}
}

// done says what became of keys that were taken. It is called once they were added
// again, if they have to be.
func (q *queue) done(list [][]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken -= len(list)
}

// all returns what is in the queue.
func (q *queue) all() (list [][]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range q.order {
		list = append(list, []byte(key))
	}
	return list
}

// figures returns how many keys wait or are under way, and how many were dropped.
func (q *queue) figures() (length int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.order) + q.taken, q.dropped
}
