// Package memory is a session.Store in memory. It spells out every rule of package
// session as plainly as possible: it is what other stores are compared with, and it
// keeps what need not outlive the process.
package memory

import (
	"bytes"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"cairn/session"
)

// Store is a session.Store in memory, written to be obviously right. Nothing
// leaves it but by expiry, delete and flush. It is safe for concurrent use.
type Store struct {
	mu           sync.Mutex
	items        map[string]session.Item
	lastVersion  *atomic.Uint64 // shared by all clones
	clonedAt     uint64         // lastVersion when this clone was made
	now          session.Time   // the latest instant seen
	flushAt      session.Time   // of the pending flush, session.Never if none
	maxValueSize int
	closed       bool

	observers session.Observers // of this clone
	events    []session.Event   // of what is being carried out
}

var (
	_ session.Store      = (*Store)(nil)
	_ session.Observable = (*Store)(nil)
)

// New makes an empty store that keeps values of at most maxValueSize
// bytes (0: session.DefaultMaxValueSize).
func New(maxValueSize int) *Store {
	if maxValueSize == 0 {
		maxValueSize = session.DefaultMaxValueSize
	}
	return &Store{
		items:        make(map[string]session.Item),
		lastVersion:  new(atomic.Uint64),
		flushAt:      session.Never,
		maxValueSize: maxValueSize,
	}
}

// Try is session.Store's.
func (s *Store) Try(b *session.Burst) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.onlyReads(b) {
		return false
	}
	s.carryOut(b)
	return true
}

// Apply is session.Store's. The burst is complete when it returns. A burst is
// isolated: others see all of it or nothing.
func (s *Store) Apply(b *session.Burst, to session.Completer) {
	s.mu.Lock()
	s.carryOut(b)
	s.mu.Unlock()
	to.Complete([]*session.Burst{b})
}

func (s *Store) carryOut(b *session.Burst) {
	b.SizeResults()
	s.advance(b.Now)
	for i := range b.Commands {
		b.Results[i] = s.tell(&b.Commands[i], b.Origin)
	}
	s.told()
}

// onlyReads reports whether b would leave everything durable as it is.
func (s *Store) onlyReads(b *session.Burst) bool {
	if s.closed || s.flushAt <= max(s.now, b.Now) {
		return false
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		if it := s.items[string(c.Key)]; c.Op != session.OpGet || c.Mods&(session.SetExpiry|session.Vivify) != 0 || wins(c, &it) {
			return false
		}
	}
	return true
}

// Execute carries out one command as of now, which comes from somebody.
func (s *Store) Execute(c *session.Command, now session.Time, from session.Origin) session.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	r := s.tell(c, from)
	s.told()
	return r
}

// Put stores an item as it is.
func (s *Store) Put(it session.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(it)
}

// NumberFrom makes the next version at least first.
func (s *Store) NumberFrom(first uint64) { s.lastVersion.Store(max(s.lastVersion.Load(), first-1)) }

// ClonedAt returns the last version that had been given when this clone was made.
func (s *Store) ClonedAt() uint64 { return s.clonedAt }

// Len returns how many items there are, with those that have expired and that
// nobody has asked for since. Sweep removes these.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items)
}

// Sweep removes what has expired by now.
func (s *Store) Sweep(now session.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	for key, it := range s.items {
		if !it.Live(s.now) {
			delete(s.items, key)
		}
	}
}

// Now returns the latest instant that a burst was stamped with; it makes the
// store a session.Clock.
func (s *Store) Now() session.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Close makes every later command fail with session.ErrClosed. Reopen undoes
// it; what was stored is kept.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Reopen lets a closed store serve again.
func (s *Store) Reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = false
}

// Clone returns an independent copy of the store as it is now. Neither of them
// hands out a version that the other has handed out.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := New(s.maxValueSize)
	c.lastVersion, c.now, c.flushAt, c.closed = s.lastVersion, s.now, s.flushAt, s.closed
	c.clonedAt = s.lastVersion.Load()
	for key, it := range s.items {
		c.items[key] = it // the bytes in it never change
	}
	return c
}

// Items returns the items that a burst stamped now would find, keys ascending.
// Their bytes are read-only.
func (s *Store) Items(now session.Time) []session.Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = max(now, s.now)
	if s.flushAt <= now {
		return nil
	}
	var live []session.Item
	for _, it := range s.items {
		if it.Live(now) {
			live = append(live, it)
		}
	}
	sort.Slice(live, func(i, j int) bool { return bytes.Compare(live[i].Key, live[j].Key) < 0 })
	return live
}

// PendingFlush returns the instant at which the store will be emptied, session.Never if
// no flush is pending. One that is due is pending until a burst comes.
func (s *Store) PendingFlush() session.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flushAt
}

// advance moves the clock to now, or leaves it where it is if now is earlier,
// and does what is due by then: a pending flush first, as it was to happen
// before any command of this instant.
func (s *Store) advance(now session.Time) {
	s.now = max(s.now, now)
	if s.flushAt <= s.now {
		s.flush()
		s.note(&session.Command{Op: session.OpFlush}, &session.Result{Status: session.OK}, session.Item{}, nil)
	}
}

func (s *Store) flush() {
	clear(s.items)
	s.flushAt = session.Never
}

// find returns the item under key, if it exists at s.now. Its Key is key itself.
func (s *Store) find(key []byte) (it session.Item, found bool) {
	it, found = s.items[string(key)]
	if !found || !it.Live(s.now) {
		delete(s.items, string(key))
		return session.Item{}, false
	}
	it.Key = key
	return it, true
}

// put stores it under its key, with copies of all bytes. An item that has
// expired already only removes what was there.
func (s *Store) put(it session.Item) {
	if !it.Live(s.now) {
		delete(s.items, string(it.Key))
		return
	}
	it.Key, it.Value = bytes.Clone(it.Key), slices.Clip(bytes.Clone(it.Value))
	it.Owner = bytes.Clone(it.Owner)
	s.items[string(it.Key)] = it
}

// version returns the version of an item that c changes.
func (s *Store) version(c *session.Command) uint64 {
	if c.Has(session.SetVersion) {
		return c.NewVersion
	}
	return s.lastVersion.Add(1)
}
