package memcachedfront

import (
	"sync/atomic"
	"time"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// latencyBounds are the upper bounds of the histograms of latencies.
var latencyBounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latency is the histogram of the time from the arrival of a request to its
// answer being handed to the operating system, for one verb.
type Latency struct {
	Verb string
	session.Histogram
}

// latencies has a histogram per verb. There is one per shard.
type latencies [protocol.NumVerbs]struct {
	counts [len(latencyBounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

// tally counts the verbs of the requests that are being answered.
type tally struct {
	seen   uint64 // bits, by verb
	counts [protocol.NumVerbs]uint16
}

func (t *tally) add(plan []answer) {
	for i := range plan {
		verb := plan[i].verb
		t.seen |= 1 << verb
		t.counts[verb]++
	}
}

// record adds the tallied requests, which took d, and empties the tally.
func (ls *latencies) record(t *tally, d time.Duration) {
	bucket := 0
	for bucket < len(latencyBounds) && d > latencyBounds[bucket] {
		bucket++
	}
	for verb := range t.counts {
		if t.seen == 0 {
			return
		}
		if t.seen&1 != 0 {
			n := t.counts[verb]
			ls[verb].counts[bucket].Add(uint64(n))
			ls[verb].sum.Add(int64(d) * int64(n))
			t.counts[verb] = 0
		}
		t.seen >>= 1
	}
}

// Latencies gives one histogram per verb that was ever asked for, counted since
// the server began.
func (s *Server) Latencies() []Latency {
	var list []Latency
	for verb := range protocol.NumVerbs {
		l := Latency{Verb: verb.String(), Histogram: session.Histogram{
			Bounds: latencyBounds[:], Counts: make([]uint64, len(latencyBounds)),
		}}
		for i := range s.counters.shards {
			h := &s.counters.shards[i].latencies[verb]
			l.Sum += time.Duration(h.sum.Load())
			for bucket := range h.counts {
				n := h.counts[bucket].Load()
				l.Count += n
				if bucket < len(l.Counts) {
					l.Counts[bucket] += n
				}
			}
		}
		if l.Count > 0 {
			list = append(list, l)
		}
	}
	return list
}
