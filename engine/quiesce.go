package engine

import (
	"context"
	"fmt"
	"time"
)

// Quiesce makes a Close soon after it quick, and an Open after that, while
// bursts go on: it lets compactions that are under way end and none begin, which
// a Close would have to wait for, settles, and waits until files that nobody needs
// are removed. On an error, such as that of ctx, the store is as before. Resume
// undoes it.
//
// A Close before Resume leaves what has come since in the log, which the next
// Open reads: to flush a few writes takes longer than to read them. With an
// external log it flushes.
func (s *Store) Quiesce(ctx context.Context) error {
	s.files.disk.Hurry()
	defer s.files.disk.Calm()
	err := s.files.disk.Quiet(ctx)
	if err == nil {
		err = s.settleFor(ctx)
	}
	if err != nil {
		s.Resume()
		return fmt.Errorf("engine: quiesce: %w", err)
	}
	s.quiet.Store(true)
	return nil
}

// Resume lets compactions run again after Quiesce.
func (s *Store) Resume() {
	s.quiet.Store(false)
	s.files.disk.Resume()
}

const (
	// quickSettle is how long a settlement may take that leaves little behind.
	quickSettle = 50 * time.Millisecond

	// settlements is how many there are at most: under heavy load none is quick.
	settlements = 5

	// removalPatience bounds how long the removal of files is waited for.
	removalPatience = 10 * time.Second
	removalPoll     = 5 * time.Millisecond
)

// settleFor settles until little can have come in the meantime.
func (s *Store) settleFor(ctx context.Context) error {
	for range settlements {
		began := time.Now()
		if err := s.Settle(); err != nil {
			return err
		}
		if err := s.awaitRemovals(ctx); err != nil {
			return err
		}
		if time.Since(began) <= quickSettle {
			break
		}
	}
	return nil
}

// awaitRemovals waits until the files are removed that flushes and compactions
// have left: Pebble does not close before. Its patience has an end, and that is no
// error.
func (s *Store) awaitRemovals(ctx context.Context) error {
	if !s.doors.enter() {
		return nil
	}
	defer s.doors.leave()
	patience := time.After(removalPatience)
	for !s.files.disk.IsTidy(s.files.db.Metrics()) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience:
			return nil
		case <-time.After(removalPoll):
		}
	}
	return nil
}

// leavesLog reports whether Close leaves what is in memory to the log.
func (s *Store) leavesLog() bool { return s.quiet.Load() && !s.options.ExternalLog }
