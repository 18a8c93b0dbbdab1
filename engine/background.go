package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

const tickEvery = time.Second

// run calls f every d until ctx is done. Close waits for it.
func (s *Store) run(ctx context.Context, d time.Duration, f func(context.Context)) {
	s.background.Go(func() {
		ticker := time.NewTicker(d)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				f(ctx)
			}
		}
	})
}

// Tick does what must happen about once a second: the clock's adjustment, a
// flush that fell due without traffic, the clock's mark while nothing is
// written, a look at the free space and at what waits for compaction, and the
// removal of what flushes have made void from the cache. The store calls it
// itself unless Options.DropEvery is negative.
func (s *Store) Tick(context.Context) {
	s.watchClock(s.clock.Adjust())
	s.disk.LookAtSpace()
	if now := s.clock.Now(); s.flushIsDue(now) {
		s.advance(now)
	}
	if epoch := s.epoch.Load(); s.cleared.Swap(epoch) != epoch {
		s.hot.clear()
	}
	if s.enter() {
		defer s.leave()
		s.disk.Look(s.db.Metrics())
		s.mark(session.Time(s.seen.Load()))
	}
}

// watchClock logs when the wall clock and the store's begin or cease to differ
// by more than a minute.
func (s *Store) watchClock(ahead time.Duration) {
	off := ahead.Abs() > time.Minute
	if s.clockOff.Swap(off) == off {
		return
	}
	if off {
		s.options.Logger.Warn("the wall clock differs from the store's, by which sessions expire", "ahead", ahead)
	} else {
		s.options.Logger.Info("the wall clock and the store's agree again")
	}
}

// mark persists that the clock has reached now, so that what has been seen to
// be expired stays so after a crash. Writes carry the clock along; this is for
// when there are none. The store is open.
func (s *Store) mark(now session.Time) {
	if s.marked.Load() >= int64(now) || s.options.ExternalLog {
		return // entries of the log carry its clock
	}
	batch := s.db.NewBatch()
	ledger := record.Ledger{Now: now, Version: s.ledger.version.Load()}
	err := batch.Merge(record.LedgerKey, ledger.Append(nil), nil)
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	if err != nil {
		s.fatal(fmt.Errorf("engine: persist the clock: %w", err))
		return
	}
	s.noteMark(now)
	s.closeBatch(batch)
}

// noteMark notes that an applied batch carries now.
func (s *Store) noteMark(now session.Time) {
	for {
		marked := s.marked.Load()
		if int64(now) <= marked || s.marked.CompareAndSwap(marked, int64(now)) {
			return
		}
	}
}

// dropper removes dead buckets.
type dropper struct {
	// notBefore holds the first sweep back after a suspicious start; 0: it
	// does not.
	notBefore session.Time
}

// suspicious is the jump of the clock at a start from which on the first sweep
// waits: drops cannot be undone, and the clock may be wrong.
const suspicious = 24 * time.Hour

// judge looks at how far the clock is ahead of where the store had stopped.
func (d *dropper) judge(s *Store, jump time.Duration) {
	switch logger := s.options.Logger; {
	case jump > suspicious:
		d.notBefore = s.clock.Now().Add(s.options.DropGrace)
		logger.Warn("the clock is far ahead of where the store had stopped; expired sessions stay on disk for a while",
			"ahead", jump, "grace", s.options.DropGrace)
	case jump < -time.Minute:
		logger.Warn("the wall clock is behind where the store had stopped; sessions live longer than they should",
			"behind", -jump)
	}
}

func (s *Store) sweep(ctx context.Context) {
	if err := s.DropExpired(ctx); err != nil && ctx.Err() == nil {
		s.options.Logger.Error("drop expired sessions", "error", err)
	}
}

// flush moves what is in memtables into tables, as far as it gets before ctx is
// done: on a full disk it gets nowhere.
func (s *Store) flush(ctx context.Context) error {
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sweepClock is the instant up to which buckets may be dropped, which no later
// write is before.
func (s *Store) sweepClock() session.Time {
	if s.options.ExternalLog {
		return s.replayed.clock()
	}
	return s.see(s.clock.Now())
}

// DropExpired removes the buckets whose deadline has passed from the disk. The
// store calls it itself unless Options.DropEvery is negative.
//
// Nothing needs to be locked against it. Whoever still works with an earlier
// instant may write into a dead bucket, but only what has expired by now; it
// names the bucket again, so the next sweep takes it away.
func (s *Store) DropExpired(ctx context.Context) error {
	if !s.enter() {
		return session.ErrClosed
	}
	defer s.leave()
	now := s.sweepClock()
	if s.drops.notBefore > now {
		return nil
	}
	last := ttl.LastDead(now)
	if list := s.buckets.all(); len(list) == 0 || list[len(list)-1] > last {
		return nil
	}
	s.mark(now)
	// Excise holds up all commits if it meets its keys in a memtable. And it is
	// durable at once: with an external log, what is replayed after a crash must
	// find the buckets that it found the first time, so all entries up to now
	// must be in tables before.
	if err := s.flush(ctx); err != nil {
		return fmt.Errorf("engine: drop buckets: %w", err)
	}
	for _, space := range record.Bucketed() {
		start, _ := space.Bounds()
		span := pebble.KeyRange{Start: start, End: space.AppendBucketEnd(nil, last)}
		if err := s.db.Excise(ctx, span); err != nil {
			return fmt.Errorf("engine: drop buckets: %w", err)
		}
	}
	s.counts.dropped.Add(int64(s.buckets.remove(last)))
	return nil
}
