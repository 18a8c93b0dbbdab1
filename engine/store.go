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
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/compress"
	"cairn/engine/disk"
	"cairn/session"
	"cairn/ttl"
)

// Store is a durable session.Store and the session.Clock that goes with it.
type Store struct {
	options Options
	lock    *pebble.Lock
	log     batchLog
	db      *pebble.DB
	cache   *pebble.Cache
	disk    *disk.Disk

	features inUse
	clock    *ttl.Clock

	// life is held shared by whoever uses Pebble for longer than a burst does,
	// and alone to close; see enter. It is taken before gate.
	life sync.RWMutex

	// gate is held shared by each batch while it is made and applied, never
	// while waiting for a sync, and alone, briefly, to flush and to close. It is
	// taken before stripes.
	gate     sync.RWMutex
	closed   atomic.Bool
	flushing atomic.Bool // the gate is held to flush

	queue    queue
	appliers sync.WaitGroup
	fetchers fetchers
	commits  commits
	awaiting sync.WaitGroup // awaitCommits

	stripes stripes
	hot     *hotEntries
	buckets bucketList
	ledger  ledger

	values       *compress.Values
	dictionaries *compress.Dictionaries // with an external log, under replayed.mu
	replayed     replayed               // only with Options.ExternalLog

	seen        atomic.Int64  // the latest instant of any burst or sweep
	marked      atomic.Int64  // the latest instant in an applied batch
	flushAt     atomic.Int64  // the pending flush; session.Never: none
	flushTicket atomic.Uint64 // the last flush
	epoch       atomic.Uint32 // counts flushes
	cleared     atomic.Uint32 // the epoch that the cache was last cleared for
	clockOff    atomic.Bool   // the wall clock differs

	applied  atomic.Uint64 // batches up to this ticket are visible
	durable  atomic.Uint64 // batches up to this ticket are on the disk
	unsynced atomic.Bool   // batches were applied that nobody waits for

	counts counts
	drops  dropper

	stop       context.CancelFunc // ends the background work
	background sync.WaitGroup
}

var (
	_ session.Store = (*Store)(nil)
	_ session.Clock = (*Store)(nil)
)

// Now is the store's logical clock. It never decreases, not even across
// restarts.
func (s *Store) Now() session.Time {
	return max(s.clock.Now(), session.Time(s.seen.Load()))
}

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
		return session.Time(s.seen.Load())
	}
	return s.advance(s.clock.Now())
}

// fatal ends the process, because to go on could break a promise.
func (s *Store) fatal(err error) { s.options.Fatal(err) }

// Close ends the background work, waits for the bursts that are being applied or
// fetched for, and makes everything durable. All bursts that Apply has got are
// complete when it returns. Commands that come later fail with
// session.ErrClosed, as may those that still wait. A second Close does nothing.
func (s *Store) Close() error {
	s.stop()
	s.background.Wait()
	s.disk.Hurry()
	err := s.Settle() // while bursts go on
	s.endWork()
	s.life.Lock()
	defer s.life.Unlock()
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed.Swap(true) {
		return nil
	}
	s.mark(s.Now())
	if Invariants {
		s.checkNewest()
	}
	return errors.Join(err, s.settle(), s.release())
}

// beginWork starts those who carry out bursts.
func (s *Store) beginWork() {
	s.queue.init()
	s.commits.init()
	s.fetchers.limit, s.fetchers.fetch = s.options.Fetches, s.fetch
	for range min(runtime.GOMAXPROCS(0), maxAppliers) {
		s.appliers.Go(s.applyWaiting)
	}
	s.awaiting.Go(s.awaitCommits)
}

// endWork completes all bursts and lets no more in. Those that wait for a fetch
// are refused. Each station ends before the one that it passes bursts on to.
func (s *Store) endWork() {
	s.fetchers.close()
	s.queue.close()
	s.appliers.Wait()
	s.commits.close()
	s.awaiting.Wait()
}

// Settle moves what is only in memory and in the log into tables. A Close soon
// after it is quick, and so is an Open soon after that: there is no log to
// replay.
func (s *Store) Settle() error {
	if !s.enter() {
		return nil
	}
	defer s.leave()
	return s.settle()
}

// patience is how long Settle and Close wait for tables to be written. What is
// not in tables by then is in the log.
const patience = 10 * time.Second

func (s *Store) settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.disk.Hurry()
	defer s.disk.Calm()
	if err := s.flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.options.Logger.Warn("what is in memory could not be written into tables; the log has it")
	return nil
}

// enter keeps the store open until leave, or reports that it is closed.
func (s *Store) enter() bool {
	s.life.RLock()
	if s.closed.Load() {
		s.life.RUnlock()
		return false
	}
	return true
}

func (s *Store) leave() { s.life.RUnlock() }

// release closes what Open opened.
func (s *Store) release() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	if s.cache != nil {
		s.cache.Unref()
	}
	if closeErr := s.lock.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("engine: release the lock: %w", closeErr))
	}
	return err
}
