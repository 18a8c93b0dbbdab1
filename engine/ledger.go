package engine

import (
	"sync"
	"sync/atomic"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// ledger is the store's own figures in memory, equal to what the stored
// record.Ledger will be once all batches applied so far are merged.
type ledger struct {
	version atomic.Uint64 // the highest handed out

	mu      sync.Mutex
	state   record.Ledger // its Version is not kept up to date
	items   int64         // sums over all slots
	bytes   int64
	expired int64 // items whose minute passed
}

func (l *ledger) nextVersion() uint64 { return l.version.Add(1) }

// load takes over what was stored.
func (l *ledger) load(stored *record.Ledger) {
	l.version.Store(stored.Version)
	l.state = *stored
	l.items, l.bytes = 0, 0
	for _, s := range stored.Slots {
		l.items += s.Items
		l.bytes += s.Bytes
	}
}

// add takes over what a batch merges into the stored ledger, or sets in its
// place if fresh.
func (l *ledger) add(delta *record.Ledger, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fresh {
		l.state.Slots = l.state.Slots[:0]
		l.items, l.bytes = 0, 0
	}
	l.advance(delta.Now)
	for _, s := range delta.Slots {
		if s.Minute >= ttl.Minute(l.state.Now) {
			l.state.Count(s.Minute, s.Items, s.Bytes)
			l.items += s.Items
			l.bytes += s.Bytes
		}
	}
}

// advance lets go of the minutes that have passed at now.
func (l *ledger) advance(now session.Time) {
	if now <= l.state.Now {
		return
	}
	items, bytes := l.state.Advance(now)
	l.items -= items
	l.bytes -= bytes
	l.expired += items
}

// totals gives the live items and bytes at now, and the items expired so far.
func (l *ledger) totals(now session.Time) (items, bytes, expired int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	return l.items, l.bytes, l.expired
}

// forecast gives what expires in which minute after now.
func (l *ledger) forecast(now session.Time) []session.ForecastSlot {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	var slots []session.ForecastSlot
	for _, s := range l.state.Slots {
		if s.Items != 0 {
			slots = append(slots, session.ForecastSlot{
				From: ttl.MinuteStart(s.Minute), Items: s.Items, Bytes: s.Bytes,
			})
		}
	}
	return slots
}
