package engine

import (
	"sync/atomic"

	"cairn/figures"
	"cairn/session"
)

// counts are the store's counters since it was opened.
type counts struct {
	stored, flushes         atomic.Int64
	commits, commitErrors   atomic.Int64
	dropped, deferred       atomic.Int64
	readErrors, corruptions atomic.Int64
	userWritten, identical  atomic.Int64
	commitTimes             figures.Histogram
}

// Forecast says how many live items and bytes expire in which minute, ascending;
// what never expires is in one slot with From == session.Never.
func (s *Store) Forecast() []session.ForecastSlot { return s.memory.ledger.forecast(s.writeClock()) }

// SetHotBytes changes Options.HotBytes while the store runs. Sessions that no
// longer fit leave memory, not the disk. It is an error if the store was opened
// without a cache.
func (s *Store) SetHotBytes(n int64) error { return s.memory.hot.resize(n) }

// Stats returns what every store knows of itself.
func (s *Store) Stats() session.Stats {
	items, bytes, expired := s.memory.ledger.totals(s.writeClock())
	return session.Stats{
		Items:      items,
		Bytes:      bytes,
		TotalItems: s.counts.stored.Load(),
		Expired:    expired,
		Flushes:    s.counts.flushes.Load(),
		Hot:        s.memory.hot.stats(),
		Stalled:    s.files.disk.Figures().Stalled,
		OutOfSpace: s.files.disk.Low(),
		ReadOnly:   s.frozen(),
	}
}
