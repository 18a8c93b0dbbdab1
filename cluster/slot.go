package cluster

import (
	"errors"
	"sync"

	"cairn/cluster/group"
	"cairn/engine"
	"cairn/session"
)

// errAway: this node's replica is being replaced.
var errAway = errors.New("cluster: the replica is being replaced")

// slot is the place of a replica: a group and the engine that follows it, or, while
// they are being replaced, a guess at who leads.
type slot struct {
	others func() []uint64 // that this node has a connection to

	mu     sync.Mutex
	group  *group.Group // nil: away
	former *group.Group // the cluster goes on without it; nil: none
	engine *engine.Store
	clock  session.Time // of the log, when the replica went away
	turn   int
}

// fill puts a replica in the place.
func (s *slot) fill(g *group.Group, e *engine.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.group, s.engine = g, e
}

// empty takes the replica out; nil: there was none. Its engine stays known.
func (s *slot) empty() *group.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.group
	if g != nil {
		s.clock = g.Clock()
	}
	s.group = nil
	return g
}

// retire takes the replica out, if there is one. It leads nothing any more, but goes on
// answering those of other nodes: they may need its vote, or its word, until they know that
// they do not.
func (s *slot) retire() {
	g := s.empty()
	if g == nil {
		return
	}
	s.mu.Lock()
	s.former = g
	s.mu.Unlock()
	g.SetUnfit(group.Removed, true)
}

// voter is the replica that answers those of other nodes, present or former.
func (s *slot) voter() *group.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group != nil {
		return s.group
	}
	return s.former
}

func (s *slot) present() *group.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.group
}

func (s *slot) presentEngine() *engine.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine
}

// Status is Replica's. Without a replica nobody tells who leads: each of the others is
// tried in turn, and says so if it does not.
func (s *slot) Status() group.Status {
	if g := s.present(); g != nil {
		return g.Status()
	}
	others := s.others()
	if len(others) == 0 {
		return group.Status{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	return group.Status{Leader: others[s.turn%len(others)]}
}

func (s *slot) Clock() session.Time {
	if g := s.present(); g != nil {
		return g.Clock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *slot) Write(w *group.Write) {
	if g := s.present(); g != nil {
		g.Write(w)
		return
	}
	w.Done(nil, group.ErrNotLeader)
}

func (s *slot) Read(r *group.Read) {
	if g := s.present(); g != nil {
		g.Read(r)
		return
	}
	r.Ready(errAway)
}
