package group

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// A change of the configuration is committed, and the word of it gets lost: in the worlds of
// these tests nobody can be elected unless nodes learn of it from who asks for their votes, or
// refuses one.

// newChange is a world of some voters and one learner, the last node. All have all of the log,
// and one of the voters leads.
func newChange(t *testing.T, seed uint64, voters int) *aFall {
	s := newQuiet(t, seed, voters, voters+1)
	s.until(10*time.Second, func() bool { return s.led() != nil })
	s.leader = s.led()
	s.leader.do(func() { s.change(change(raftpb.ConfChangeAddLearnerNode, uint64(voters)+1)) })
	s.until(10*time.Second, func() bool { return Contains(s.nodes[voters].core.conf, uint64(voters)+1) })
	s.pass(time.Second)
	return s
}

func change(kind raftpb.ConfChangeType, node uint64) *raftpb.ConfChangeSingle {
	return &raftpb.ConfChangeSingle{Type: &kind, NodeId: &node}
}

// change lets the leader propose changes of the configuration.
func (s *aFall) change(changes ...*raftpb.ConfChangeSingle) {
	if err := s.leader.core.change(changes); err != nil {
		s.t.Fatal(err)
	}
}

// more lets the leader append an entry that changes nothing.
func (s *aFall) more() {
	if err := s.leader.core.propose(appendTick(nil, s.leader.clock(), 0)); err != nil {
		s.t.Fatal(err)
	}
}

// last is up to where a node has the log, on its disk or on the way there.
func (n *node) last() uint64 {
	last, _ := n.log.LastIndex()
	return last
}

// leaves is the index of the last entry of a node's log that changes the configuration, if it
// ends a joint one; 0: it does not.
func (n *node) leaves() uint64 {
	first, _ := n.log.FirstIndex()
	entries, _ := n.log.Entries(first, n.last()+1, 1<<30)
	found := uint64(0)
	for _, e := range entries {
		if e.GetType() == raftpb.EntryConfChangeV2 {
			if found = 0; len(e.GetData()) == 0 {
				found = e.GetIndex()
			}
		}
	}
	return found
}

// elects lets the world go on until a node leads that is still a member, and has acknowledged
// something.
func (s *aFall) elects() {
	s.t.Helper()
	s.until(30*time.Second, func() bool {
		for _, n := range s.nodes {
			if n.core == nil || !n.core.leads || !Contains(n.core.conf, n.id) || joint(n.core.conf) {
				continue
			}
			if term, err := n.log.Term(n.core.applied); err == nil && term == n.core.term {
				return true
			}
		}
		return false
	})
}

// TestRemovedLeader lets the leader of three put another node in its own place. When the end of
// the joint configuration is committed, and nobody but the leader knows it, the leader steps
// down, with more of the log than the others. One of them is away, so that they need the vote of
// the former leader until they know that they do not.
func TestRemovedLeader(t *testing.T) {
	for seed := range uint64(falls) {
		s := newChange(t, seed, 3)
		ahead, added := s.nodes[s.leader.id%3], s.nodes[3]
		s.nodes[(s.leader.id+1)%3].stop()
		s.leader.do(func() {
			s.change(change(raftpb.ConfChangeAddNode, added.id), change(raftpb.ConfChangeRemoveNode, s.leader.id))
		})
		s.until(time.Second, func() bool { return ahead.leaves() != 0 && added.leaves() != 0 })
		s.network.Cut(s.leader.id, ahead.id)
		s.network.Cut(s.leader.id, added.id)
		s.leader.do(func() { s.more() })
		s.until(time.Second, func() bool { return !s.leader.core.leads })
		if Contains(s.leader.core.conf, s.leader.id) || !Contains(ahead.core.conf, s.leader.id) || !Contains(added.core.conf, s.leader.id) || s.leader.last() <= max(ahead.last(), added.last()) {
			t.Fatalf("seed %d: the leader has %v and %d entries, the others %v and %v, %d and %d",
				seed, s.leader.core.conf, s.leader.last(), ahead.core.conf, added.core.conf, ahead.last(), added.last())
		}
		s.network.Heal()
		if seed%2 == 1 { // what it has applied it may know no more, and then it is a voter
			s.leader.crash()
		}
		s.elects()
	}
}

// TestUnknowingVoter lets a leader make a voter of a third node, and fall silent when the other
// voter knows that this is committed. The new one has more of the log, so that it gives the
// other one no vote, but takes itself for a learner.
func TestUnknowingVoter(t *testing.T) {
	for seed := range uint64(falls) {
		s := newChange(t, seed, 2)
		other, added := s.nodes[s.leader.id%2], s.nodes[2]
		at := s.leader.last() + 1
		s.lost = func(m *raftpb.Message) bool {
			switch {
			case m.GetFrom() != s.leader.id:
				return false
			case m.GetTo() == added.id: // it is not to know that the change is committed
				m.Commit = new(min(m.GetCommit(), at-1))
				return false
			default: // it is not to have more than the change
				return m.GetType() == raftpb.MsgApp && m.GetIndex()+uint64(len(m.GetEntries())) > at
			}
		}
		s.leader.do(func() {
			s.change(change(raftpb.ConfChangeAddNode, added.id))
			s.more()
		})
		s.until(time.Second, func() bool { return other.core.applied >= at && added.last() > at })
		s.leader.stop()
		s.pass(50 * time.Millisecond)
		if len(added.core.conf.GetVoters()) != 2 || len(other.core.conf.GetVoters()) != 3 || added.last() <= other.last() {
			t.Fatalf("seed %d: the new one has %v and %d entries, the other %v and %d", seed, added.core.conf, added.last(), other.core.conf, other.last())
		}
		s.elects()
	}
}

// TestDrainedRatherThanLeaving lets the lead stay with a node that should not lead, as all
// others, when one of them is to leave: that one would have to hand it over again.
func TestDrainedRatherThanLeaving(t *testing.T) {
	for seed := range uint64(falls) {
		s := newEvenFall(t, seed)
		unfit := []uint64{s.ahead.id, s.back.id}
		for _, n := range s.nodes {
			n.core.o.Unfit = func(node uint64) bool { return node == unfit[0] || node == unfit[1] }
		}
		for _, n := range []*node{s.ahead, s.back} {
			n.do(func() { n.core.setReason(Drained, true) })
		}
		s.leader.do(func() {
			roster := Roster{Number: 1, Level: LevelRoster, Leaving: []uint64{s.leader.id}}
			if err := s.leader.core.proposeRoster(&roster); err != nil {
				t.Fatal(err)
			}
		})
		s.pass(time.Second)
		if to, should := s.leader.core.successor(); to == 0 || should {
			t.Fatalf("seed %d: %d should lead, %v", seed, to, should)
		}
		s.leader.do(func() { s.leader.core.transfer(s.ahead.id) })
		s.until(time.Second, func() bool { return s.ahead.core.leads })
		s.pass(3 * time.Second)
		if !s.ahead.core.leads {
			t.Errorf("seed %d: node %d leads, which is to leave", seed, s.led().id)
		}
	}
}
