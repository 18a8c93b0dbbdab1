// Package seen remembers which sessions a client has seen alive, so that it cannot
// store one again that was removed since: its write depends on the session that it
// saw (see session.IfBorn).
//
// Keys are known by a hash of 64 bits. Tables are bounded; what they have no room
// for is not remembered, and protected less.
package seen

import (
	"encoding/binary"

	"cairn/session"
)

// ways is how many entries a key may stand in.
const ways = 8

// MaxEntries is how many sessions a Table remembers at most.
const MaxEntries = 4096

// entry says that a session was seen, or, with a Born of 0, that it was missed.
type entry struct {
	key, born  uint64
	generation uint64       // of a miss; see Peers
	until      session.Time // the entry is free from then on
}

// Table is what one client has seen. The zero Table is empty. It is not safe for
// concurrent use.
type Table struct {
	entries []entry // a power of 2 of them, at least ways
}

// Remember notes that the session with the given key, which began at born, is
// alive. The table knows that until the given instant.
func (t *Table) Remember(key, born uint64, until, now session.Time) {
	if until <= now {
		t.Forget(key)
		return
	}
	*t.place(key, now) = entry{key: key, born: born, until: until}
}

// Forget makes the table know nothing of a key.
func (t *Table) Forget(key uint64) {
	if e := t.find(key); e != nil {
		*e = entry{}
	}
}

// Born returns when the session with that key began, as it was seen last.
func (t *Table) Born(key uint64, now session.Time) (born uint64, ok bool) {
	e := t.find(key)
	if e == nil || e.until <= now || e.born == 0 {
		return 0, false
	}
	return e.born, true
}

// Clear makes the table empty.
func (t *Table) Clear() { t.entries = nil }

// set returns the entries that a key may stand in.
func (t *Table) set(key uint64) []entry {
	if len(t.entries) == 0 {
		return nil
	}
	first := int(key&uint64(len(t.entries)/ways-1)) * ways
	return t.entries[first : first+ways]
}

func (t *Table) find(key uint64) *entry {
	set := t.set(key)
	for i := range set {
		if set[i].key == key && set[i].until != 0 {
			return &set[i]
		}
	}
	return nil
}

// place returns the entry for a key: its own, a free one, or the one that ends
// first. The table grows if that helps.
func (t *Table) place(key uint64, now session.Time) *entry {
	for {
		if e := t.find(key); e != nil {
			return e
		}
		set := t.set(key)
		var first *entry
		for i := range set {
			if first == nil || set[i].until < first.until {
				first = &set[i]
			}
		}
		if first != nil && (first.until <= now || len(t.entries) >= MaxEntries) {
			return first
		}
		t.grow(now)
	}
}

// grow makes twice as many entries.
func (t *Table) grow(now session.Time) {
	old := t.entries
	t.entries = make([]entry, max(2*len(old), ways))
	for _, e := range old {
		if e.until > now {
			*t.place(e.key, now) = e
		}
	}
}

// entrySize is the length of an entry of Append.
const entrySize = 24

// Append appends what t knows at now to dst, for another process.
func (t *Table) Append(dst []byte, now session.Time) []byte {
	for _, e := range t.entries {
		if e.until > now && e.born != 0 {
			dst = binary.BigEndian.AppendUint64(dst, e.key)
			dst = binary.BigEndian.AppendUint64(dst, e.born)
			dst = binary.BigEndian.AppendUint64(dst, uint64(e.until))
		}
	}
	return dst
}

// Restore remembers what Append has written. It passes over what it has no room
// for, and over what no Append wrote.
func (t *Table) Restore(data []byte, now session.Time) {
	for n := 0; len(data) >= entrySize && n < MaxEntries; n++ {
		key, born := binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
		t.Remember(key, born, session.Time(binary.BigEndian.Uint64(data[16:])), now)
		data = data[entrySize:]
	}
}
