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

	"cairn/engine"
	"cairn/policy"
	"cairn/session"
)

// store is the engine's store as the front ends hold it. It can be closed and
// opened again under them: what they ask for meanwhile fails with
// session.ErrClosed. It is opened before anything else is called. On a full disk
// it is read-only at first, and becomes writable under them.
type store struct {
	mu      sync.Mutex // open, close, SetHotBytes
	options engine.Options
	rules   *policy.Rules
	current atomic.Pointer[engine.Store]
	away    atomic.Bool // closed, but not for good

	standsIn bool // current is read-only until promote is called; guarded by mu
}

// open opens the store; see engine.Options for justClosed.
func (s *store) open(justClosed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.options
	o.JustClosed = justClosed
	opened, err := engine.OpenSoon(o, s.promote)
	if err != nil {
		return err
	}
	s.current.Store(opened)
	s.away.Store(false)
	s.standsIn = opened.ReadOnly()
	if s.standsIn {
		o.Logger.Error("the store is read-only, since the disk does not take what has to be written first; it becomes writable by itself",
			"free", opened.Figures().Disk.Free)
	}
	return nil
}

// lateCalls is how long calls may be on their way to a store that has been
// replaced.
const lateCalls = time.Second

// promote puts the store in the place of the one that is read only, as soon as
// it is open.
func (s *store) promote(opened *engine.Store, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.standsIn { // closed meanwhile
		if err == nil {
			err = opened.Close()
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
		err = opened.SetHotBytes(s.options.HotBytes) // which may have changed
	}
	reader := s.current.Swap(opened)
	s.standsIn = false
	s.options.Logger.Info("the store is writable", "sessions", opened.Stats().Items)
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
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	opened := s.current.Load()
	if opened == nil {
		return nil
	}
	s.standsIn = false
	return opened.Close()
}

// lend closes the store for another process, perhaps for a while.
func (s *store) lend() error {
	s.away.Store(true)
	return s.close()
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

func (s *store) Try(b *session.Burst) bool        { return s.current.Load().Try(b) }
func (s *store) Now() session.Time                { return s.current.Load().Now() }
func (s *store) Stats() session.Stats             { return s.current.Load().Stats() }
func (s *store) Forecast() []session.ForecastSlot { return s.current.Load().Forecast() }
func (s *store) Checkpoint(dir string) error      { return s.current.Load().Checkpoint(dir) }

// Apply lets the rules for sessions apply to whatever front end or program the
// burst comes from.
func (s *store) Apply(b *session.Burst, to session.Completer) {
	s.rules.Admit(b)
	s.current.Load().Apply(b, to)
}

// Describe and Collect make the store a prometheus.Collector.
func (s *store) Describe(ch chan<- *prometheus.Desc) { (*engine.Store)(nil).Describe(ch) }
func (s *store) Collect(ch chan<- prometheus.Metric) { s.current.Load().Collect(ch) }

func (s *store) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	return s.current.Load().Scan(ctx, prefix, after, fn)
}
