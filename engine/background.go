package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

const tickEvery = time.Second

// run calls f every d until ctx is done. Close waits for it.
func (s *Store) run(ctx context.Context, d time.Duration, f func(context.Context)) {
	s.background.running.Go(func() {
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
	s.horizon.watch(s.options.Logger)
	s.files.disk.LookAtSpace()
	s.files.disk.TakeBallast()
	if now := s.horizon.clock.Now(); s.flushIsDue(now) {
		s.advance(now)
	}
	if s.flushes.mustClear() {
		s.memory.hot.clear()
	}
	if s.doors.enter() {
		defer s.doors.leave()
		if s.files.disk.Look(s.files.db.Metrics()) {
			_, _ = s.files.db.AsyncFlush() // that it failed Pebble tells
		}
		s.mark(s.horizon.latest())
	}
}

// mark persists that the clock has reached now, so that what has been seen to
// be expired stays so after a crash. Writes carry the clock along; this is for
// when there are none. The store is open.
func (s *Store) mark(now session.Time) {
	if s.writeMark(now, pebble.Sync) {
		s.horizon.noteMark(now)
	}
}

// markSoon is mark, but the mark is durable only when the log is synced the next
// time, as it is before a write is acknowledged that awaits the log.
func (s *Store) markSoon(now session.Time) { s.writeMark(now, pebble.NoSync) }

// writeMark writes the mark, and reports whether it had to.
func (s *Store) writeMark(now session.Time, how *pebble.WriteOptions) bool {
	if s.horizon.hasMarked(now) || s.options.ExternalLog {
		return false // entries of the log carry its clock
	}
	if s.frozen() {
		return false // only reads are answered, and what they saw to be expired stays so until a crash
	}
	batch := s.files.db.NewBatch()
	ledger := record.Ledger{Now: now, Version: s.memory.ledger.version.Load()}
	err := batch.Merge(record.LedgerKey, ledger.Append(nil), nil)
	if err == nil {
		err = batch.Commit(how)
	}
	if err != nil {
		s.fatal(fmt.Errorf("engine: persist the clock: %w", err))
		return false
	}
	s.closeBatch(batch)
	return true
}

// background is what happens without a request.
type background struct {
	stop    context.CancelFunc // ends it
	running sync.WaitGroup
	drops   dropper
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
		d.notBefore = s.horizon.clock.Now().Add(s.options.DropGrace)
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

// sweepClock is the instant up to which buckets may be dropped, which no later
// write is before.
func (s *Store) sweepClock() session.Time {
	if s.options.ExternalLog {
		return s.replayed.clock()
	}
	return s.horizon.see(s.horizon.clock.Now())
}

// DropExpired removes the buckets whose deadline has passed from the disk. The
// store calls it itself unless Options.DropEvery is negative.
//
// Nothing needs to be locked against it. Whoever still works with an earlier
// instant may write into a dead bucket, but only what has expired by now; it
// names the bucket again, so the next sweep takes it away.
func (s *Store) DropExpired(ctx context.Context) error {
	if s.options.ReadOnly {
		return nil
	}
	if !s.doors.enter() {
		return session.ErrClosed
	}
	defer s.doors.leave()
	now := s.sweepClock()
	if s.background.drops.notBefore > now {
		return nil
	}
	last := ttl.LastDead(now)
	if list := s.memory.buckets.all(); len(list) == 0 || list[len(list)-1] > last {
		return nil
	}
	s.mark(now)
	// Excise holds up all commits if it meets its keys in a memtable. And it is
	// durable at once: with an external log, what is replayed after a crash must
	// find the buckets that it found the first time, so all entries up to now
	// must be in tables before.
	if err := s.files.flush(ctx); err != nil {
		return fmt.Errorf("engine: drop buckets: %w", err)
	}
	for _, space := range s.bucketed() {
		start, _ := space.Bounds()
		span := pebble.KeyRange{Start: start, End: space.AppendBucketEnd(nil, last)}
		if err := s.files.db.Excise(ctx, span); err != nil {
			return fmt.Errorf("engine: drop buckets: %w", err)
		}
	}
	s.counts.dropped.Add(int64(s.memory.buckets.remove(last)))
	s.tellSwept(last.Deadline())
	return nil
}
