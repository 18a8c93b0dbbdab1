package seen

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"cairn/session"
)

const now = session.Time(1_000_000)

// TestTable compares a table with a map, as long as the table has room.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var table Table
	model := map[uint64]entry{}
	at := now
	for range 100_000 {
		key := r.Uint64N(200) * 0x9e3779b97f4a7c15
		switch r.IntN(5) {
		case 0:
			table.Forget(key)
			delete(model, key)
		case 1, 2:
			e := entry{key: key, born: 1 + r.Uint64N(5), until: at + session.Time(r.IntN(500)) - 20}
			table.Remember(key, e.born, e.until, at)
			model[key] = e
		case 3:
			at++
		}
		want, known := model[key]
		known = known && want.until > at
		if born, ok := table.Born(key, at); ok != known || ok && born != want.born {
			t.Fatalf("%d, %t; want %d, %t", born, ok, want.born, known)
		}
	}
	if len(table.entries) > MaxEntries/4 {
		t.Errorf("%d entries for 200 keys", len(table.entries))
	}
}

// TestTableIsBounded remembers the last ones of many, and what ends late before
// what ends soon.
func TestTableIsBounded(t *testing.T) {
	var table Table
	for i := range uint64(100_000) {
		table.Remember(i, i+1, now+session.Time(i)+1, now)
	}
	if len(table.entries) != MaxEntries {
		t.Fatalf("%d entries", len(table.entries))
	}
	for i := range uint64(1000) {
		if born, ok := table.Born(99_999-i, now); !ok || born != 100_000-i {
			t.Fatalf("entry %d from the end: %d, %t", i, born, ok)
		}
	}
	table.Clear()
	if _, ok := table.Born(99_999, now); ok {
		t.Error("a cleared table knows something")
	}
}

func TestTravel(t *testing.T) {
	var table, other, broken Table
	for i := range uint64(100) {
		table.Remember(i, i+1, now+session.Time(i), now)
	}
	data := table.Append(nil, now+50)
	if len(data) != 49*entrySize {
		t.Errorf("%d bytes", len(data))
	}
	other.Restore(data, now+60)
	for i := range uint64(100) {
		if born, ok := other.Born(i, now+60); ok != (i > 60) || ok && born != i+1 {
			t.Errorf("entry %d: %d, %t", i, born, ok)
		}
	}
	broken.Restore(data[:entrySize+1], now)
	if _, ok := broken.Born(binary.BigEndian.Uint64(data), now); !ok {
		t.Error("the whole entry is lost")
	}
}

// TestPeersRaces has answers come in another order than they were made.
func TestPeersRaces(t *testing.T) {
	until := now.Add(time.Minute)
	for name, c := range map[string]struct {
		what func(p *Peers)
		born uint64
	}{
		"seen":                   {func(p *Peers) { p.Remember(1, 5, p.Generation(), until, now) }, 5},
		"seen, missed":           {func(p *Peers) { p.Remember(1, 5, p.Generation(), until, now); p.Forget(1, now) }, 0},
		"missed, seen":           {func(p *Peers) { p.Forget(1, now); p.Remember(1, 5, p.Generation(), until, now) }, 5},
		"another missed, seen":   {func(p *Peers) { g := p.Generation(); p.Forget(2, now); p.Remember(1, 5, g, until, now) }, 5},
		"asked, missed, seen":    {func(p *Peers) { g := p.Generation(); p.Forget(1, now); p.Remember(1, 5, g, until, now) }, 0},
		"the later one counts":   {func(p *Peers) { p.Remember(1, 9, 0, until, now); p.Remember(1, 5, 0, until, now) }, 9},
		"unless it is forgotten": {func(p *Peers) { p.Remember(1, 9, 0, now+1, now); p.Remember(1, 5, 0, until, now+1) }, 5},
		"ended before":           {func(p *Peers) { p.Remember(1, 9, 0, now, now) }, 0},
		"a miss is not for ever": {func(p *Peers) { p.Forget(1, now.Add(-time.Hour)); p.Remember(1, 5, 0, until, now) }, 5},
	} {
		p := new(Peers)
		c.what(p)
		if born, ok := p.Born(1, now+1); born != c.born || ok != (c.born > 0) {
			t.Errorf("%s: %d, %t; want %d", name, born, ok, c.born)
		}
	}
}
