package engine

import (
	"log/slog"
	"sync/atomic"
	"time"

	"cairn/session"
	"cairn/ttl"
)

// horizon is how far the store has come in time. Its fields may be read and moved
// by anybody at any time; none of them ever moves back.
type horizon struct {
	clock  *ttl.Clock
	seen   atomic.Int64 // the latest instant of any burst or sweep
	marked atomic.Int64 // the latest instant in an applied batch: what a crash leaves
	off    atomic.Bool  // the wall clock differs
}

// now is the store's logical clock.
func (h *horizon) now() session.Time { return max(h.clock.Now(), h.latest()) }

// latest is the latest instant ever noted.
func (h *horizon) latest() session.Time { return session.Time(h.seen.Load()) }

// see notes that the clock has reached now and returns the latest instant ever
// noted.
func (h *horizon) see(now session.Time) session.Time { return later(&h.seen, now) }

// noteMark notes that an applied batch carries now.
func (h *horizon) noteMark(now session.Time) { later(&h.marked, now) }

// hasMarked reports whether a crash leaves an instant that is not before now.
func (h *horizon) hasMarked(now session.Time) bool { return h.marked.Load() >= int64(now) }

// later makes the instant now, unless it is later already, and returns it.
func later(instant *atomic.Int64, now session.Time) session.Time {
	for {
		old := instant.Load()
		if int64(now) <= old {
			return session.Time(old)
		}
		if instant.CompareAndSwap(old, int64(now)) {
			return now
		}
	}
}

// watch lets the clock follow the wall clock, and logs when the two begin or cease
// to differ by more than a minute.
func (h *horizon) watch(logger *slog.Logger) {
	ahead := h.clock.Adjust()
	off := ahead.Abs() > time.Minute
	if h.off.Swap(off) == off {
		return
	}
	if off {
		logger.Warn("the wall clock differs from the store's, by which sessions expire", "ahead", ahead)
	} else {
		logger.Info("the wall clock and the store's agree again")
	}
}
