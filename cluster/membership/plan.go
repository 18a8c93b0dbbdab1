package membership

import (
	"cmp"
	"slices"
	"time"
)

// View is what the leader of a group knows when it decides what is to become of the
// group's replicas.
type View struct {
	Self      uint64
	Replicas  []Replica
	Strangers []uint64 // that would like to be one, by number

	Size    int      // how many voters there are to be; 0: as many as there are
	Leaving []uint64 // nodes that are to be none any more
	Joining []uint64 // strangers that are to be preferred

	// Zones are those of nodes that are in one: what is in one zone may fail together.
	Zones map[uint64]string

	// ReplaceAfter is for how long a node is silent that is taken to be gone for good.
	// 0: for ever.
	ReplaceAfter time.Duration
}

// Replica is one of the nodes that a group is on.
type Replica struct {
	Node     uint64
	Learner  bool
	Silent   time.Duration // since it was heard
	CaughtUp bool          // it has about all of the log
}

// Step is the next thing to do. One field at most is set, but for Swap.
type Step struct {
	Learn   uint64 // becomes a learner
	Promote uint64 // becomes a voter
	Swap    uint64 // with Promote: is replaced by that
	Remove  uint64
	Lead    bool // another node has to lead, before this one is removed
}

// alive is for how long a node may be silent that counts as there.
const alive = 5 * time.Second

// Next says what to do first. It never lets the living voters become fewer than the
// majority of the next configuration, and never lets the leader remove itself: for a while
// nobody would lead.
func (v *View) Next() Step {
	var voters, learners []Replica
	for _, r := range v.Replicas {
		if r.Learner {
			learners = append(learners, r)
		} else {
			voters = append(voters, r)
		}
	}
	size := v.Size
	if size == 0 {
		size = len(voters)
	}
	gone := v.gone(voters)
	ready := v.ready(voters, learners, gone)
	dead := slices.IndexFunc(learners, func(r Replica) bool {
		return v.ReplaceAfter > 0 && r.Silent >= v.ReplaceAfter || slices.Contains(v.Leaving, r.Node)
	})
	surplus := gone != 0 && len(voters) > size
	switch {
	case surplus && gone == v.Self && len(voters) > 1:
		return Step{Lead: true}
	case surplus && v.holds(voters, gone, 0):
		return Step{Remove: gone}
	case dead >= 0:
		return Step{Remove: learners[dead].Node}
	case ready != 0 && len(voters) < size && v.holds(voters, 0, ready):
		return Step{Promote: ready}
	case ready != 0 && gone == v.Self && len(voters) == 1 && v.holds(voters, 0, ready):
		return Step{Promote: ready} // it can lead then
	case ready != 0 && gone == v.Self && !surplus:
		return Step{Lead: true}
	case ready != 0 && gone != 0 && !surplus && v.holds(voters, gone, ready):
		return Step{Promote: ready, Swap: gone}
	case len(learners) == 0 && (len(voters) < size || gone != 0 && !surplus):
		return Step{Learn: v.stranger(voters, gone)}
	}
	return Step{}
}

// gone is a voter that is to be none any more: one that is to leave, or the one that has
// been silent for longest if that is for good; 0: there is none.
func (v *View) gone(voters []Replica) uint64 {
	for _, r := range voters {
		if slices.Contains(v.Leaving, r.Node) {
			return r.Node
		}
	}
	var longest Replica
	for _, r := range voters {
		if v.ReplaceAfter > 0 && r.Silent >= v.ReplaceAfter && r.Silent > longest.Silent && r.Node != v.Self {
			longest = r
		}
	}
	return longest.Node
}

// holds reports whether most voters are alive when one has gone and one has come.
func (v *View) holds(voters []Replica, without, with uint64) bool {
	all, living := 0, 0
	for _, r := range voters {
		if r.Node == without {
			continue
		}
		all++
		if r.Silent < alive {
			living++
		}
	}
	if with != 0 {
		all, living = all+1, living+1
	}
	return 2*living > all
}

// ready is the learner that becomes a voter next, when gone has gone; 0: none has caught
// up.
func (v *View) ready(voters, learners []Replica, gone uint64) uint64 {
	var ready []uint64
	for _, r := range learners {
		if r.CaughtUp && r.Silent < alive {
			ready = append(ready, r.Node)
		}
	}
	return v.spread(voters, gone, ready)
}

// stranger is the one that becomes a replica next, when gone has gone; 0: there is none.
func (v *View) stranger(voters []Replica, gone uint64) uint64 {
	var preferred, others []uint64
	for _, s := range v.Strangers {
		switch {
		case slices.Contains(v.Joining, s):
			preferred = append(preferred, s)
		case !slices.Contains(v.Leaving, s):
			others = append(others, s)
		}
	}
	return cmp.Or(v.spread(voters, gone, preferred), v.spread(voters, gone, others))
}

// spread is the candidate in whose zone there are the fewest of the voters that stay when
// one has gone: preferably one that is known to be in a zone, and else the first; 0: there
// are no candidates.
func (v *View) spread(voters []Replica, gone uint64, candidates []uint64) uint64 {
	there := map[string]int{}
	for _, r := range voters {
		if r.Node != gone {
			there[v.Zones[r.Node]]++
		}
	}
	if len(candidates) == 0 {
		return 0
	}
	return slices.MinFunc(candidates, func(a, b uint64) int { // the first of equals
		za, zb := v.Zones[a], v.Zones[b]
		if c := cmp.Compare(there[za], there[zb]); c != 0 {
			return c
		}
		return -cmp.Compare(min(len(za), 1), min(len(zb), 1))
	})
}
