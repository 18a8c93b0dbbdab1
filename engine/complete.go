package engine

import "sync"

// commits are the requests that wait for the log, in two lists: batches, each
// with a wait of its own, and reads of what others wrote, which need a ticket to
// be durable.
type commits struct {
	mu      sync.Mutex
	changed sync.Cond // on mu
	batches []*commit // in the order in which they were applied
	reads   []*commit
	closed  bool
}

func (l *commits) init() { l.changed.L = &l.mu }

// add lets a commit wait, or refuses it if nobody waits any more.
func (l *commits) add(c *commit) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		c.refuse()
		return
	}
	if c.batch != nil {
		l.batches = append(l.batches, c)
	} else {
		l.reads = append(l.reads, c)
	}
	l.changed.Signal()
	l.mu.Unlock()
}

// close makes awaitCommits end when nothing waits any more.
func (l *commits) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed.Signal()
}

// collect moves what has been added behind what is in w. If nothing is in w, it
// waits for something; false: there will be none.
func (l *commits) collect(w *awaited) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w.empty() && len(l.batches)+len(l.reads) == 0 && !l.closed {
		l.changed.Wait()
	}
	if len(w.batches) == 0 {
		w.batches, l.batches = l.batches, w.memory[:0]
		w.memory = w.batches
	}
	w.reads = append(w.reads, l.reads...)
	clear(l.reads)
	l.reads = l.reads[:0]
	return !w.empty()
}

// awaited is what awaitCommits has before it.
type awaited struct {
	batches, memory []*commit
	reads           []*commit
}

func (w *awaited) empty() bool { return len(w.batches)+len(w.reads) == 0 }

// awaitCommits waits for what is to become durable and completes it. Since what
// is durable of the log is a prefix, one goroutine is enough, and a read waits
// for nothing behind its ticket.
func (s *Store) awaitCommits() {
	var w awaited
	for s.stations.commits.collect(&w) {
		if len(w.batches) > 0 {
			c := w.batches[0]
			w.batches[0] = nil
			w.batches = w.batches[1:]
			c.await()
			c.complete()
		} else if err := s.syncReads(w.reads); err != nil {
			w.reads[0].fail(err)
		}
		w.completeReads(s.tickets.durable.Load())
	}
}

// syncReads makes durable what reads show. The batches may be ones that nobody
// waits for.
func (s *Store) syncReads(reads []*commit) error {
	ticket := uint64(0)
	for _, c := range reads {
		ticket = max(ticket, c.ticket)
	}
	if err := s.syncUpTo(ticket); err != nil {
		return err
	}
	s.tickets.noteDurable(ticket)
	return nil
}

// completeReads completes the reads that show nothing behind ticket durable.
func (w *awaited) completeReads(durable uint64) {
	waiting := w.reads[:0]
	for _, c := range w.reads {
		if c.ticket <= durable {
			c.complete()
		} else {
			waiting = append(waiting, c)
		}
	}
	clear(w.reads[len(waiting):])
	w.reads = waiting
}
