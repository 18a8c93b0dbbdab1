package memcachedfront

import "sync/atomic"

// counters count what clients do. There is one per shard, each on cache lines
// of its own, so that connections on different processors do not slow each
// other down.
type counters struct {
	cmdGet, getHits, getMisses atomic.Uint64

	_ [64]byte
}

// counterShards are all the counters of a server.
type counterShards struct {
	shards []counters
	next   atomic.Uint32
}

// shard gives the counters for a new connection.
func (s *counterShards) shard() *counters {
	return &s.shards[int(s.next.Add(1))%len(s.shards)]
}
