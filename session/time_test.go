package session_test

import (
	"math"
	"testing"
	"time"

	"cairn/session"
)

func TestTimeConversions(t *testing.T) {
	at := time.Date(2038, 1, 19, 3, 14, 8, 999_999_999, time.FixedZone("", 3600))
	got := session.FromTime(at)
	if got != session.Time(at.UnixMilli()) || !got.Time().Equal(at.Truncate(time.Millisecond)) || got.Time().Location() != time.UTC {
		t.Errorf("%v became %d and %v", at, got, got.Time())
	}
	for seconds, want := range map[int64]session.Time{
		0: 0, 1: 1000, -1: -1000, 1 << 31: 1 << 31 * 1000, math.MaxInt64 / 1000: session.Never,
		math.MaxInt64: session.Never, math.MaxInt64/1000 - 1: (math.MaxInt64/1000 - 1) * 1000,
	} {
		if got := session.FromUnix(seconds); got != want {
			t.Errorf("FromUnix(%d) = %d, want %d", seconds, got, want)
		}
	}
	for at, want := range map[session.Time]int64{0: 0, 999: 0, 1000: 1, -1: -1, -1000: -1, -1001: -2} {
		if got := at.Unix(); got != want {
			t.Errorf("%d.Unix() = %d, want %d", at, got, want)
		}
	}
}

// TestFromUnixNegative keeps the far past in the past.
func TestFromUnixNegative(t *testing.T) {
	for _, seconds := range []int64{math.MinInt64, math.MinInt64 / 1000, -1 << 60} {
		if got := session.FromUnix(seconds); got >= 0 {
			t.Errorf("FromUnix(%d) = %d, which is not in the past", seconds, got)
		}
	}
}

func TestTimeAddSaturates(t *testing.T) {
	for _, c := range []struct {
		at   session.Time
		add  time.Duration
		want session.Time
	}{
		{0, time.Second, 1000},
		{1000, -time.Second, 0},
		{5, time.Microsecond, 5},
		{session.Never, time.Second, session.Never},
		{session.Never, -time.Hour, session.Never},
		{session.Never - 1, time.Millisecond, session.Never},
		{session.Never - 1, time.Second, session.Never},
		{session.Never - 1, math.MaxInt64, session.Never},
		{session.Never - 2000, time.Second, session.Never - 1000},
	} {
		if got := c.at.Add(c.add); got != c.want {
			t.Errorf("%d.Add(%v) = %d, want %d", c.at, c.add, got, c.want)
		}
	}
}

func TestTimeSubSaturates(t *testing.T) {
	for _, c := range []struct {
		t, u session.Time
		want time.Duration
	}{
		{1500, 500, time.Second},
		{500, 1500, -time.Second},
		{session.Never, 0, math.MaxInt64},
		{session.Never, session.Never, math.MaxInt64},
		{session.Never - 1, 0, math.MaxInt64},
		{session.Never - 1, session.Never - 3, 2 * time.Millisecond},
		{session.Never - 1, -5, math.MaxInt64},
		{-1 << 62, 1 << 41, math.MinInt64},
		{math.MinInt64, 5, math.MinInt64},
		{math.MinInt64, math.MinInt64, 0},
	} {
		if got := c.t.Sub(c.u); got != c.want {
			t.Errorf("%d.Sub(%d) = %v, want %v", c.t, c.u, got, c.want)
		}
	}
}
