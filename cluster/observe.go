package cluster

import (
	"maps"
	"slices"
	"sync"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/membership"
)

// What a node has seen of the others and of elections, for operators.

const (
	measureEvery = time.Second // between two round trips to a node

	// keptElections is how many changes of a group's leader a node remembers.
	keptElections = 10
)

// Election is a change of who leads a group, as a node has come to know of it.
type Election struct {
	At     time.Time // by the node's clock
	Term   uint64
	Leader uint64 // 0: nobody, as far as the node knew
}

// sightings are what a node has seen since it was opened.
type sightings struct {
	mu         sync.Mutex
	roundTrips map[uint64]time.Duration // the last one of each node that answers
	elections  map[int][]Election       // of each group, the latest first
}

// election notes who leads a group now.
func (s *sightings) election(i int, e Election) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.elections[i]
	if len(all) > 0 && all[0].Leader == e.Leader && all[0].Term == e.Term {
		return
	}
	if s.elections == nil {
		s.elections = map[int][]Election{}
	}
	kept := make([]Election, 0, keptElections) // others have the earlier slice
	s.elections[i] = append(append(kept, e), all[:min(len(all), keptElections-1)]...)
}

// lastElections returns those of a group, the latest first. They are not to be changed.
func (s *sightings) lastElections(i int) []Election {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.elections[i]
}

// roundTrip returns how long a node took to answer last; 0: not known.
func (s *sightings) roundTrip(node uint64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roundTrips[node]
}

// slowest returns the longest of the last round trips.
func (s *sightings) slowest() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.roundTrips {
		longest = max(longest, d)
	}
	return longest
}

// setRoundTrip notes how long a node took to answer; 0: it did not.
func (s *sightings) setRoundTrip(node uint64, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if took == 0 {
		delete(s.roundTrips, node)
		return
	}
	if s.roundTrips == nil {
		s.roundTrips = map[uint64]time.Duration{}
	}
	s.roundTrips[node] = took
}

// keepOnly forgets the round trips to other nodes than these.
func (s *sightings) keepOnly(nodes []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.roundTrips, func(node uint64, _ time.Duration) bool { return !slices.Contains(nodes, node) })
}

// noteElection is told how a group is after its leader has changed.
func (n *Node) noteElection(i int, s group.Status) {
	n.seen.election(i, Election{At: n.clock.Now().Time(), Term: s.Term, Leader: s.Leader})
}

// measure measures round trips to the other nodes, again and again.
func (n *Node) measure() {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		nodes := n.peers.Connected()
		n.seen.keepOnly(nodes)
		for _, node := range nodes {
			n.measureTo(node)
		}
		select {
		case <-n.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// measureTo sends a node what it answers at once. One of an earlier version refuses it,
// which takes as long.
func (n *Node) measureTo(node uint64) {
	sent := time.Now()
	n.peers.Call(node, []byte{forwardEcho}, sent.Add(attemptTime), func(_ []byte, err error) {
		took := max(time.Since(sent), 1)
		if err != nil {
			took = 0
		}
		n.seen.setRoundTrip(node, took)
	})
}

// noteLags tells how much of a group that this node leads its replicas lack; without any it
// does not lead it. What those lack that have not answered since it leads is not known.
func (n *Node) noteLags(i int, s group.Status, replicas []group.Replica) {
	lags := membership.Lags{Term: s.Term, Entries: map[uint64]uint64{}}
	for _, r := range replicas {
		if r.Match > 0 {
			lags.Entries[r.Node] = s.Committed - min(r.Match, s.Committed)
		}
	}
	n.membership.SetLags(i, lags)
}
