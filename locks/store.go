// Package locks keeps the locks of sessions in memory: the keys that a client adds
// while it works on a session, and deletes. They end with the process, as the
// connections do that hold them.
//
// A client that finds a lock taken may wait for it instead of asking again and
// again; it gets the lock when it is its turn. It never waits if it has sent more:
// see session.Burst.Patient and Hurry. A lock may be freed when the connection ends
// on which it was taken.
package locks

import (
	"sync"
	"sync/atomic"
	"time"

	"cairn/figures"
	"cairn/policy"
	"cairn/session"
	"cairn/session/memory"
)

const (
	// firstVersion is the lowest version of a lock. Versions go on from the time, in
	// milliseconds, times 2^20, so that a restart does not repeat any.
	firstVersion = 1 << 62

	// maxValue is the longest value of a lock in bytes, and maxLocks how many there
	// may be.
	maxValue = 4 << 10
	maxLocks = 100_000

	// maxLine is how many clients may wait for one lock.
	maxLine = 64

	// sweepEvery is how long, once there are as many locks as there may be, they are not
	// searched again for those that have expired.
	sweepEvery = time.Second

	// maxHeld is how many locks a client may hold before those are looked for that
	// have expired; if more are left, it is twice as many as those the next time.
	maxHeld = 64
)

// Options configure a Store.
type Options struct {
	Next  session.Store // has everything but the locks
	Rules *policy.Rules // say which keys are locks
	Clock session.Clock

	// Observers are told of what happens to locks. nil: nobody is.
	Observers *session.Observers

	// MaxWaiting is how many clients may wait at once, for all locks together.
	MaxWaiting int

	// After calls f once d has passed, unless stop is called before. Default:
	// time.AfterFunc.
	After func(d time.Duration, f func()) (stop func() bool)
}

// Store is a session.Store that keeps locks itself and passes everything else on.
type Store struct {
	options Options
	counts  counts

	mu      sync.Mutex
	items   *memory.Store
	lines   map[string]*line           // by key; none is empty
	waiting map[*session.Burst]*waiter // all that wait
	held    map[uint64]*holder         // by client, of locks to be freed
	granted []*waiter                  // to be told once mu is free
	most    int                        // how many locks there may be
	sweepAt session.Time               // when expired ones may be searched for again

	work sync.WaitGroup // bursts that are carried out in turn
}

type counts struct {
	got, inVain, gaveWay, freed atomic.Uint64
	waited                      figures.Histogram
}

// holder is a client with locks that end with its connection.
type holder struct {
	versions map[string]uint64 // by key; some may have expired
	most     int               // look for those beyond that many
}

// line is who waits for a lock, in order.
type line struct {
	waiters []*waiter
	stop    func() bool // of the alarm at the lock's expiry
}

// waiter is a client that waits for a lock.
type waiter struct {
	burst *session.Burst
	to    session.Completer
	key   string
	stop  func() bool // of the alarm at the end of its patience
}

// New makes a Store without locks.
func New(o Options) *Store {
	if o.After == nil {
		o.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	s := &Store{
		options: o, items: memory.New(maxValue), lines: map[string]*line{},
		waiting: map[*session.Burst]*waiter{}, held: map[uint64]*holder{}, most: maxLocks,
	}
	if o.Observers != nil {
		s.items.Subscribe(locksOnly{o.Observers})
	}
	s.items.NumberFrom(firstVersion + uint64(time.Now().UnixMilli())<<20)
	return s
}

// Try is session.Store's.
func (s *Store) Try(b *session.Burst) bool {
	return s.split(b) == nothing && s.options.Next.Try(b)
}

// Apply is session.Store's.
func (s *Store) Apply(b *session.Burst, to session.Completer) {
	switch s.split(b) {
	case nothing:
		s.options.Next.Apply(b, to)
	case everything:
		if s.wait(b, to) {
			return
		}
		b.SizeResults()
		s.carryOut(b, 0, len(b.Commands))
		to.Complete([]*session.Burst{b})
	case something:
		s.work.Go(func() { s.inTurn(b, to) })
	}
}

// Wait returns when nothing is under way any more.
func (s *Store) Wait() { s.work.Wait() }

// part says how much of a burst is about locks.
type part uint8

const (
	nothing part = iota
	something
	everything
)

func (s *Store) split(b *session.Burst) part {
	set := s.options.Rules.Set()
	if !set.Volatile() || len(b.Commands) == 0 {
		return nothing
	}
	locks := 0
	for i := range b.Commands {
		c := &b.Commands[i]
		switch {
		case c.Op == session.OpFlush:
			return something
		case set.VolatileLock(c.Key) != nil:
			locks++
		}
	}
	switch locks {
	case 0:
		return nothing
	case len(b.Commands):
		return everything
	}
	return something
}

// inTurn carries out a burst of locks and other commands, in order: a lock is freed
// after what it protects was stored.
func (s *Store) inTurn(b *session.Burst, to session.Completer) {
	b.SizeResults()
	set := s.options.Rules.Set()
	for i := 0; i < len(b.Commands); {
		isLock := set.VolatileLock(b.Commands[i].Key) != nil
		end := i + 1
		for end < len(b.Commands) && (set.VolatileLock(b.Commands[end].Key) != nil) == isLock {
			end++
		}
		if isLock {
			s.carryOut(b, i, end)
		} else {
			s.passOn(b, i, end)
		}
		i = end
	}
	to.Complete([]*session.Burst{b})
}

// passOn lets the next store carry out a part of a burst.
func (s *Store) passOn(b *session.Burst, from, to int) {
	session.DoPart(s.options.Next, b, from, to)
	for i := from; i < to; i++ {
		if b.Commands[i].Op == session.OpFlush && b.Results[i].Status == session.OK {
			s.flush(&b.Commands[i], b.Now)
		}
	}
}

// flush lets a flush apply to locks, too.
func (s *Store) flush(c *session.Command, now session.Time) {
	s.mu.Lock()
	s.items.Execute(c, now, nil)
	for key := range s.lines {
		s.settle(key, now)
	}
	s.unlock()
}

// carryOut carries out a part of a burst that is about locks only.
func (s *Store) carryOut(b *session.Burst, from, to int) {
	s.mu.Lock()
	for i := from; i < to; i++ {
		b.Results[i] = s.run(&b.Commands[i], b.Origin, b.Now)
	}
	s.unlock()
}

// unlock tells those who got a lock, or must not wait any longer, once mu is free.
func (s *Store) unlock() {
	granted := s.granted
	s.granted = nil
	s.mu.Unlock()
	for _, w := range granted {
		w.to.Complete([]*session.Burst{w.burst})
	}
}

// run carries out one command on a lock.
func (s *Store) run(c *session.Command, from session.Origin, now session.Time) session.Result {
	key := string(c.Key)
	s.settle(key, now)
	if s.full(now) && c.Op != session.OpGet && c.Op != session.OpDelete {
		return session.Result{Status: session.Failed, Err: session.ErrNoSpace}
	}
	r := s.items.Execute(c, now, from)
	s.note(c, &r, from)
	s.settle(key, now)
	return r
}

// full reports whether there are as many locks as there may be, apart from those that
// have expired. Now and then it removes these: each search costs as much as all of them.
func (s *Store) full(now session.Time) bool {
	if s.items.Len() >= s.most && now >= s.sweepAt {
		s.items.Sweep(now)
		s.sweepAt = now.Add(sweepEvery)
	}
	return s.items.Len() >= s.most
}

// note keeps in mind what the client holds after c.
func (s *Store) note(c *session.Command, r *session.Result, from session.Origin) {
	client := session.MemcachedConnection(from)
	if client == 0 || r.Status != session.OK {
		return
	}
	rule := s.options.Rules.Set().VolatileLock(c.Key)
	switch {
	case rule == nil || !rule.FreeOnClose:
	case c.Op == session.OpDelete:
		if h := s.held[client]; h != nil {
			delete(h.versions, string(c.Key))
		}
	case c.Op == session.OpAdd || c.Op == session.OpSet:
		s.hold(client, string(c.Key), r.Item.Version)
	}
}

// hold notes that a client holds a lock.
func (s *Store) hold(client uint64, key string, version uint64) {
	h := s.held[client]
	if h == nil {
		h = &holder{versions: map[string]uint64{}, most: maxHeld}
		s.held[client] = h
	}
	if h.versions[key] = version; len(h.versions) > h.most {
		s.forgetExpired(h)
	}
}

// forgetExpired forgets the locks of a client that it does not hold any more.
func (s *Store) forgetExpired(h *holder) {
	now := s.options.Clock.Now()
	for key, version := range h.versions {
		if s.find([]byte(key), now).Item.Version != version {
			delete(h.versions, key)
		}
	}
	h.most = max(maxHeld, 2*len(h.versions))
}

// locksOnly tells observers of what happens to locks. Of flushes they hear from the
// next store.
type locksOnly struct{ to *session.Observers }

func (o locksOnly) Observe(events []session.Event) {
	for i := range events {
		if events[i].Command.Op != session.OpFlush {
			o.to.Observe(events[i : i+1])
		}
	}
}

// Free frees the locks that client holds, whose connection has ended. It waits for
// none any more.
func (s *Store) Free(client uint64) {
	s.mu.Lock()
	defer s.unlock()
	now := s.options.Clock.Now()
	for b, w := range s.waiting {
		if session.MemcachedConnection(b.Origin) == client {
			s.giveUp(w)
		}
	}
	h := s.held[client]
	if h == nil {
		return
	}
	delete(s.held, client)
	for key, version := range h.versions {
		c := session.Command{Op: session.OpDelete, Mods: session.IfVersion, Key: []byte(key), CAS: version}
		if r := s.items.Execute(&c, now, nil); r.Status == session.OK {
			s.counts.freed.Add(1)
		}
		s.settle(key, now)
	}
}
