package raftlog

import "cairn/figures"

// Figures are what a Store is like.
type Figures struct {
	Groups      int
	Entries     int64 // of all groups, those that are compacted not counted
	CachedBytes int64 // of entries in memory
}

// Declared are the figures of a Store that operators see.
var Declared = figures.Set[Figures]{
	figures.Gauge("cairn_cluster_log_groups", "Groups that have a log on this node.", func(f Figures) int { return f.Groups }),
	figures.Gauge("cairn_cluster_log_entries", "Entries that the groups' logs have on this node.", func(f Figures) int64 { return f.Entries }),
	figures.Gauge("cairn_cluster_log_cached_bytes", "Entries that are in memory, in bytes.", func(f Figures) int64 { return f.CachedBytes }),
}

// Figures returns the present figures.
func (s *Store) Figures() Figures {
	f := Figures{CachedBytes: s.cached.Load()}
	for _, g := range s.all() {
		g.mu.Lock()
		if !g.empty() {
			f.Groups++
			f.Entries += int64(g.last - g.base.index)
		}
		g.mu.Unlock()
	}
	return f
}
