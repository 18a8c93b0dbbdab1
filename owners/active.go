package owners

import (
	"sync"

	"github.com/axiomhq/hyperloglog"
	"github.com/zeebo/xxh3"

	"cairn/session"
)

// activeMinutes is how far back owners are counted.
const activeMinutes = 60

// active counts the owners whose sessions were stored or touched, a sketch for each
// minute: the number is right to within one per cent or so, and takes at most 16 KB a
// minute however many there are.
//
// Most sessions are stored many times a minute, and what a sketch does with a user that
// it has already is not cheap as long as there are few. So recent, by a part of the
// hash, has hashes that the sketch of the present minute has.
type active struct {
	mu      sync.Mutex
	minutes [activeMinutes]seenIn
	recent  [activeRecent]uint64
	present int64 // the minute of recent
}

// activeRecent is a power of two: 64 KB in all. With many more users a sketch has its
// final form, which is cheap.
const activeRecent = 1 << 13

type seenIn struct {
	minute int64
	owners *hyperloglog.Sketch
}

func newActive() *active { return new(active) }

// see counts an owner at now.
func (a *active) see(owner []byte, now session.Time) {
	hash, minute := xxh3.Hash(owner), minuteOf(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if minute != a.present {
		clear(a.recent[:])
		a.present = minute
	}
	recent := &a.recent[hash%activeRecent]
	if *recent == hash {
		return
	}
	*recent = hash
	m := &a.minutes[minute%activeMinutes]
	if m.minute != minute || m.owners == nil {
		m.minute, m.owners = minute, hyperloglog.New14()
	}
	m.owners.InsertHash(hash)
}

// count returns how many owners there were in the last five minutes and in the last
// hour, each with the minute that has begun. Sketches are merged without the lock,
// which stores of sessions wait for.
func (a *active) count(now session.Time) (fiveMinutes, hour uint64) {
	last := minuteOf(now)
	sum := hyperloglog.New14()
	for back := range int64(activeMinutes) {
		if m := a.copy(last - back); m != nil {
			_ = sum.Merge(m) // fails for sketches of another precision
		}
		if back == 4 {
			fiveMinutes = sum.Estimate()
		}
	}
	return fiveMinutes, sum.Estimate()
}

// copy returns a copy of a minute's sketch; nil: no owner was seen then.
func (a *active) copy(minute int64) *hyperloglog.Sketch {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := &a.minutes[max(minute, 0)%activeMinutes]
	if m.minute != minute || m.owners == nil {
		return nil
	}
	return m.owners.Clone()
}

func minuteOf(t session.Time) int64 { return max(int64(t), 0) / 60_000 }
