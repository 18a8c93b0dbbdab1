package group

import (
	"testing"
	"testing/cryptotest"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/simulate"
)

// soon is, in a world's time, when a leader is to be found once everybody knows that the
// last one is gone: between two ticks. An election timeout is 750 ms at least.
const soon = 30 * time.Millisecond

// aFall is a world in which the leader of three is about to stop. The one of the others
// that is ahead has more of the log.
type aFall struct {
	*aSimulation
	t                   *testing.T
	seed                uint64
	leader, ahead, back *node
}

func newFall(t *testing.T, seed uint64) *aFall {
	s := newEvenFall(t, seed)
	s.network.Cut(s.leader.id, s.back.id)
	s.leader.do(func() {
		if err := s.leader.core.propose(appendTick(nil, s.leader.clock(), 0)); err != nil {
			t.Fatal(err)
		}
	})
	s.pass(50 * time.Millisecond)
	s.network.Heal()
	s.leader.stop()
	return s
}

// newEvenFall is newFall, but the leader has not stopped, and the others have as much of the
// log.
func newEvenFall(t *testing.T, seed uint64) *aFall {
	s := newQuiet(t, seed, 3, 3)
	s.until(10*time.Second, func() bool { return s.led() != nil })
	s.pass(time.Second)
	s.leader = s.led()
	s.ahead, s.back = s.nodes[s.leader.id%3], s.nodes[(s.leader.id+1)%3]
	return s
}

// newQuiet is a world without faults, of some nodes, the first of which are voters.
func newQuiet(t *testing.T, seed uint64, voters, nodes int) *aFall {
	cryptotest.SetGlobalRandom(t, seed)
	w := simulate.New(seed)
	s := &aFall{t: t, seed: seed, aSimulation: &aSimulation{world: w, calm: true, network: &simulate.Network{
		World: w, Low: 200 * time.Microsecond, High: time.Millisecond,
	}}}
	var conf []uint64
	for id := range uint64(voters) {
		conf = append(conf, id+1)
	}
	for range nodes {
		s.add(&node{joined: true}, conf, 5*time.Millisecond)
	}
	return s
}

// until lets the world go on until there is what is asked for.
func (s *aFall) until(atMost time.Duration, found func() bool) {
	s.t.Helper()
	begun := s.world.Now()
	for !found() {
		s.world.Step()
		if s.err != nil {
			s.t.Fatal(s.err)
		}
		if s.world.Now()-begun > atMost {
			s.t.Fatalf("seed %d: not after %v", s.seed, s.world.Now()-begun)
		}
	}
}

func (s *aFall) pass(d time.Duration) {
	end := s.world.Now() + d
	for s.world.Now() < end && s.err == nil {
		s.world.Step()
	}
}

// hears tells a node that the leader is gone, and lets it campaign.
func (s *aFall) hears(n *node, before int) {
	n.do(func() {
		n.core.gone(s.leader.id, before)
		n.core.campaign()
	})
}

const falls = 50 // worlds of each of these tests

// TestGoneOneByOne lets the only node that can lead hear that the leader is gone, and
// campaign, before the other one hears of it, which does not answer therefore.
func TestGoneOneByOne(t *testing.T) {
	for seed := range uint64(falls) {
		s := newFall(t, seed)
		s.hears(s.ahead, 0)
		s.pass(50 * time.Millisecond)
		if s.led() != nil {
			t.Fatal("a node leads whom one that follows another has elected")
		}
		s.hears(s.back, 1)
		s.until(soon, func() bool { return s.led() == s.ahead })
	}
}

// TestGoneAndHeard lets a heartbeat of the dead leader come after the word that it is.
func TestGoneAndHeard(t *testing.T) {
	for seed := range uint64(falls) {
		s := newFall(t, seed)
		for _, n := range []*node{s.back, s.ahead} {
			n.do(func() { n.core.gone(s.leader.id, 0) })
			n.do(func() {
				n.core.step(&raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), From: &s.leader.id, To: &n.id, Term: new(n.core.term)})
			})
		}
		s.ahead.do(s.ahead.core.campaign)
		s.until(soon, func() bool { return s.led() == s.ahead })
	}
}

// TestGoneAtOnce lets both nodes hear at about the same moment that the leader is gone, and
// campaign, so that each votes for itself in some of the worlds.
func TestGoneAtOnce(t *testing.T) {
	split := 0
	for seed := range uint64(10 * falls) {
		s := newEvenFall(t, seed)
		s.leader.stop()
		term := s.back.core.term
		s.hears(s.ahead, 0)
		s.pass(time.Duration(seed%10) * 100 * time.Microsecond)
		s.hears(s.back, 1)
		s.until(soon, func() bool { return s.led() != nil })
		if s.led().core.term > term+1 {
			split++
		}
	}
	t.Logf("%d of %d votes were split", split, 10*falls)
	if split == 0 {
		t.Error("no vote was split")
	}
}

// TestVotesAreLost lets what a candidate asks for get lost: it asks again before an
// election timeout is over.
func TestVotesAreLost(t *testing.T) {
	for seed := range uint64(falls) {
		s := newEvenFall(t, seed)
		s.leader.stop()
		term := s.back.core.term
		s.back.do(func() { s.back.core.gone(s.leader.id, 1) })
		s.hears(s.ahead, 0)
		s.until(soon, func() bool { return s.ahead.core.term > term })
		s.network.Cut(s.ahead.id, s.back.id)
		s.network.Cut(s.back.id, s.ahead.id)
		s.pass(10 * time.Millisecond)
		s.network.Heal()
		s.until(3*tickTime, func() bool { return s.led() != nil })
	}
}

// TestGoneUnheard lets only one node hear that the leader is gone. The other one finds
// out by its silence, and no later than that the first one leads.
func TestGoneUnheard(t *testing.T) {
	for seed := range uint64(falls) {
		s := newFall(t, seed)
		s.hears(s.ahead, 0)
		s.until(13*tickTime, func() bool { return s.led() == s.ahead })
	}
}

// TestGoneByMistake lets a node hear that the leader is gone while it is not: the node
// follows it again, in the same term.
func TestGoneByMistake(t *testing.T) {
	for seed := range uint64(falls) {
		s := newFall(t, seed)
		s.leader.start()
		s.until(10*time.Second, func() bool { return s.led() != nil })
		s.pass(time.Second)
		s.leader = s.led()
		term := s.leader.core.term
		n := s.nodes[s.leader.id%3]
		s.hears(n, 0)
		if n.core.lead != raft.None {
			t.Fatal("the node follows a leader of which it has heard that it is gone")
		}
		s.until(14*tickTime, func() bool { return n.core.lead == s.leader.id })
		if !s.leader.core.leads || s.leader.core.term != term {
			t.Errorf("seed %d: there was an election", seed)
		}
	}
}
