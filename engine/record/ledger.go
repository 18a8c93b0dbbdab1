package record

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"cairn/session"
	"cairn/ttl"
)

// Ledger is what a store must know about itself after a restart: how far its
// clock and its versions have come, and how many items and bytes expire in
// which minute. Each committed burst merges its own Ledger into the stored one.
//
// Merging takes the later clock, the higher version, position and base, and the
// sum of the slots, so the order of the merges does not matter. Slots of minutes
// before the clock are gone in the result.
type Ledger struct {
	Now     session.Time
	Version uint64 // the highest ever handed out
	Slots   []Slot // ascending by Minute, each Minute once

	// Applied is the last entry of a log, kept outside of the store, whose
	// effect is in the store; the zero Position: there is no such log. Base is
	// where the versions of that log's entries begin.
	Applied Position
	Base    uint64
}

// Position is the place of an entry in a log. Index ascends from 1 on; Term
// says under whose lead the entry was written.
type Position struct {
	Index uint64
	Term  uint64
}

// Slot counts what expires within one minute since the Unix epoch, or changes
// that count. Minute is ttl.NeverMinute for what does not expire.
type Slot struct {
	Minute int64
	Items  int64
	Bytes  int64
}

// The first byte of a stored Ledger: without and with Applied and Base.
const (
	kindLedger       = 0x41
	kindLoggedLedger = 0x42
)

// neverSlot stands for ttl.NeverMinute; other minutes are stored as their
// distance from the minute of Now, plus one.
const neverSlot = 0

// Count adds to the slot of minute m, unless m is before the ledger's clock:
// what has expired is not counted.
func (l *Ledger) Count(m, items, bytes int64) {
	if m < ttl.Minute(l.Now) {
		return
	}
	i, found := slices.BinarySearchFunc(l.Slots, Slot{Minute: m}, byMinute)
	if !found {
		l.Slots = slices.Insert(l.Slots, i, Slot{Minute: m})
	}
	l.Slots[i].Items += items
	l.Slots[i].Bytes += bytes
}

// Advance moves the clock to now, which must not be earlier, and gives the sum
// of the slots that it left behind.
func (l *Ledger) Advance(now session.Time) (items, bytes int64) {
	l.Now = now
	first := ttl.Minute(now)
	n := 0
	for n < len(l.Slots) && l.Slots[n].Minute < first {
		items += l.Slots[n].Items
		bytes += l.Slots[n].Bytes
		n++
	}
	if n > 0 {
		l.Slots = slices.Delete(l.Slots, 0, n)
	}
	return items, bytes
}

// Append appends the stored form of the ledger to dst. Slots that change
// nothing are left out.
func (l *Ledger) Append(dst []byte) []byte {
	kind := byte(kindLedger)
	if l.logged() {
		kind = kindLoggedLedger
	}
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, l.Version)
	dst = binary.AppendUvarint(dst, uint64(l.Now))
	if l.logged() {
		dst = binary.AppendUvarint(dst, l.Applied.Index)
		dst = binary.AppendUvarint(dst, l.Applied.Term)
		dst = binary.AppendUvarint(dst, l.Base)
	}
	first := ttl.Minute(l.Now)
	for _, s := range l.Slots {
		if s.Items == 0 && s.Bytes == 0 {
			continue
		}
		distance := uint64(neverSlot)
		if s.Minute != ttl.NeverMinute {
			distance = uint64(s.Minute-first) + 1
		}
		dst = binary.AppendUvarint(dst, distance)
		dst = binary.AppendVarint(dst, s.Items)
		dst = binary.AppendVarint(dst, s.Bytes)
	}
	return dst
}

func (l *Ledger) logged() bool { return l.Applied != Position{} || l.Base != 0 }

// A LedgerSum merges ledgers in time that grows with their slots, not with the
// square of it: sessions that live for a year expire in half a million minutes.
// The zero LedgerSum is ready for use.
type LedgerSum struct {
	sum    Ledger // its slots in any order, minutes repeated
	tidied int    // slots there were after the last tidy
}

// fewSlots are not worth a tidy.
const fewSlots = 1024

// Add merges l into the sum. It does not keep l.
func (s *LedgerSum) Add(l *Ledger) {
	s.sum.Now = max(s.sum.Now, l.Now)
	s.sum.Version = max(s.sum.Version, l.Version)
	s.sum.Base = max(s.sum.Base, l.Base)
	if l.Applied.Index > s.sum.Applied.Index {
		s.sum.Applied = l.Applied
	}
	s.sum.Slots = append(s.sum.Slots, l.Slots...)
	if len(s.sum.Slots) > 2*s.tidied+fewSlots {
		s.tidy()
	}
}

// Ledger returns the sum, which the caller must not change.
func (s *LedgerSum) Ledger() *Ledger {
	s.tidy()
	return &s.sum
}

// tidy makes of the slots what a Ledger wants.
func (s *LedgerSum) tidy() {
	first := ttl.Minute(s.sum.Now)
	slots := slices.DeleteFunc(s.sum.Slots, func(s Slot) bool { return s.Minute < first })
	slices.SortFunc(slots, byMinute)
	n := 0
	for _, slot := range slots {
		if n > 0 && slots[n-1].Minute == slot.Minute {
			slots[n-1].Items += slot.Items
			slots[n-1].Bytes += slot.Bytes
			continue
		}
		slots[n] = slot
		n++
	}
	s.sum.Slots, s.tidied = slots[:n], n
}

func byMinute(a, b Slot) int { return cmp.Compare(a.Minute, b.Minute) }

var errLedger = fmt.Errorf("%w: ledger", ErrCorrupt)

// DecodeLedger reads the stored form of a ledger.
func DecodeLedger(value []byte) (*Ledger, error) {
	if len(value) == 0 || value[0] != kindLedger && value[0] != kindLoggedLedger {
		return nil, errLedger
	}
	r := varints{rest: value[1:]}
	l := &Ledger{Version: r.unsigned(), Now: session.Time(r.unsigned())}
	if value[0] == kindLoggedLedger {
		l.Applied = Position{Index: r.unsigned(), Term: r.unsigned()}
		l.Base = r.unsigned()
	}
	first := ttl.Minute(l.Now)
	for len(r.rest) > 0 && !r.bad {
		s := Slot{Minute: ttl.NeverMinute}
		if distance := r.unsigned(); distance != neverSlot {
			s.Minute = first + int64(distance-1)
		}
		s.Items, s.Bytes = r.signed(), r.signed()
		l.Slots = append(l.Slots, s)
	}
	if r.bad || l.Now < 0 {
		return nil, errLedger
	}
	slices.SortFunc(l.Slots, byMinute)
	return l, nil
}

// varints reads numbers from the front of rest; bad says that it met none.
type varints struct {
	rest []byte
	bad  bool
}

func (r *varints) unsigned() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

func (r *varints) signed() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

func (r *varints) skip(n int) {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return
	}
	r.rest = r.rest[n:]
}
