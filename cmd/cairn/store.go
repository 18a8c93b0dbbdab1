package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/cluster"
	"cairn/control"
	"cairn/engine"
	"cairn/locks"
	"cairn/policy"
	"cairn/session"
	"cairn/undo"
	"cairn/upstream"
)

// keeper is what keeps the sessions, as this program needs it: the engine's store,
// or what stands before several of those.
type keeper interface {
	session.Store
	session.Clock
	session.Owned
	prometheus.Collector

	Stats() session.Stats
	Forecast() []session.ForecastSlot
	Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error
	Checkpoint(dir string) error
	SetHotBytes(n int64) error

	// Quiesce makes a Close soon after it quick; Resume undoes it.
	Quiesce(ctx context.Context) error
	Resume()

	// ReadOnly reports whether another keeper will take this one's place, because
	// the disk does not take what has to be written first.
	ReadOnly() bool
	Close() error
}

// store is the keeper of the sessions as the front ends hold it. It can be closed
// and opened again under them: what they ask for meanwhile fails with
// session.ErrClosed. It is opened before anything else is called. On a full disk
// it is read-only at first, and becomes writable under them.
type store struct {
	keep     opener
	mu       sync.Mutex // open, close, SetHotBytes
	options  engine.Options
	rules    *policy.Rules
	locks    *locks.Store    // before what is kept
	upstream *upstream.Store // between them; nil: sessions are not moved here
	current  atomic.Pointer[opened]
	away     atomic.Bool // closed, but not for good

	control *control.Store // before all of it; nil: there are no control keys
	undo    *undo.Keeper   // asked before a flush; nil: nothing can be undone
	flushes sync.WaitGroup // that wait for it

	clustered bool                 // current is a node of a cluster, or a proxy for one
	declared  prometheus.Collector // describes current, whether that is open or not
	standsIn  bool                 // current is read-only until promote is called; guarded by mu
}

type opened struct {
	keeper
	prefetcher prefetcher // the keeper, if it can prefetch; else nil
}

type prefetcher interface{ Prefetch(b *session.Burst) }

var _ prefetcher = (*engine.Store)(nil)

func newOpened(k keeper) *opened {
	p, _ := k.(prefetcher)
	return &opened{k, p}
}

// opener opens a keeper. If that is read-only, writable gets the one that takes its
// place, or why there is none.
type opener func(o engine.Options, writable func(keeper, error)) (keeper, error)

// openEngine is the opener of a store of the engine.
func openEngine(o engine.Options, writable func(keeper, error)) (keeper, error) {
	s, err := engine.OpenSoon(o, func(s *engine.Store, err error) { writable(s, err) })
	if err != nil {
		return nil, err
	}
	if s.ReadOnly() {
		o.Logger.Error("the store is read-only, since the disk does not take what has to be written first; it becomes writable by itself",
			"free", s.Figures().Disk.Free)
	}
	return s, nil
}

// newStore makes a store that is to be opened. maxWaiting is how many clients may wait
// for locks.
func newStore(keep opener, o engine.Options, rules *policy.Rules, maxWaiting int) *store {
	s := &store{keep: keep, options: o, rules: rules, declared: (*engine.Store)(nil)}
	s.locks = locks.New(locks.Options{Next: unlocked{s}, Rules: rules, Clock: s, Observers: o.Observers, MaxWaiting: maxWaiting})
	return s
}

// share makes it a store of a cluster: locks are kept where sessions are, since they
// hold for clients of every node.
func (s *store) share() error {
	none, err := policy.Open(nil, "")
	if err != nil {
		return err
	}
	s.clustered, s.declared = true, (*cluster.Node)(nil)
	s.locks = locks.New(locks.Options{Next: unlocked{s}, Rules: none, Clock: s, Observers: s.options.Observers})
	return nil
}

// unlocked has all but the locks: what is kept, and perhaps what another store still
// has.
type unlocked struct{ *store }

func (u unlocked) Try(b *session.Burst) bool { return u.next().Try(b) }

func (u unlocked) Apply(b *session.Burst, to session.Completer) { u.next().Apply(b, to) }

func (u unlocked) next() session.Store {
	if u.upstream != nil {
		return u.upstream
	}
	return kept(u)
}

// uncontrolled has everything but control keys.
type uncontrolled struct{ *store }

func (u uncontrolled) Try(b *session.Burst) bool                    { return u.locks.Try(b) }
func (u uncontrolled) Apply(b *session.Burst, to session.Completer) { u.apply(b, to) }

// kept is what keeps all but the locks, whatever that is at the time.
type kept struct{ *store }

func (k kept) Try(b *session.Burst) bool                    { return k.current.Load().Try(b) }
func (k kept) Apply(b *session.Burst, to session.Completer) { k.current.Load().Apply(b, to) }

// noteLocks logs why locks do not travel, which is no reason not to go on.
func (s *store) noteLocks(err error) {
	if err != nil {
		s.options.Logger.Warn("session locks cannot be handed over to the next process", "error", err)
	}
}

// open opens the store; see engine.Options for justClosed.
func (s *store) open(justClosed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.options
	o.JustClosed = justClosed
	k, err := s.keep(o, s.promote)
	if err != nil {
		return err
	}
	s.current.Store(newOpened(k))
	s.away.Store(false)
	s.standsIn = k.ReadOnly()
	if justClosed {
		s.noteLocks(s.locks.Load(o.Dir))
	}
	s.noteLocks(locks.Forget(o.Dir))
	s.openUpstream()
	return nil
}

// lateCalls is how long calls may be on their way to a store that has been
// replaced.
const lateCalls = time.Second

// promote puts the store in the place of the one that is read only, as soon as
// it is open.
func (s *store) promote(k keeper, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.standsIn { // closed meanwhile
		if err == nil {
			err = k.Close()
		}
		if err != nil {
			s.options.Logger.Warn("leave read-only operation", "error", err)
		}
		return
	}
	if err != nil {
		s.fatal(fmt.Errorf("the store cannot become writable: %w", err))
		return
	}
	if s.options.HotBytes > 0 {
		err = k.SetHotBytes(s.options.HotBytes) // which may have changed
	}
	reader := s.current.Swap(newOpened(k))
	s.standsIn = false
	s.options.Logger.Info("the store is writable", "sessions", k.Stats().Items)
	s.openUpstream()
	time.Sleep(lateCalls)
	if err = errors.Join(err, reader.Close()); err != nil {
		s.options.Logger.Warn("leave read-only operation", "error", err)
	}
}

// fatal ends the process.
func (s *store) fatal(err error) {
	s.options.Logger.Error("the store cannot go on; exiting", "error", err)
	os.Exit(1)
}

// lendable reports why the store cannot be closed for another process now.
func (s *store) lendable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.standsIn {
		return errors.New("the store is read-only, because the disk is full: it has to become writable first")
	}
	return nil
}

// close does nothing to a store that is not open.
func (s *store) close() error { return s.end(keeper.Close) }

func (s *store) end(end func(keeper) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isOpen() {
		return nil
	}
	s.standsIn = false
	if s.control != nil {
		s.control.Wait()
	}
	s.flushes.Wait()
	s.locks.Wait()
	s.closeUpstream()
	return end(s.current.Load().keeper)
}

// isOpen reports whether the store was opened; it may have been closed since.
func (s *store) isOpen() bool { return s.current.Load() != nil }

// quiesce makes lend quick, and resume undoes it.
func (s *store) quiesce(ctx context.Context) error { return s.current.Load().Quiesce(ctx) }
func (s *store) resume()                           { s.current.Load().Resume() }

// lend closes the store for another process, perhaps for a while.
func (s *store) lend() error {
	s.away.Store(true)
	s.noteLocks(s.locks.Save(s.options.Dir))
	return s.end(leave)
}

// leave closes k as far as another process needs it to be, where it knows how.
func leave(k keeper) error {
	if k, ok := k.(interface{ Leave() error }); ok {
		return k.Leave()
	}
	return k.Close()
}

// SetHotBytes keeps its effect when the store is opened again.
func (s *store) SetHotBytes(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.current.Load().SetHotBytes(n)
	if err == nil {
		s.options.HotBytes = n
	}
	return err
}

// Subscribe is session.Observable's. Who is told is told by the next store, too.
func (s *store) Subscribe(o session.Observer) (cancel func()) {
	return s.options.Observers.Subscribe(o)
}

func (s *store) Try(b *session.Burst) bool {
	if s.control != nil {
		return s.control.Try(b)
	}
	return s.locks.Try(b)
}

// Prefetch helps a Try to come. It does nothing before the store is opened for the first
// time.
func (s *store) Prefetch(b *session.Burst) {
	if o := s.current.Load(); o != nil && o.prefetcher != nil {
		o.prefetcher.Prefetch(b)
	}
}

func (s *store) Hurry(b *session.Burst)           { s.locks.Hurry(b) }
func (s *store) Stats() session.Stats             { return s.current.Load().Stats() }
func (s *store) Forecast() []session.ForecastSlot { return s.current.Load().Forecast() }
func (s *store) Checkpoint(dir string) error      { return s.current.Load().Checkpoint(dir) }

// Now is session.Clock's, and 0 before the store is opened for the first time.
func (s *store) Now() session.Time {
	if !s.isOpen() {
		return 0
	}
	return s.current.Load().Now()
}

// Apply lets the rules for sessions apply to whatever front end or program the
// burst comes from.
func (s *store) Apply(b *session.Burst, to session.Completer) {
	s.rules.Admit(b)
	if s.control != nil {
		s.control.Apply(b, to)
		return
	}
	s.apply(b, to)
}

// apply carries out what is about no control key.
func (s *store) apply(b *session.Burst, to session.Completer) {
	if s.undo != nil && flushesNow(b, s.Now()) {
		s.keepAndApply(b, to)
		return
	}
	s.locks.Apply(b, to)
}

// Describe and Collect make the store a prometheus.Collector.
func (s *store) Describe(ch chan<- *prometheus.Desc) {
	s.declared.Describe(ch)
	s.locks.Describe(ch)
	if s.upstream != nil {
		s.upstream.Describe(ch)
	}
}

func (s *store) Collect(ch chan<- prometheus.Metric) {
	s.current.Load().Collect(ch)
	s.locks.Collect(ch)
	if s.upstream != nil {
		s.upstream.Collect(ch)
	}
}

func (s *store) ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(*session.Item) bool) error {
	return s.current.Load().ScanOwner(ctx, owner, after, values, fn)
}

func (s *store) ScanOwners(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error {
	return s.current.Load().ScanOwners(ctx, prefix, after, fn)
}

func (s *store) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	return s.current.Load().Scan(ctx, prefix, after, fn)
}
