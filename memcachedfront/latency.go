package memcachedfront

import (
	"time"

	"cairn/figures"
	"cairn/memcachedfront/protocol"
)

// latencies has a histogram per verb. There is one per shard.
type latencies [protocol.NumVerbs]figures.Histogram

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
	for verb := range t.counts {
		if t.seen == 0 {
			return
		}
		if t.seen&1 != 0 {
			ls[verb].ObserveAll(d, int(t.counts[verb]))
			t.counts[verb] = 0
		}
		t.seen >>= 1
	}
}

// latency returns the times from the arrival of requests with a verb to their
// answers being handed to the operating system, counted since the server began.
func (s *Server) latency(verb protocol.Verb) (sum figures.Times) {
	for i := range s.counters.shards {
		sum = sum.Plus(s.counters.shards[i].latencies[verb].Times())
	}
	return sum
}
