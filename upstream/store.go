// Package upstream lets an application move from another store while it runs. What
// is not here yet is asked for at the old store, the upstream, and kept from then
// on; what is removed here is removed there before the client hears of it, so that
// nothing which has ended can come back; and what changes here can be copied there,
// so that the way back stays open. See DESIGN.md.
package upstream

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cairn/migrate"
	"cairn/session"
)

// DefaultTimeout is how long a request of the old store may take.
const DefaultTimeout = 500 * time.Millisecond

const (
	// chunk is how many sessions are removed or copied at once, and chunkBytes how
	// many bytes of values are in memory for that, about. As many as fetchChunk are
	// asked for at once: how large they are is not known before.
	chunk      = 64
	chunkBytes = 1 << 20
	fetchChunk = 8

	// workers is how many goroutines bring the old store up to date.
	workers = 4

	// pause is how long a worker waits after the old store has not taken something.
	pause = time.Second
)

// Options configure a Store.
type Options struct {
	Next      session.Store // keeps the sessions
	Clock     session.Clock // of Next
	Observers *session.Observers

	// Admit lets the rules for sessions apply to what is fetched. Private says that
	// a key is none of the old store's business. nil: no rules, no such key.
	Admit   func(*session.Burst)
	Private func(key []byte) bool

	Sources []*migrate.Source // the old store: one server or several, at least one
	Mirror  bool              // copy changes to it, to each of its servers
	Timeout time.Duration     // of a request there; 0: DefaultTimeout

	Dir      string // where it is noted what may not be forgotten
	MaxValue int64  // the largest value in bytes that Next keeps; 0: session.DefaultMaxValueSize
	Logger   *slog.Logger
	Now      func() time.Time // for the breaker; nil: time.Now
}

// Store is a session.Store before another, from which it differs only in what the
// old store has.
type Store struct {
	o       Options
	servers []*server
	keys    keys
	known   known
	queue   *queue
	counts  counts

	open    atomic.Bool
	journal atomic.Pointer[journal] // nil until the store was opened once
	stop    chan struct{}
	unwatch func()
	work    sync.WaitGroup // bursts that are carried out here
	workers sync.WaitGroup
	telling sync.Mutex // held by who tells the old store of a flush
}

type counts struct {
	hits, misses, failures atomic.Uint64
	unsuitable             atomic.Uint64
	removed, removedLater  atomic.Uint64
	copied, refused        atomic.Uint64

	lastHit  atomic.Int64 // session.Time
	lifetime atomic.Int64 // the longest that a session was given, in ms
	endless  atomic.Bool  // one was given that never ends
}

// New makes a Store that passes everything on until it is opened.
func New(o Options) *Store {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxValue <= 0 {
		o.MaxValue = session.DefaultMaxValueSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Admit == nil {
		o.Admit = func(*session.Burst) {}
	}
	if o.Private == nil {
		o.Private = func([]byte) bool { return false }
	}
	s := &Store{o: o, queue: newQueue()}
	for _, source := range o.Sources {
		s.servers = append(s.servers, newServer(&o, source))
	}
	return s
}

// target names the old store.
func (s *Store) target() string {
	var names []string
	for _, v := range s.servers {
		names = append(names, v.source.String())
	}
	return strings.Join(names, ",")
}

// Open begins, or goes on after Close. Next is open.
func (s *Store) Open() error {
	if s.open.Load() {
		return nil
	}
	journal, err := openJournal(s.o.Dir, s.target(), s.o.Clock.Now())
	if err != nil {
		return err
	}
	s.journal.Store(journal)
	s.load()
	for _, v := range s.servers {
		v.open()
	}
	for _, key := range journal.keys() {
		s.queue.add(string(key), true)
	}
	if _, owed := journal.flushOwed(); owed {
		s.queue.add("", true)
	}
	if s.o.Observers != nil {
		s.unwatch = s.o.Observers.Subscribe(s)
	}
	s.stop = make(chan struct{})
	for range workers {
		s.workers.Go(s.bring)
	}
	s.open.Store(true)
	return nil
}

// Close ends what Open has begun. No burst is under way, and Next is still open.
func (s *Store) Close() error {
	if !s.open.Swap(false) {
		return nil
	}
	s.work.Wait()
	close(s.stop)
	s.workers.Wait()
	if s.unwatch != nil {
		s.unwatch()
	}
	for _, v := range s.servers {
		v.close()
	}
	return errors.Join(s.save(), s.journal.Load().close())
}

// origin is where this package's own bursts come from.
type origin struct{}

func (origin) Front() string { return "upstream" }
func (origin) ID() uint64    { return 0 }
func (origin) User() string  { return "" }

// Try is session.Store's. What is not here may be at the old store, which takes
// time.
func (s *Store) Try(b *session.Burst) bool {
	if !s.o.Next.Try(b) {
		return false
	}
	if !s.open.Load() {
		return true
	}
	missed := false
	for i := range b.Results {
		if b.Results[i].Status != session.NotFound {
			continue
		}
		if s.askable(b.Commands[i].Key, b.Now) {
			return false
		}
		missed = true
	}
	// A session that another client has fetched since Next was asked is there, and is no
	// longer askable.
	return !missed || s.o.Next.Try(b)
}

// Apply is session.Store's.
func (s *Store) Apply(b *session.Burst, to session.Completer) {
	if !s.open.Load() || !s.concerns(b) {
		s.o.Next.Apply(b, to)
		return
	}
	s.work.Go(func() {
		s.carryOut(b)
		to.Complete([]*session.Burst{b})
	})
}

// askable reports whether the old store may have a session that Next has not.
func (s *Store) askable(key []byte, now session.Time) bool {
	j := s.journal.Load()
	return !s.known.has(hash(key), now) && !j.has(key) && j.ended(now) == ""
}

// finds reports whether the outcome of c depends on whether its session is there.
func finds(c *session.Command) bool {
	switch c.Op {
	case session.OpFlush, session.OpAdopt:
		return false
	case session.OpSet:
		return c.Has(session.IfVersion)
	}
	return true
}

// removes reports whether c ends the session that it is about.
func removes(c *session.Command, now session.Time) bool {
	switch c.Op {
	case session.OpDelete:
		return c.Mods&(session.Invalidate|session.DropValue) == 0
	case session.OpSet, session.OpAdd, session.OpReplace, session.OpTouch:
		return c.Expiry <= now
	case session.OpGet, session.OpIncr, session.OpDecr:
		return c.Has(session.SetExpiry) && c.Expiry <= now
	}
	return false
}

// concerns reports whether a burst needs more than Next.
func (s *Store) concerns(b *session.Burst) bool {
	for i := range b.Commands {
		c := &b.Commands[i]
		if c.Op == session.OpFlush || removes(c, b.Now) || finds(c) && s.askable(c.Key, b.Now) {
			return true
		}
	}
	return false
}

// carryOut carries out a burst: what it asks for is fetched first, and what it
// removes is removed at the old store first. Those of its sessions that it removes
// cannot be fetched meanwhile.
func (s *Store) carryOut(b *session.Burst) {
	var wanted, removed [][]byte
	for i := range b.Commands {
		c := &b.Commands[i]
		if finds(c) && session.ValidKey(c.Key) && s.askable(c.Key, b.Now) {
			wanted = append(wanted, c.Key)
		}
		if removes(c, b.Now) && session.ValidKey(c.Key) {
			removed = append(removed, c.Key)
		}
	}
	if len(wanted) > 0 {
		s.fetch(s.absent(distinct(wanted), b.Now), b.Now)
	}
	removed = distinct(removed)
	release := s.keys.hold(removed, nil)
	defer release()
	s.remove(removed)
	s.flush(b)
	session.Do(s.o.Next, b)
	until := s.o.Clock.Now() + settledFor
	for _, key := range removed {
		s.known.add(hash(key), until)
	}
}

// absent returns those of the keys that Next does not have. It notes the others.
func (s *Store) absent(list [][]byte, now session.Time) (missing [][]byte) {
	for part := range slices.Chunk(list, chunk) {
		look := session.Burst{Now: now, Origin: origin{}}
		for _, key := range part {
			*look.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: key}
		}
		session.Do(s.o.Next, &look)
		for i, key := range part {
			switch look.Results[i].Status {
			case session.NotFound:
				missing = append(missing, key)
			case session.OK:
				s.known.add(hash(key), now+settledFor)
			}
		}
	}
	return missing
}

// Observe is session.Observer's: what has changed here is Cairn's own affair from now
// on, and is copied to the old store if that is wanted.
func (s *Store) Observe(events []session.Event) {
	for i := range events {
		e := &events[i]
		if e.Effect > session.Expired || e.Command == nil || s.o.Private(e.Command.Key) {
			continue
		}
		s.known.add(hash(e.Command.Key), e.Now+settledFor)
		if e.Origin == (origin{}) {
			continue
		}
		if e.Effect == session.Stored || e.Effect == session.Touched {
			s.noteLifetime(e.Result.Item.Expiry, e.Now)
		}
		if s.o.Mirror && e.Effect != session.Deleted || e.Effect == session.Expired {
			s.queue.add(string(e.Command.Key), false)
		}
	}
}

// noteLifetime notes how long sessions live. Ten years are for ever.
func (s *Store) noteLifetime(expiry, now session.Time) {
	if expiry.Sub(now) > 10*365*24*time.Hour {
		s.counts.endless.Store(true)
		return
	}
	life := int64(expiry - now)
	for {
		longest := s.counts.lifetime.Load()
		if life <= longest || s.counts.lifetime.CompareAndSwap(longest, life) {
			return
		}
	}
}
