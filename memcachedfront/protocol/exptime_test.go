package protocol

import (
	"math"
	"testing"
	"time"

	"cairn/session"
)

func TestExpiry(t *testing.T) {
	now := session.FromUnix(1_800_000_000).Add(250 * time.Millisecond)
	for exptime, want := range map[int64]session.Time{
		0:                session.Never,
		1:                now.Add(time.Second),
		2_592_000:        now.Add(30 * 24 * time.Hour),
		2_592_001:        session.FromUnix(2_592_001), // in 1970
		1_800_000_100:    session.FromUnix(1_800_000_100),
		5_000_000_000:    session.FromUnix(5_000_000_000), // beyond 32 bits
		math.MaxInt64:    session.Never,
		-1:               now,
		math.MinInt64:    now,
		-1_800_000_000_0: now,
	} {
		if got := Expiry(exptime, now); got != want {
			t.Errorf("Expiry(%d) = %d, want %d", exptime, got, want)
		}
	}
}

func TestTTL(t *testing.T) {
	now := session.FromUnix(1_800_000_000)
	for left, want := range map[time.Duration]int64{
		time.Millisecond:        1,
		time.Second:             1,
		1001 * time.Millisecond: 2,
		time.Hour:               3600,
	} {
		if got := TTL(now.Add(left), now); got != want {
			t.Errorf("TTL of %v = %d, want %d", left, got, want)
		}
	}
	if got := TTL(session.Never, now); got != -1 {
		t.Errorf("TTL of what never expires = %d, want -1", got)
	}
}
