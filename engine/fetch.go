package engine

import (
	"runtime"
	"sync"

	"cairn/processors"
	"cairn/session"
	"cairn/ttl"
)

// maxFetches is how often a request goes to the disk without locks because
// others have written to its stripes meanwhile. After that it reads with the
// locks held, which others may have to wait for.
const maxFetches = 4

// fetchers read from the disk what requests need and memory does not have:
// several at a time, as many as the disk likes to have in its queue, and without
// any lock.
type fetchers struct {
	limit int // how many work at a time
	fetch func(*request)

	mu       sync.Mutex
	waiting  line
	running  int
	starting bool // one of those has not looked into waiting yet
	closed   bool
	ended    sync.WaitGroup
}

// add lets a request be fetched for, or refuses it if the store closes.
func (f *fetchers) add(r *request) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		r.refuse()
		return
	}
	f.waiting.push(r)
	f.start()
	f.mu.Unlock()
}

// start starts one more fetcher if that helps. Only one starts at a time, and
// when it has begun to work, the next: as long as nothing blocks, few do all.
func (f *fetchers) start() {
	if f.waiting.len() > 0 && f.running < f.limit && !f.starting {
		f.running++
		f.starting = true
		f.ended.Go(f.work)
	}
}

func (f *fetchers) work() {
	for r := f.take(true); r != nil; r = f.take(false) {
		f.fetch(r)
	}
}

// take returns the next request; nil: the fetcher has ended.
func (f *fetchers) take(first bool) (r *request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if first {
		f.starting = false
	}
	if f.waiting.len() == 0 {
		f.running--
		return nil
	}
	r = f.waiting.pop()
	f.start()
	return r
}

// close refuses what waits and what comes from now on, and waits for the
// fetchers that are at work.
func (f *fetchers) close() {
	f.mu.Lock()
	f.closed = true
	waiting := f.waiting
	f.waiting = line{}
	f.mu.Unlock()
	for waiting.len() > 0 {
		waiting.pop().refuse()
	}
	f.ended.Wait()
}

// fetch reads what r needs. A request of reads is answered then, if that needs
// no locks; any other goes to the appliers.
func (s *Store) fetch(r *request) {
	if !s.doors.enter() {
		r.refuse()
		return
	}
	defer s.doors.leave()
	if r.heavy {
		processors.Begin()
		defer processors.End()
	}
	if s.options.ExternalLog {
		s.fetchFollower(r)
		return
	}
	if r.fetches == 0 && readsOnly(r.in) {
		switch s.fetchReads(r) {
		case nil:
			return
		case errNoRoom:
			s.awaitRoom(r)
			return
		}
	}
	if s.fetchState(r) == errNoRoom {
		s.awaitRoom(r)
		return
	}
	r.fetches++
	s.stations.queue.add(r)
}

// fetchReads answers a request of reads. It returns an error, and has done
// nothing, if that needs locks or the log. The store is open.
func (s *Store) fetchReads(r *request) error {
	b := s.newBurst(s.horizon.latest())
	b.reading, b.admitted = true, r.admitted
	b.requests = append(b.requests, r)
	b.begin()
	for i := range r.in.Commands {
		if err := b.run(&r.in.Commands[i], &r.in.Results[i]); err != nil {
			if err == errNoRoom {
				b.estimate(r, i)
			}
			b.release()
			r.in.SizeResults()
			return err
		}
	}
	hits, misses, ticket := b.hits, b.misses, b.ticket
	b.release()
	s.memory.hot.count(hits, misses)
	s.promiseReads(r, ticket)
	return nil
}

// fetchFollower answers a request of reads of a store that follows a log, which
// takes no locks: nobody is about to prolong what has expired. If an entry comes
// between, it begins anew, when no entry is replayed. Other readers may be in its
// way then, for a moment.
func (s *Store) fetchFollower(r *request) {
	err := s.fetchReads(r)
	if err == errUnlocked {
		s.replayed.mu.Lock()
		defer s.replayed.mu.Unlock()
		for err = s.fetchReads(r); err == errUnlocked; err = s.fetchReads(r) {
			runtime.Gosched()
		}
	}
	switch err {
	case nil:
	case errNoRoom:
		s.awaitRoom(r)
	default:
		r.fail(err)
	}
}

// fetchState reads the state of the keys of r. On errNoRoom it has done nothing.
// The store is open.
func (s *Store) fetchState(r *request) error {
	b := s.newBurst(s.horizon.latest())
	defer b.release()
	b.fetching, b.admitted = true, r.admitted
	b.begin()
	r.forget()
	for i := range r.in.Commands {
		if c := &r.in.Commands[i]; c.Op != session.OpFlush && session.ValidKey(c.Key) && b.slot(c.Key, needsValue(c)).err == errNoRoom {
			b.estimate(r, i)
			return errNoRoom
		}
	}
	for i, key := range r.deep {
		s := b.slot(key, true)
		if s.err == errNoRoom {
			b.estimate(r, i)
			return errNoRoom
		}
		b.fetchDeep(s)
	}
	for i := range b.slots {
		if slot := &b.slots[i]; slot.cold {
			r.fetched = append(r.fetched, fetched{key: slot.key, before: slot.before, err: slot.err, copies: slot.copies, deep: slot.deep})
		} else if slot.deep {
			r.fetched = append(r.fetched, fetched{key: slot.key, copies: slot.copies, deep: true})
		}
	}
	r.epoch, r.snapshot = b.epoch, b.snapshot
	return nil
}

// fetchDeep finds all copies of a key that the disk shows, whatever is known of
// the key: that may be from the cache, which can be behind the disk.
func (b *burst) fetchDeep(s *slot) {
	if s.before == nil {
		return
	}
	if copies, err := b.copies(nil, s.key, 0, ttl.Forever); err == nil {
		s.copies, s.deep = copies, true
	}
}
