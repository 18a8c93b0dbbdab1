package engine

import (
	"fmt"
	"testing"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// BenchmarkDigest hashes the ledger of 10^7 sessions whose ends are spread over some
// number of days: nothing else grows with the sessions.
func BenchmarkDigest(b *testing.B) {
	for _, days := range []int64{1, 30, 365} {
		b.Run(fmt.Sprint("days=", days), func(b *testing.B) {
			const sessions, now = 10_000_000, session.Time(1_767_312_000_000)
			stored := &record.Ledger{Now: now, Version: sessions}
			minutes := days * 24 * 60
			for m := range minutes {
				stored.Slots = append(stored.Slots, record.Slot{Minute: ttl.Minute(now) + m, Items: sessions / minutes, Bytes: m})
			}
			l := new(ledger)
			l.load(stored)
			for b.Loop() {
				l.digest(now)
			}
		})
	}
}
