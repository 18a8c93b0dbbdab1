package engine

import (
	"math/rand/v2"
	"testing"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// Each write of a session that expires in a minute of its own, somewhere in a
// hundred years, moved all slots behind it, with every writer waiting.
func TestLedgerOfManyMinutes(t *testing.T) {
	const items, years = 200_000, 52_000_000
	var l ledger
	l.load(new(record.Ledger))
	r := rand.New(rand.NewPCG(1, 2))
	past := int64(0)
	for range items {
		minute := 1 + r.Int64N(years)
		if minute < years/2 {
			past++
		}
		l.add(&record.Ledger{Slots: []record.Slot{{Minute: minute, Items: 1, Bytes: 10}}}, false)
	}
	half := session.Time(years/2) * 60_000
	if n, bytes, expired := l.totals(half); n != items-past || bytes != 10*n || expired != past {
		t.Errorf("%d items of %d bytes, %d expired; want %d and %d", n, bytes, expired, items-past, past)
	}
	slots := l.slots()
	for i := range slots {
		if slots[i].Minute < ttl.Minute(half) || i > 0 && slots[i].Minute <= slots[i-1].Minute {
			t.Fatalf("slot %d is of minute %d", i, slots[i].Minute)
		}
	}
}
