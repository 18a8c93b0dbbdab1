// Package engine is the durable session.Store. It keeps sessions in Pebble,
// grouped into buckets by the time they expire; DESIGN.md says why.
//
// Try answers reads from the cache. What it cannot answer goes through three
// stations, none of which a burst waits at on its caller's time: fetchers read
// from the disk what memory does not have (fetch.go); appliers merge what waits
// into one Pebble batch, by taking the locks of its keys, running the commands,
// building the batch, applying it, and sharing the new state in the cache
// (queue.go, apply.go); and one goroutine waits for the log and completes the
// bursts (complete.go).
package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"cairn/session"
)

// Store is a durable session.Store and the session.Clock that goes with it.
type Store struct {
	options Options
	files   files
	memory  memory

	horizon  horizon
	flushes  flushes
	doors    doors
	stations stations
	tickets  tickets

	compression compression
	replayed    replayed // only with Options.ExternalLog
	counts      counts
	background  background
	quiet       atomic.Bool // by Quiesce
}

var (
	_ session.Store = (*Store)(nil)
	_ session.Clock = (*Store)(nil)

	_ session.Observable = (*Store)(nil)
)

// Now is the store's logical clock. It never decreases, not even across
// restarts.
func (s *Store) Now() session.Time { return s.horizon.now() }

// writeClock is the instant that writes would have by now.
func (s *Store) writeClock() session.Time {
	if s.options.ExternalLog {
		return s.replayed.clock()
	}
	return s.Now()
}

// readClock is the instant of readers that bring none. With an external log no
// reader may be ahead of what callers know of its clock.
func (s *Store) readClock() session.Time {
	if s.options.ExternalLog {
		return s.horizon.latest()
	}
	return s.advance(s.horizon.clock.Now())
}

// fatal ends the process, because to go on could break a promise.
func (s *Store) fatal(err error) { s.options.Fatal(err) }

// Close ends the background work, waits for the bursts that are being applied or
// fetched for, and makes everything durable. All bursts that Apply has got are
// complete when it returns. After Quiesce it leaves the latest writes in the log.
// Commands that come later fail with session.ErrClosed, as may those that still wait. A
// second Close does nothing.
func (s *Store) Close() error { return s.end(s.files.release) }

// Leave is Close for a process that has nothing to do with the store any more: it returns
// when another one may open it, while the memory and the open files of tables are still
// given back. After Quiesce that is much earlier.
func (s *Store) Leave() error { return s.end(s.files.leave) }

func (s *Store) end(release func() error) error {
	s.background.stop()
	// What waits for space until then was not acknowledged.
	defer time.AfterFunc(closePatience, s.files.disk.GiveUp).Stop()
	s.background.running.Wait()
	s.files.disk.Hurry()
	defer s.files.disk.Calm()
	settle := !s.leavesLog()
	var err error
	if settle {
		err = s.Settle() // while bursts go on
	}
	s.stations.close()
	s.doors.life.Lock()
	defer s.doors.life.Unlock()
	s.doors.gate.Lock()
	defer s.doors.gate.Unlock()
	if s.doors.closed.Swap(true) {
		return nil
	}
	s.markSoon(s.Now()) // which what comes next makes durable
	if Invariants {
		s.checkNewest()
	}
	if settle {
		err = errors.Join(err, s.settle())
	}
	err = errors.Join(err, release())
	if s.options.ReadOnly && s.options.standIn != nil {
		s.options.standIn.end()
	}
	return err
}

// Settle moves what is only in memory and in the log into tables. A Close soon
// after it is quick, and so is an Open soon after that: there is no log to
// replay.
func (s *Store) Settle() error {
	if !s.doors.enter() {
		return nil
	}
	defer s.doors.leave()
	return s.settle()
}

// patience is how long Settle and Close wait for tables to be written. What is
// not in tables by then is in the log.
const patience = 10 * time.Second

// shortPatience is how long, if tables could not be written lately.
const shortPatience = time.Second

// closePatience is how long Close waits for a full disk that does not even take
// the end of the log.
const closePatience = patience + 5*time.Second

func (s *Store) settle() error {
	if s.options.ReadOnly {
		return nil
	}
	wait := patience
	if s.files.disk.Short() {
		wait = shortPatience
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	s.files.disk.Hurry()
	defer s.files.disk.Calm()
	if err := s.files.flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.options.Logger.Warn("what is in memory could not be written into tables; the log has it")
	return nil
}
