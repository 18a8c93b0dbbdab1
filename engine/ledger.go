package engine

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// ledger is the store's own figures in memory, equal to what the stored
// record.Ledger will be once all batches applied so far are merged.
type ledger struct {
	version atomic.Uint64 // the highest handed out

	mu      sync.Mutex
	now     session.Time
	days    map[int64]*record.Ledger // the slots, a day of them each; see dayOf
	items   int64                    // sums over all slots
	bytes   int64
	expired int64 // items whose minute passed
}

// dayOf numbers days since the Unix epoch. A new slot moves those of its own
// day at most: sessions may expire in any minute of a hundred years.
func dayOf(minute int64) int64 { return minute / (24 * 60) }

// reserve takes n versions, to be given to items in any order, and returns the
// first.
func (l *ledger) reserve(n int) uint64 { return l.version.Add(uint64(n)) - uint64(n) + 1 }

// load takes over what was stored.
func (l *ledger) load(stored *record.Ledger) {
	l.version.Store(stored.Version)
	l.now, l.days = stored.Now, make(map[int64]*record.Ledger)
	l.items, l.bytes = 0, 0
	for _, slot := range stored.Slots {
		l.count(slot)
	}
}

// add takes over what a batch merges into the stored ledger, or sets in its
// place if fresh. In builds with Invariants it returns what is wrong afterwards.
func (l *ledger) add(delta *record.Ledger, fresh bool) (wrong string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fresh {
		clear(l.days)
		l.items, l.bytes = 0, 0
	}
	l.advance(delta.Now)
	for _, slot := range delta.Slots {
		if slot.Minute >= ttl.Minute(l.now) {
			l.count(slot)
		}
	}
	if Invariants {
		return l.check(delta.Slots)
	}
	return ""
}

// count adds a slot whose minute has not passed.
func (l *ledger) count(slot record.Slot) {
	day := l.days[dayOf(slot.Minute)]
	if day == nil {
		day = new(record.Ledger)
		l.days[dayOf(slot.Minute)] = day
	}
	day.Count(slot.Minute, slot.Items, slot.Bytes)
	l.items += slot.Items
	l.bytes += slot.Bytes
}

// advance drops the minutes that have passed at now.
func (l *ledger) advance(now session.Time) {
	if now <= l.now {
		return
	}
	today := dayOf(ttl.Minute(now))
	if dayOf(ttl.Minute(l.now)) != today {
		for number, day := range l.days {
			if number < today {
				l.expire(day, now)
				delete(l.days, number)
			}
		}
	}
	if day := l.days[today]; day != nil {
		l.expire(day, now)
	}
	l.now = now
}

// expire drops the minutes of a day that have passed at now.
func (l *ledger) expire(day *record.Ledger, now session.Time) {
	items, bytes := day.Advance(now)
	l.items -= items
	l.bytes -= bytes
	l.expired += items
}

// slots returns all slots, ascending.
func (l *ledger) slots() (slots []record.Slot) {
	for _, number := range slices.Sorted(maps.Keys(l.days)) {
		slots = append(slots, l.days[number].Slots...)
	}
	return slots
}

// totals returns the live items and bytes at now, and the items expired so far.
func (l *ledger) totals(now session.Time) (items, bytes, expired int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	return l.items, l.bytes, l.expired
}

// digest returns the highest version and a hash of the slots at now. It does not
// depend on the order of the days.
func (l *ledger) digest(now session.Time) (version, slots uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	var text []byte
	for _, day := range l.days {
		text = text[:0]
		for _, s := range day.Slots {
			if s.Items == 0 && s.Bytes == 0 {
				continue
			}
			for _, n := range []int64{s.Minute, s.Items, s.Bytes} {
				text = binary.LittleEndian.AppendUint64(text, uint64(n))
			}
		}
		if len(text) > 0 {
			slots += xxh3.Hash(text)
		}
	}
	return l.version.Load(), slots
}

// forecast returns what expires in which minute after now.
func (l *ledger) forecast(now session.Time) []session.ForecastSlot {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	var slots []session.ForecastSlot
	for _, s := range l.slots() {
		if s.Items != 0 {
			slots = append(slots, session.ForecastSlot{
				From: ttl.MinuteStart(s.Minute), Items: s.Items, Bytes: s.Bytes,
			})
		}
	}
	return slots
}
