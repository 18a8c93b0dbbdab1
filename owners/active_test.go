package owners

import (
	"encoding/binary"
	"sync"
	"testing"

	"cairn/session"
)

// TestActiveIsCountedBesideStores counts while owners are seen.
func TestActiveIsCountedBesideStores(t *testing.T) {
	const now = session.Time(1_800_000_000_000)
	a := newActive()
	var seen sync.WaitGroup
	for w := range uint64(2) {
		seen.Go(func() {
			for i := range uint64(5000) {
				a.see(binary.BigEndian.AppendUint64(nil, i<<1|w), now)
			}
		})
	}
	for range 20 {
		if fiveMinutes, hour := a.count(now); fiveMinutes > 10_500 || hour > 10_500 {
			t.Errorf("%d and %d of 10,000 owners", fiveMinutes, hour)
		}
	}
	seen.Wait()
	if fiveMinutes, hour := a.count(now); fiveMinutes < 9500 || hour != fiveMinutes {
		t.Errorf("at the end %d and %d of 10,000 owners", fiveMinutes, hour)
	}
}

// BenchmarkActiveCopy is what the lock is held for at a time while 50,000 owners a
// minute are counted; BenchmarkActiveCount is the whole.
func BenchmarkActiveCopy(b *testing.B) {
	a, now := busyHour()
	for b.Loop() {
		a.copy(minuteOf(now))
	}
}

func BenchmarkActiveCount(b *testing.B) {
	a, now := busyHour()
	for b.Loop() {
		a.count(now)
	}
}

func busyHour() (a *active, now session.Time) {
	a = newActive()
	for m := range session.Time(activeMinutes) {
		now = (1000 + m) * 60_000
		for i := range uint64(50_000) {
			a.see(binary.BigEndian.AppendUint64(nil, i), now)
		}
	}
	return a, now
}
