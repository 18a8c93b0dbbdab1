package locks

import (
	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
)

// Figures count what happens to locks.
type Figures struct {
	Held, Waiting               int
	Got, InVain, GaveWay, Freed uint64
	Waited                      figures.Times
}

var declared = figures.Set[Figures]{
	figures.Gauge("cairn_locks", "Locks of sessions that are kept in memory.", func(f Figures) int { return f.Held }),
	figures.Gauge("cairn_locks_waiting", "Clients that wait for a lock.", func(f Figures) int { return f.Waiting }),
	waits("got", func(f Figures) uint64 { return f.Got }),
	waits("in_vain", func(f Figures) uint64 { return f.InVain }),
	waits("gave_way", func(f Figures) uint64 { return f.GaveWay }),
	figures.Timing("cairn_lock_wait_seconds", "How long clients waited for locks, however that ended.", func(f Figures) figures.Times { return f.Waited }),
	figures.Counter("cairn_locks_freed_total", "Locks freed because the connection ended that held them.", func(f Figures) uint64 { return f.Freed }),
}

func waits(outcome string, count func(Figures) uint64) figures.Figure[Figures] {
	return figures.Counter("cairn_lock_waits_total", "Waits for locks by how they ended.", count).With("outcome", outcome)
}

// Figures returns the present figures.
func (s *Store) Figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Figures{
		Held: len(s.items.Items(s.options.Clock.Now())), Waiting: len(s.waiting),
		Got: s.counts.got.Load(), InVain: s.counts.inVain.Load(), GaveWay: s.counts.gaveWay.Load(), Freed: s.counts.freed.Load(),
		Waited: s.counts.waited.Times(),
	}
}

// Describe and Collect make the store a prometheus.Collector. Describe needs no
// open store: s may be nil.
func (s *Store) Describe(ch chan<- *prometheus.Desc) { declared.Describe(ch) }

// Collect sends the present figures.
func (s *Store) Collect(ch chan<- prometheus.Metric) { declared.Collect(ch, s.Figures()) }
