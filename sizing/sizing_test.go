package sizing

import (
	"math"
	"strings"
	"testing"
	"time"

	"cairn/memory"
)

func example() Load {
	return Load{
		Sessions: 1_000_000, ValueBytes: 1800, KeyBytes: 45, TTL: 30 * time.Minute,
		Rate: 2000, Compressed: 0.4, HotFor: 5 * time.Minute, Connections: 1000,
	}
}

// What is printed as flags is what the server would do without a warning.
func TestThePlanTakesWhatIsEstimated(t *testing.T) {
	for _, sessions := range []int64{1, 1000, 100_000, 10_000_000, 1_000_000_000} {
		for _, rate := range []float64{0, 1, 500, 100_000} {
			l := example()
			l.Sessions, l.Rate = sessions, rate
			m := Estimate(l).Memory
			p := memory.NewPlan(memory.Wishes{Limit: m.Machine, Total: m.Total, Cache: m.Cache})
			if len(p.Warnings) > 0 || p.Cache != m.Cache {
				t.Errorf("%d sessions, %g/s: %+v, %q", sessions, rate, m, p.Warnings)
			}
			if byDefault := memory.NewPlan(memory.Wishes{Limit: m.Machine, Cache: m.Cache}); byDefault.Total < m.Total*99/100 {
				t.Errorf("%d sessions: a machine with %d takes %d by default, not %d", sessions, m.Machine, byDefault.Total, m.Total)
			}
			if used := m.Cache + m.Buffers + m.Tables + m.Filters + m.Connections; used > m.Total*3/4 {
				t.Errorf("%d sessions: %d of %d in use", sessions, used, m.Total)
			}
		}
	}
}

func TestHotSessions(t *testing.T) {
	l := example()
	if m := Estimate(l).Memory; m.HotSessions != 600_000 || m.Cache>>20 != 1500 {
		// 600,000 x (1800 + 45 + 120) bytes / 0.75
		t.Errorf("%d hot sessions in %d MB", m.HotSessions, m.Cache>>20)
	}
	l.Rate = 1e6
	if m := Estimate(l).Memory; m.HotSessions != l.Sessions {
		t.Errorf("%d hot sessions of %d", m.HotSessions, l.Sessions)
	}
}

func TestDisk(t *testing.T) {
	l := example()
	d := Estimate(l).Disk
	if want := int64(1_000_000 * (720 + 45 + 24)); d.Live != want {
		t.Errorf("%d live bytes, not %d", d.Live, want)
	}
	// A bucket of sessions of 30 minutes is a quarter of an hour wide, and 2,000
	// requests a second store every session again before it expires.
	if d.Expired != d.Live/2 || d.Old != d.Live {
		t.Errorf("%+v", d)
	}
	if d.Volume < 3*d.Live+1<<30 || d.Volume < d.Sum {
		t.Errorf("%+v", d)
	}
	l.Rate = 0
	if d := Estimate(l).Disk; d.Old != 0 {
		t.Errorf("nothing is written, and yet %+v", d)
	}
	l.TTL = 0
	if d := Estimate(l).Disk; d.Expired != 0 {
		t.Errorf("nothing expires, and yet %+v", d)
	}
	// A minute: each bucket holds fifteen times as many that are over.
	l.TTL = time.Minute
	if d := Estimate(l).Disk; d.Volume < 15*d.Live {
		t.Errorf("%+v", d)
	}
}

func TestCheck(t *testing.T) {
	for part, fault := range map[string]func(*Load){
		"sessions":         func(l *Load) { l.Sessions = 0 },
		"value":            func(l *Load) { l.ValueBytes = -1 },
		"key":              func(l *Load) { l.KeyBytes = 251 },
		"time to live":     func(l *Load) { l.TTL = -1 },
		"rate":             func(l *Load) { l.Rate = math.NaN() },
		"compression":      func(l *Load) { l.Compressed = 1.1 },
		"stay in memory":   func(l *Load) { l.HotFor = -1 },
		"connections":      func(l *Load) { l.Connections = -1 },
		"one machine":      func(l *Load) { l.Sessions, l.ValueBytes = MaxSessions, MaxBytes },
		"between 1 and 1e": func(l *Load) { l.Sessions = MaxSessions + 1 },
	} {
		l := example()
		fault(&l)
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
	l := Load{Sessions: MaxSessions, ValueBytes: 100, KeyBytes: 1, Rate: MaxRate, Compressed: 1, HotFor: time.Hour * 1e6, Connections: MaxRate}
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	if n := Estimate(l); n.Memory.Total <= 0 || n.Disk.Volume <= 0 || n.Writes.BytesPerSecond <= 0 {
		t.Errorf("%+v", n)
	}
}
