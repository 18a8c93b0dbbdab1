package ttl

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"cairn/session"
)

const epoch session.Time = 1_767_312_000_500

// checkBucket checks what For promises for one record.
func checkBucket(t *testing.T, expiry, now session.Time) Bucket {
	t.Helper()
	b := For(expiry, now)
	if b.Dead(now) {
		t.Fatalf("For(%d, %d) = %d, which is dead", expiry, now, b)
	}
	if expiry == session.Never || b == Forever {
		if left := expiry - now; b != Forever || left <= widths[len(widths)-1].most {
			t.Fatalf("For(%d, %d) = %d", expiry, now, b)
		}
		return b
	}
	if expiry >= b.Deadline() {
		t.Fatalf("For(%d, %d) = %d, whose deadline %d is not after the expiry", expiry, now, b, b.Deadline())
	}
	if waste := b.Deadline() - expiry; waste > widthOf(expiry-now) {
		t.Fatalf("For(%d, %d) = %d keeps the record %d ms too long", expiry, now, b, waste)
	}
	if b.Dead(expiry) || !b.Dead(b.Deadline()) || b.Dead(b.Deadline()-1) {
		t.Fatalf("bucket %d dies at the wrong time", b)
	}
	return b
}

func widthOf(left session.Time) session.Time {
	for _, w := range widths {
		if left <= w.most {
			return w.minutes * minute
		}
	}
	return math.MaxInt64
}

// Around every border of a class, and at times that are and are not whole
// minutes, hours and days.
func TestForAtBorders(t *testing.T) {
	for _, now := range []session.Time{0, 1, 59_999, 60_000, epoch, epoch - epoch%day, 1 << 41, 4_102_444_800_000} {
		for _, w := range widths {
			for _, base := range []session.Time{w.most, w.minutes * minute, minute} {
				for d := session.Time(-3); d <= 3; d++ {
					if left := base + d; left > 0 {
						checkBucket(t, now+left, now)
						checkBucket(t, (now+left)/minute*minute+d+minute, now)
					}
				}
			}
		}
		checkBucket(t, session.Never, now)
		checkBucket(t, session.Never-1, now)
		checkBucket(t, now+1, now)
	}
}

func TestForAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500_000 {
		now := session.Time(r.Int64N(1 << 43))
		left := session.Time(r.Int64() >> (1 + r.IntN(62)))
		if left > 0 && now+left > now {
			checkBucket(t, now+left, now)
		}
	}
}

// For one time to live, a later expiry never goes to an earlier bucket: a
// session whose expiry slides is only promoted.
func TestForSlides(t *testing.T) {
	for _, w := range widths[:4] {
		last := Bucket(0)
		for now := epoch; now < epoch+2*w.most; now += w.most/977 + 1 {
			if b := checkBucket(t, now+w.most, now); b < last {
				t.Fatalf("bucket %d after %d", b, last)
			} else {
				last = b
			}
		}
	}
}

// However the times to live are mixed, few buckets live at any time: they are
// what a read may have to probe.
func TestLiveBucketsAreFew(t *testing.T) {
	const most = 45
	live := make(map[Bucket]bool)
	r := rand.New(rand.NewPCG(3, 4))
	worst := 0
	for now := epoch; now < epoch+3*year; now += session.Time(r.Int64N(int64(6 * hour))) {
		for range 20 {
			left := session.Time(r.Int64()>>(1+r.IntN(62)))%(200*year) + 1
			live[For(now+left, now)] = true
		}
		for b := range live {
			if b.Dead(now) {
				delete(live, b)
			}
		}
		worst = max(worst, len(live))
	}
	t.Logf("%d buckets at most", worst)
	if worst > most {
		t.Errorf("%d buckets live at once, want at most %d", worst, most)
	}
}

func TestOneTTLHasFewBuckets(t *testing.T) {
	for ttl, most := range map[time.Duration]int{
		30 * time.Minute: 4, time.Hour: 6, 2 * time.Hour: 3, 8 * time.Hour: 6,
		24 * time.Hour: 3, 3 * 24 * time.Hour: 5, 14 * 24 * time.Hour: 4, 30 * 24 * time.Hour: 6,
	} {
		live := make(map[Bucket]bool)
		for now := epoch; now < epoch.Add(5*ttl); now = now.Add(ttl / 100) {
			live[For(now.Add(ttl), now)] = true
			for b := range live {
				if b.Dead(now) {
					delete(live, b)
				}
			}
			if len(live) > most {
				t.Fatalf("%v: %d live buckets", ttl, len(live))
			}
		}
	}
}

func TestMinutes(t *testing.T) {
	for _, c := range []struct {
		t session.Time
		m int64
	}{{0, 0}, {59_999, 0}, {60_000, 1}, {session.Never, NeverMinute}} {
		if Minute(c.t) != c.m {
			t.Errorf("Minute(%d) = %d", c.t, Minute(c.t))
		}
	}
	if MinuteStart(2) != 120_000 || MinuteStart(NeverMinute) != session.Never {
		t.Error("MinuteStart")
	}
	if LastDead(-1) != 0 || LastDead(session.Never).Deadline() >= session.Never || LastDead(119_999) != 1 {
		t.Error("LastDead")
	}
	if Forever.Dead(session.Never) {
		t.Error("Forever dies")
	}
}

func FuzzFor(f *testing.F) {
	f.Add(int64(epoch), int64(1))
	f.Fuzz(func(t *testing.T, now, left int64) {
		if now >= 0 && now < 1<<50 && left > 0 && now+left > now {
			checkBucket(t, session.Time(now+left), session.Time(now))
		}
	})
}

// Width is what For may keep a session beyond its expiry.
func TestWidth(t *testing.T) {
	for _, life := range []session.Time{1, hour, hour + 1, 3 * day, 30 * day, 50 * year} {
		w, ok := Width(life)
		for now := session.Time(0); now < 3*w; now += w/7 + 1 {
			if late := For(now+life, now).Deadline() - (now + life); !ok || late > w {
				t.Errorf("a session of %d ms stays for %d ms longer, Width is %d, %v", life, late, w, ok)
			}
		}
	}
	if _, ok := Width(101 * year); ok {
		t.Error("a session that is never dropped has a width")
	}
}
