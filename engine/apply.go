package engine

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"cairn/processors"
	"cairn/session"
)

// Try is session.Store's.
func (s *Store) Try(in *session.Burst) bool {
	if !readsOnly(in) || s.doors.closed.Load() {
		return false
	}
	now := s.horizon.see(in.Now)
	if s.flushIsDue(now) {
		return false
	}
	in.SizeResults()
	hits, ticket, state := s.readHot(in, now)
	if state != inMemory || !s.tickets.isDurable(ticket) {
		return false
	}
	s.memory.hot.count(hits, 0)
	return true
}

// Prefetch begins to bring what memory has of the keys that b reads into the processor's
// cache, for a Try to come. Nothing depends on it.
func (s *Store) Prefetch(b *session.Burst) {
	if !readsOnly(b) {
		return
	}
	for i := range b.Commands {
		s.memory.hot.prefetch(b.Commands[i].Key)
	}
}

// Apply is session.Store's.
func (s *Store) Apply(in *session.Burst, to session.Completer) {
	r := newRequest(in, to)
	in.SizeResults()
	now := s.horizon.see(in.Now)
	switch reads := readsOnly(in); {
	case s.doors.closed.Load():
		r.refuse()
	case !reads && s.options.ExternalLog:
		r.fail(session.ErrNeedsLog)
	case !reads:
		s.admit(in)
		s.enqueue(r)
	case s.flushIsDue(now):
		s.stations.queue.add(r)
	default:
		s.applyReads(r, now)
	}
}

// applyReads answers reads if memory has all they ask for, or passes them on.
func (s *Store) applyReads(r *request, now session.Time) {
	in := r.in
	switch hits, ticket, state := s.readHot(in, now); state {
	case inMemory:
		s.memory.hot.count(hits, 0)
		s.promiseReads(r, ticket)
	case onDisk:
		in.SizeResults()
		s.stations.fetchers.add(r)
	case needsLocks:
		in.SizeResults()
		if s.options.ExternalLog {
			s.stations.fetchers.add(r)
			return
		}
		s.stations.queue.add(r)
	}
}

// enqueue lets r be applied. Without a cache, it is known to need the disk
// before.
func (s *Store) enqueue(r *request) {
	if s.memory.hot == nil {
		s.stations.fetchers.add(r)
		return
	}
	s.stations.queue.add(r)
}

// advance notes that the clock has reached now, carries out the flush that is
// due by then, and returns the latest instant ever noted.
func (s *Store) advance(now session.Time) session.Time {
	now = s.horizon.see(now)
	if s.flushIsDue(now) {
		s.flushDue(now)
	}
	return now
}

// flushIsDue reports whether the pending flush must be carried out, because the
// clock has reached now. With an external log, entries do that.
func (s *Store) flushIsDue(now session.Time) bool {
	return s.flushes.due(now) && !s.options.ExternalLog
}

// readState says what it takes to answer reads.
type readState uint8

const (
	inMemory   readState = iota
	onDisk               // the cache does not know a key
	needsLocks           // of its stripes; or the command is a bad one
)

// readHot answers reads from the cache. If it could answer all, it returns how
// many of them count as hits, and which batch they show.
func (s *Store) readHot(in *session.Burst, now session.Time) (hits int64, ticket uint64, state readState) {
	epoch := s.flushes.epoch.Load()
	var e entry
	for n := range in.Commands {
		c, r := &in.Commands[n], &in.Results[n]
		if !session.ValidKey(c.Key) || c.Has(session.SetVersion) || len(c.Owner) > session.MaxOwnerLen {
			return 0, 0, needsLocks
		}
		if !s.memory.hot.get(&e, c.Key, epoch) {
			return 0, 0, onDisk
		}
		ticket = max(ticket, e.ticket)
		peek := c.Has(session.Peek)
		if !peek {
			hits++
		}
		switch {
		case e.bucket == 0:
			r.Status = session.NotFound
		case !e.live(now):
			if !s.hasExpired(&e, now) {
				return 0, 0, needsLocks
			}
			r.Status = session.NotFound
		case wins(&e, c):
			return 0, 0, needsLocks
		default:
			r.Status = session.OK
			r.Item.Key, r.Item.Value = c.Key, e.value
			e.describe(&r.Item)
			if !peek {
				e.read(now)
			}
		}
	}
	return hits, ticket, inMemory
}

// hasExpired reports whether e, which is from the cache and not live at now, is
// still what its key holds, and stays so: nobody is about to prolong it. The
// clock has reached now, so that whoever locks its stripe from now on finds it
// expired. False: it cannot be told without waiting for someone.
func (s *Store) hasExpired(e *entry, now session.Time) bool {
	stripe := s.memory.stripes.of(stripeOf(e.key))
	if !stripe.mu.TryLock() {
		return false
	}
	defer stripe.mu.Unlock()
	var present entry
	return s.memory.hot.peek(&present, e.key, e.epoch) && present.ticket == e.ticket && !present.live(now)
}

var bursts = sync.Pool{New: func() any { return new(burst) }}

func (s *Store) newBurst(now session.Time) *burst {
	b := bursts.Get().(*burst)
	b.store, b.now = s, now
	b.hint = -1
	b.unsynced = !s.awaitsLog()
	b.observed = s.options.Observers.Wanted()
	return b
}

func (b *burst) release() {
	b.closeIter()
	b.reset()
	bursts.Put(b)
}

// begin looks at the store's present state.
func (b *burst) begin() { b.epoch = b.store.flushes.epoch.Load() }

// applyWaiting carries out what is in the queue until that is closed.
func (s *Store) applyWaiting() {
	var taken []*request
	for {
		if taken = s.stations.queue.take(taken[:0]); len(taken) == 0 {
			return
		}
		s.applyBatch(taken)
		clear(taken)
	}
}

// longBatch is how many bytes of values take milliseconds to be compressed and copied.
const longBatch = 512 << 10

// applyBatch carries out requests as one batch. Those that need the disk first
// are fetched for and come back.
func (s *Store) applyBatch(requests []*request) {
	now, bytes := session.Time(0), 0
	for _, r := range requests {
		now, bytes = max(now, r.in.Now), bytes+r.bytes
	}
	if bytes >= longBatch {
		processors.Begin()
		defer processors.End()
	}
	b := s.newBurst(s.advance(now))
	b.requests = append(b.requests, requests...)
	batch := b.carryOut()
	if len(b.requests) > 0 {
		s.promise(b.requests, batch, b.ticket, b.begun)
	}
	if n := len(b.cold); n > 0 {
		s.counts.deferred.Add(int64(n))
	}
	for _, r := range b.cold {
		s.fetchAgain(r)
	}
	b.release()
}

// carryOut carries out the burst's requests with the stripes of all their keys
// locked, and returns the batch that they became, nil if nothing has changed.
// Requests that memory and what was fetched for them do not suffice for move to
// b.cold.
func (b *burst) carryOut() *pebble.Batch {
	s := b.store
	if b.requests[0].flushes() { // and is alone
		s.doors.lockGate()
		defer s.doors.unlockGate()
	} else {
		s.doors.gate.RLock()
		defer s.doors.gate.RUnlock()
	}
	b.lock()
	defer s.memory.stripes.unlock(b.stripes)
	// What another burst has found expired under these locks stays so.
	b.now = s.horizon.latest()
	b.begin()
	b.frozen = s.frozen()
	b.gather()
	b.first = s.memory.ledger.reserve(len(b.places))
	b.runAll()
	for b.shed() {
		b.undo()
		b.runAll()
	}
	batch := b.write()
	b.keepFound()
	b.addCounts(batch != nil)
	return batch
}

// addCounts adds to the store's counters.
func (b *burst) addCounts(written bool) {
	s := b.store
	s.counts.stored.Add(b.stored)
	s.counts.identical.Add(b.identical)
	s.counts.flushes.Add(b.flushes)
	s.memory.hot.count(b.hits, b.misses)
	if written {
		for _, r := range b.requests {
			s.counts.userWritten.Add(r.sent())
		}
	}
}

// lock locks the stripes of all keys of the burst.
func (b *burst) lock() {
	for _, r := range b.requests {
		for i := range r.in.Commands {
			if key := r.in.Commands[i].Key; len(key) > 0 {
				b.stripes = append(b.stripes, stripeOf(key))
			}
		}
	}
	b.stripes = b.store.memory.stripes.lock(b.stripes)
}

// flushDue carries out the pending flush if it is due at now and nobody else
// has done so.
func (s *Store) flushDue(now session.Time) {
	s.doors.lockGate()
	defer s.doors.unlockGate()
	if !s.flushes.due(now) || s.doors.closed.Load() {
		return
	}
	if s.options.ReadOnly {
		s.hideAll()
		return
	}
	b := s.newBurst(now)
	defer b.release()
	// Nobody waits for this batch here; whoever sees its effect does. Should a
	// crash take it back, the flush is still pending.
	b.unsynced = true
	b.begin()
	b.carryOutDue()
	batch := b.write()
	b.addCounts(batch != nil)
	s.closeBatch(batch)
}
