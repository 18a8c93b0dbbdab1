package raftlog

import (
	"go.etcd.io/raft/v3/raftpb"
)

// cache is the newest entries of a group, in order, without a gap.
type cache struct {
	first   uint64 // index of the first
	entries []*raftpb.Entry
	bytes   int64
}

// entryOverhead is what an entry takes besides its data, bytes.
const entryOverhead = 112

func cost(e *raftpb.Entry) int64 { return int64(len(e.Data)) + entryOverhead }

// share is how many bytes a group's cache may have.
func (s *Store) share() int64 { return s.o.CacheBytes / max(1, s.sharers.Load()) }

// add keeps entries from index first on. Those that were there from it on are
// overwritten.
func (c *cache) add(s *Store, first uint64, entries []*raftpb.Entry) {
	end := c.first + uint64(len(c.entries))
	switch {
	case len(c.entries) == 0 || first > end || first <= c.first:
		c.clear(s)
		c.first = first
	case first < end:
		c.shrink(s, c.entries[first-c.first:])
		c.entries = c.entries[: first-c.first : first-c.first]
	}
	c.entries = append(c.entries, entries...)
	for _, e := range entries {
		c.bytes += cost(e)
		s.cached.Add(cost(e))
	}
	c.fit(s)
}

// fit evicts the oldest entries until the cache is no larger than its share.
func (c *cache) fit(s *Store) {
	n := 0
	for over := c.bytes - s.share(); over > 0 && n < len(c.entries); n++ {
		over -= cost(c.entries[n])
	}
	c.forget(s, n)
}

// forget evicts the first n entries.
func (c *cache) forget(s *Store, n int) {
	if n == 0 {
		return
	}
	c.shrink(s, c.entries[:n])
	clear(c.entries[:n])
	c.first, c.entries = c.first+uint64(n), c.entries[n:]
}

func (c *cache) shrink(s *Store, gone []*raftpb.Entry) {
	for _, e := range gone {
		c.bytes -= cost(e)
		s.cached.Add(-cost(e))
	}
}

// drop evicts the entries up to index.
func (c *cache) drop(s *Store, index uint64) {
	if len(c.entries) > 0 && index >= c.first {
		c.forget(s, int(min(index+1-c.first, uint64(len(c.entries)))))
	}
}

func (c *cache) clear(s *Store) {
	c.shrink(s, c.entries)
	c.entries = nil
}

// from returns the cached entries from index on, up to and without hi; none if the
// one at index is not there.
func (c *cache) from(index, hi uint64) []*raftpb.Entry {
	if index < c.first || index >= c.first+uint64(len(c.entries)) {
		return nil
	}
	return c.entries[index-c.first : min(hi-c.first, uint64(len(c.entries)))]
}
