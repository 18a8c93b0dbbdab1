package engine

import (
	"sync/atomic"

	"cairn/session"
)

// flushes are the flush that is to come and those that were. Who carries one out
// holds the gate alone; everybody may read.
type flushes struct {
	at     atomic.Int64  // of the pending flush; session.Never: none
	ticket atomic.Uint64 // the batch of the last flush

	// epoch counts flushes. What the cache has from an earlier epoch is void;
	// cleared is the epoch up to which it was removed.
	epoch   atomic.Uint32
	cleared atomic.Uint32
}

// PendingFlush returns the instant at which the store will be emptied, session.Never if
// no flush is pending. One that is due is pending until a burst comes.
func (s *Store) PendingFlush() session.Time { return session.Time(s.flushes.at.Load()) }

// plan makes at the instant of the pending flush.
func (f *flushes) plan(at session.Time) { f.at.Store(int64(at)) }

// due reports whether the pending flush has to be carried out at now.
func (f *flushes) due(now session.Time) bool { return f.at.Load() <= int64(now) }

// flushed notes that the batch of that ticket has emptied the store, and returns
// the epoch that begins.
func (f *flushes) flushed(ticket uint64) (epoch uint32) {
	f.ticket.Store(ticket)
	return f.epoch.Add(1)
}

// mustClear reports whether the cache may hold what a flush has made void, once
// for each flush.
func (f *flushes) mustClear() bool {
	epoch := f.epoch.Load()
	return f.cleared.Swap(epoch) != epoch
}
