package memcachedfront

import "sync/atomic"

// counter names one of the figures in counters.
type counter uint8

const (
	cmdSet counter = iota
	cmdFlush
	flushIgnored
	cmdMeta
	getHits
	getMisses
	touchHits
	touchMisses
	deleteHits
	deleteMisses
	incrHits
	incrMisses
	decrHits
	decrMisses
	casHits
	casMisses
	casBadval
	storeTooLarge
	storeNoMemory
	authCmds
	authErrors
	connYields
	numCounters
)

// counters count what clients do. There is one per shard, on cache lines of
// its own, so that connections on different processors do not slow each other
// down.
type counters struct {
	n         [numCounters]atomic.Uint64
	latencies latencies
	_         [64]byte
}

func (c *counters) add(which counter, n uint64) { c.n[which].Add(n) }

// counterShards are all the counters of a server.
type counterShards struct{ shards []counters }

// sum returns every counter's total.
func (s *counterShards) sum() (total totals) {
	for i := range s.shards {
		for which := range total {
			total[which] += s.shards[i].n[which].Load()
		}
	}
	return total
}

// reset makes every counter zero.
func (s *counterShards) reset() {
	for i := range s.shards {
		for which := range s.shards[i].n {
			s.shards[i].n[which].Store(0)
		}
	}
}
