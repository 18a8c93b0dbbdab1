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

func TestParseExptime(t *testing.T) {
	for token, want := range map[string]int64{
		"0": 0, "-0": 0, "+10": 10, " 10\t": 10, "10\x00x": 10, "-1": -1,
		"2147483647": 1<<31 - 1, "2147483648": -1 << 31, "4294967295": -1, "4294967296": 0, "4294967396": 100,
		"9223372036854775807": -1, "-2147483648": -1 << 31, "-2147483649": 1<<31 - 1, "-9223372036854775808": 0,
	} {
		if got, ok := ParseExptime([]byte(token)); !ok || got != want {
			t.Errorf("ParseExptime(%q) = %d, %t, want %d", token, got, ok, want)
		}
	}
	for _, token := range []string{"", "-", "x", "1x", "9223372036854775808", "-9223372036854775809", "18446744073709551616"} {
		if got, ok := ParseExptime([]byte(token)); ok {
			t.Errorf("ParseExptime(%q) = %d, want none", token, got)
		}
	}
}
