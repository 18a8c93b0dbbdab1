package engine

import (
	"sync"

	"cairn/session"
)

// Apply is session.Store's.
func (s *Store) Apply(in *session.Burst) session.Commit {
	in.SizeResults()
	now := s.advance(in.Now)
	if s.closed.Load() {
		return failAll(in)
	}
	if !readsOnly(in) {
		return s.applyWrites(in, now)
	}
	n, hits, ticket := s.readHot(in, now)
	if n == len(in.Commands) {
		s.hot.count(hits, 0)
		return s.promiseReads(in, ticket)
	}
	return s.applyReads(in, now, n, hits, ticket)
}

// advance notes that the clock has reached now, carries out the flush that is
// due by then, and gives the latest instant ever noted.
func (s *Store) advance(now session.Time) session.Time {
	now = s.see(now)
	if s.flushAt.Load() <= int64(now) {
		s.flushDue(now)
	}
	return now
}

// see notes that the clock has reached now and gives the latest instant ever
// noted.
func (s *Store) see(now session.Time) session.Time {
	for {
		seen := s.seen.Load()
		if int64(now) <= seen {
			return session.Time(seen)
		}
		if s.seen.CompareAndSwap(seen, int64(now)) {
			return now
		}
	}
}

func readsOnly(in *session.Burst) bool {
	for i := range in.Commands {
		if c := &in.Commands[i]; c.Op != session.OpGet || c.Mods&(session.SetExpiry|session.Vivify) != 0 {
			return false
		}
	}
	return true
}

func failAll(in *session.Burst) session.Commit {
	for i := range in.Results {
		fail(&in.Results[i], session.ErrClosed)
	}
	return nil
}

// readHot answers reads from the cache, up to the first that the cache cannot
// answer, and says how many it answered, how many of them count as hits, and
// which batch they show.
func (s *Store) readHot(in *session.Burst, now session.Time) (n int, hits int64, ticket uint64) {
	epoch := s.epoch.Load()
	var e entry
	for n = range in.Commands {
		c, r := &in.Commands[n], &in.Results[n]
		if !session.ValidKey(c.Key) || c.Has(session.SetVersion) {
			return n, hits, ticket
		}
		if !s.hot.get(&e, c.Key, epoch) {
			return n, hits, ticket
		}
		ticket = max(ticket, e.ticket)
		if e.bucket != 0 && (!e.live(now) || wins(&e, c)) {
			return n, hits, ticket
		}
		if !c.Has(session.Peek) {
			hits++
		}
		if e.bucket == 0 {
			r.Status = session.NotFound
			continue
		}
		r.Status = session.OK
		r.Item.Key, r.Item.Value = c.Key, e.value
		e.describe(&r.Item)
		if !c.Has(session.Peek) {
			e.read(now)
		}
	}
	return len(in.Commands), hits, ticket
}

var bursts = sync.Pool{New: func() any { return new(burst) }}

func (s *Store) newBurst(in *session.Burst, now session.Time) *burst {
	b := bursts.Get().(*burst)
	b.store, b.in, b.now = s, in, now
	b.unsynced = s.options.Durability.Interval > 0
	return b
}

func (b *burst) release() {
	b.closeIter()
	b.reset()
	bursts.Put(b)
}

// begin looks at the store's present state. The gate is held.
func (b *burst) begin() { b.epoch = b.store.epoch.Load() }

// applyReads answers reads from command n on, without locks; those before had so
// many hits. If one of them cannot do without, the burst begins anew as a write.
func (s *Store) applyReads(in *session.Burst, now session.Time, n int, hits int64, ticket uint64) session.Commit {
	b := s.newBurst(in, now)
	b.reading, b.ticket, b.hits = true, ticket, hits
	err := b.read(n)
	hits, misses, ticket := b.hits, b.misses, b.ticket
	b.release()
	switch err {
	case nil:
		s.hot.count(hits, misses)
		return s.promiseReads(in, ticket)
	case errUnlocked:
		in.SizeResults()
		return s.applyWrites(in, now)
	}
	return failAll(in)
}

func (b *burst) read(n int) error {
	b.store.gate.RLock()
	defer b.store.gate.RUnlock()
	if b.store.closed.Load() {
		return session.ErrClosed
	}
	b.begin()
	for i := n; i < len(b.in.Commands); i++ {
		if err := b.run(&b.in.Commands[i], &b.in.Results[i]); err != nil {
			return err
		}
	}
	return nil
}

// applyWrites carries out a burst with the stripes of all its keys locked.
func (s *Store) applyWrites(in *session.Burst, now session.Time) session.Commit {
	if flushes(in) {
		s.gate.Lock()
		defer s.gate.Unlock()
	} else {
		s.gate.RLock()
		defer s.gate.RUnlock()
	}
	if s.closed.Load() {
		return failAll(in)
	}
	b := s.newBurst(in, now)
	defer b.release()
	b.lock()
	defer s.stripes.unlock(b.stripes)
	// What another burst has found expired under these locks stays so.
	b.now = session.Time(s.seen.Load())
	b.begin()
	for i := range in.Commands {
		_ = b.run(&in.Commands[i], &in.Results[i]) // errUnlocked is for reads
	}
	batch := b.write()
	s.counts.stored.Add(b.stored)
	s.counts.flushes.Add(b.flushes)
	s.hot.count(b.hits, b.misses)
	if batch == nil {
		return s.promiseReads(in, b.ticket)
	}
	s.counts.userWritten.Add(sent(in))
	return s.promise(in, batch, b.ticket, b.begun)
}

// sent is how many bytes the client gave for what was written.
func sent(in *session.Burst) (n int64) {
	for i := range in.Commands {
		if c := &in.Commands[i]; c.Op != session.OpGet && in.Results[i].Status == session.OK {
			n += int64(len(c.Key) + len(c.Value))
		}
	}
	return n
}

func flushes(in *session.Burst) bool {
	for i := range in.Commands {
		if in.Commands[i].Op == session.OpFlush {
			return true
		}
	}
	return false
}

// lock locks the stripes of all keys of the burst.
func (b *burst) lock() {
	for i := range b.in.Commands {
		if key := b.in.Commands[i].Key; len(key) > 0 {
			b.stripes = append(b.stripes, stripeOf(key))
		}
	}
	b.stripes = b.store.stripes.lock(b.stripes)
}

// flushDue carries out the pending flush if it is due at now and nobody else
// has done so.
func (s *Store) flushDue(now session.Time) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.flushAt.Load() > int64(now) || s.closed.Load() {
		return
	}
	in := &session.Burst{Now: now, Commands: []session.Command{{Op: session.OpFlush}}}
	in.SizeResults()
	b := s.newBurst(in, now)
	defer b.release()
	// Nobody waits for this batch here; whoever sees its effect does. Should a
	// crash take it back, the flush is still pending.
	b.unsynced = true
	b.begin()
	_ = b.run(&in.Commands[0], &in.Results[0])
	s.closeBatch(b.write())
}
