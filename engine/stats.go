package engine

import (
	"sync/atomic"

	"cairn/session"
)

// counts are the store's counters since it was opened.
type counts struct {
	stored, flushes         atomic.Int64
	commits, commitErrors   atomic.Int64
	dropped                 atomic.Int64
	readErrors, corruptions atomic.Int64
	userWritten             atomic.Int64
}

// Forecast says how many live items and bytes expire in which minute, ascending;
// what never expires is in one slot with From == session.Never.
func (s *Store) Forecast() []session.ForecastSlot { return s.ledger.forecast(s.Now()) }
