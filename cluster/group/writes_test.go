package group

import (
	"errors"
	"flag"
	"fmt"
	"testing"
	"testing/cryptotest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/simulate"
)

var (
	simulateWorlds = flag.Int("simulate.worlds", 1, "worlds of TestCrashAtEveryWrite")
	simulateWrite  = flag.Int("simulate.write", 0, "the only write of TestCrashAtEveryWrite at which nodes crash; 0: all")
	simulateNth    = flag.Int("simulate.nth", 20, "TestCrashAtEveryWrite has only each so many of the crashes")
)

// A story is a short world in which always the same happens: elections, one of them with two
// candidates, commands, a change of the replicas, a leader that is cut off and whose entries
// others take the place of, a replica that is away and gets a copy. Nothing crashes but at the
// write that a test asks for.

// loss says at which write of a story a node loses its power, and how much of the write is
// on its disk then; everybody: all nodes lose theirs.
type loss struct {
	write, parts int
	everybody    bool
}

func (l loss) String() string {
	who := ""
	if l.everybody {
		who = ", and everybody with it"
	}
	return fmt.Sprintf("-simulate.write=%d, %d parts of it written%s", l.write, l.parts, who)
}

// TestCrashAtEveryWrite tells a story once, and then again for each write of a disk in it: the
// node crashes before the write, with each part of it, and after it, and all nodes crash before
// it. Each time the world must go on to where all commands are answered, somebody leads, and all
// replicas are the same; each key must be linearizable. -simulate.nth=1 has all of these crashes.
func TestCrashAtEveryWrite(t *testing.T) {
	seeds := []uint64{*simulateSeed}
	if *simulateSeed == 0 {
		seeds = nil
		for seed := range uint64(*simulateWorlds) {
			seeds = append(seeds, seed+1)
		}
	}
	runs, failed, steps, writes, kinds, counted := 0, 0, 0, 0, map[string]int{}, events{}
	for _, seed := range seeds {
		whole := newStory(t, seed, faults{}, loss{})
		if err := whole.tell(); err != nil {
			t.Fatalf("-simulate.seed=%d: nothing crashes, and after %d events: %v", seed, whole.world.Steps, err)
		}
		counted.add(whole.counts)
		writes += len(whole.writes.All)
		for _, w := range whole.writes.All {
			kinds[w.What]++
		}
		for i, l := range whole.losses() {
			if *simulateWrite == 0 && i%max(*simulateNth, 1) != 0 {
				continue
			}
			s := newStory(t, seed, faults{}, l)
			err := s.tell()
			if err == nil && s.counts.crashes == 0 {
				err = errors.New("nothing has crashed")
			}
			if err != nil {
				failed++
			}
			if err != nil && failed <= 10 {
				t.Errorf("-simulate.seed=%d %v: %v: after %d events: %v", seed, l, whole.writes.All[l.write-1], s.world.Steps, err)
			}
			runs++
			steps += s.world.Steps
		}
	}
	t.Logf("%d writes: %v; %d runs, %d events, %d runs failed", writes, kinds, runs, steps, failed)
	if c := counted; *simulateSeed == 0 && (c.leads < 3*c.worlds || c.copies <= c.worlds || c.adopted < c.worlds || c.notFound == c.commands) {
		t.Errorf("nothing much happens: %+v", c)
	}
}

// TestCrashAtEveryWriteNotices lets disks do what they must not: some crash has to show it, and
// none that good disks do not survive.
func TestCrashAtEveryWriteNotices(t *testing.T) {
	for name, f := range map[string]struct {
		faults
		from int // the first crash that is tried, not far from one that shows it
	}{
		"acknowledged before the sync":     {faults{lies: true}, 0},
		"votes are forgotten":              {faults{forgetsVotes: true}, 640},
		"what was replaced is there again": {faults{keepsSuffix: true}, 760},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 20; seed++ {
				whole := newStory(t, seed, f.faults, loss{})
				if err := whole.tell(); err != nil {
					t.Fatalf("seed %d: nothing crashes, and after %d events: %v", seed, whole.world.Steps, err)
				}
				for i, l := range whole.losses() {
					if seed == 1 && i < f.from {
						continue
					}
					if err := newStory(t, seed, f.faults, l).tell(); err != nil {
						t.Logf("seed %d: crash %d, %v: %v", seed, i+1, l, err)
						if err := newStory(t, seed, faults{}, l).tell(); err != nil {
							t.Errorf("with good disks, too: %v", err)
						}
						return
					}
				}
			}
			t.Error("nothing was noticed")
		})
	}
}

// losses are all of a story that was told without one.
func (s *story) losses() (all []loss) {
	for i, w := range s.writes.All {
		if *simulateWrite != 0 && i+1 != *simulateWrite {
			continue
		}
		for parts := range w.Parts + 1 {
			// Behind a write of the same event, nothing has happened since that.
			if parts > 0 || i == 0 || s.writes.All[i-1].Step != w.Step {
				all = append(all, loss{i + 1, parts, false})
			}
		}
		all = append(all, loss{i + 1, 0, true})
	}
	return all
}

type story struct {
	*aSimulation
	everybody bool
	over      bool
}

const (
	storyVoters  = 3
	storyClients = 2
	storyEnd     = 5200 * time.Millisecond
	storySteps   = 50_000 // at most
)

func newStory(t *testing.T, seed uint64, f faults, l loss) *story {
	cryptotest.SetGlobalRandom(t, seed)
	w := simulate.New(seed)
	s := &story{everybody: l.everybody, aSimulation: &aSimulation{
		world: w, faults: f, calm: true, long: true, leaders: map[uint64]uint64{}, entries: map[uint64]uint64{},
		writes: &simulate.Writes{World: w, Lost: l.write, Parts: l.parts},
		network: &simulate.Network{
			World: w, Drop: 0.02, Duplicate: 0.1, Low: 200 * time.Microsecond, High: 10 * time.Millisecond, Late: 300 * time.Millisecond,
		},
	}}
	for range storyVoters + 1 {
		s.addNode([]uint64{1, 2, 3})
	}
	for _, n := range s.nodes {
		n.log.AtOnce = true
	}
	for range storyClients {
		s.addClient()
	}
	at := w.After
	at(tellEvery, s.aSimulation.tell)
	at(trainEvery, s.train)

	at(100*time.Millisecond, func() { s.contest(1, 2) })
	at(300*time.Millisecond, func() { s.commands(8) })
	at(500*time.Millisecond, s.govern)
	at(1500*time.Millisecond, func() {
		s.leader(func(leader *node) {
			for _, n := range s.nodes {
				s.network.Cut(leader.id, n.id)
				s.network.Cut(n.id, leader.id)
			}
			for _, c := range s.clients {
				c.lead = int(leader.id - 1)
			}
			s.commands(8)
			for i := range 5 {
				w.After(time.Duration(i+1)*100*time.Millisecond, func() { leader.do(func() { _ = leader.core.propose(appendTick(nil, leader.clock(), 0)) }) })
			}
		})
	})
	at(2500*time.Millisecond, s.network.Heal)
	at(2700*time.Millisecond, func() {
		s.leader(func(leader *node) {
			var others []uint64
			for _, n := range s.nodes {
				if n != leader && n.core != nil && Contains(leader.core.conf, n.id) {
					n.do(func() { n.core.gone(leader.id, 0) })
					others = append(others, n.id)
				}
			}
			s.contest(others...)
			s.commands(4)
		})
	})
	at(3000*time.Millisecond, func() {
		s.leader(func(leader *node) {
			for _, r := range leader.core.replicas() {
				if n := s.nodes[r.Node-1]; n != leader && n.core != nil {
					n.stop()
					w.After(1900*time.Millisecond, n.startIfDown)
					break
				}
			}
			s.commands(6)
		})
	})
	at(4300*time.Millisecond, func() {
		s.leader(func(leader *node) {
			to, _ := leader.core.successor()
			leader.do(func() { leader.core.transfer(to) })
		})
		s.commands(4)
	})
	at(storyEnd, func() { s.over = true })
	return s
}

// contest lets nodes campaign at the same moment.
func (s *story) contest(ids ...uint64) {
	for _, id := range ids {
		n := s.nodes[id-1]
		n.do(func() { n.core.campaign() })
	}
}

// commands lets clients begin some more.
func (s *story) commands(n int) {
	s.left += n
	for _, c := range s.clients {
		for range opsAtATime {
			s.world.After(s.world.Between(0, 50*time.Millisecond), c.next)
		}
	}
}

// leader lets f happen at the node that leads, as soon as one does.
func (s *story) leader(f func(leader *node)) {
	if leader := s.led(); leader != nil {
		f(leader)
		return
	}
	s.world.After(tickTime, func() { s.leader(f) })
}

// govern lets the leader bring the spare node into the place of a voter, raise the level, and
// give copies, and lets all nodes have their engines durable and drop what they can of the log.
func (s *story) govern() {
	s.world.After(200*time.Millisecond, s.govern)
	if leader := s.led(); leader != nil {
		leader.do(func() { s.replace(leader) })
		leader.do(leader.mend)
	}
	for _, n := range s.nodes {
		n.do(func() {
			n.compact() // by what an earlier flush has made durable
			if s.world.Chance(0.2) {
				n.flush()
			}
		})
	}
}

// replace takes the leader's next step towards a configuration with the spare node.
func (s *story) replace(leader *node) {
	c := leader.core
	if c.machine.level() < Latest {
		_ = c.proposeRoster(&Roster{Number: c.machine.Roster().Number + 1, Level: Latest, Size: storyVoters})
		return
	}
	const spare = storyVoters + 1
	if !Contains(c.conf, spare) {
		_ = c.change([]*raftpb.ConfChangeSingle{change(raftpb.ConfChangeAddLearnerNode, spare)})
		return
	}
	if len(c.conf.GetLearners()) == 0 || s.nodes[spare-1].core == nil {
		return
	}
	leaves := uint64(1)
	if leaves == leader.id {
		leaves = 2
	}
	_ = c.change([]*raftpb.ConfChangeSingle{change(raftpb.ConfChangeAddNode, spare), change(raftpb.ConfChangeRemoveNode, leaves)})
}

// moved reports whether the spare node is a voter in the place of another one.
func (s *story) moved() bool {
	leader := s.led()
	return leader != nil && len(leader.core.conf.GetVoters()) == storyVoters && Contains(leader.core.conf, storyVoters+1)
}

// step lets the next event happen, and whoever loses its power in it crash.
func (s *story) step() {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case simulate.PowerLoss:
			for _, n := range s.nodes {
				if n.id == p.Node || s.everybody {
					n.lose()
				}
			}
		default:
			panic(p)
		}
	}()
	s.world.Step()
}

// lose takes a node's power, with all that was not synced, for a while.
func (n *node) lose() {
	n.s.counts.crashes++
	if n.core != nil {
		n.stop()
	}
	n.log.Lose()
	n.engine.Crash()
	n.startIn(time.Second)
}

// tell lets the story happen, and judges what has become of it.
func (s *story) tell() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	for calm := false; !s.over || s.left > 0 || s.open > 0 || !s.agree(); {
		s.step()
		switch {
		case s.err != nil:
			return s.err
		case s.world.Steps > storySteps:
			return fmt.Errorf("%d commands have no answer; the replicas: %s", s.left+s.open, s.replicas())
		case s.over && !calm:
			calm = true
			s.settle()
		}
	}
	leader := s.led()
	s.counts.adopted = leader.engine.Dictionaries()
	for _, r := range leader.core.replicas() {
		if !s.nodes[r.Node-1].engine.Same(leader.engine) {
			return fmt.Errorf("replicas %d and %d differ", leader.id, r.Node)
		}
	}
	return judge(s.history)
}

// agree reports whether a node leads, has acknowledged something since, and all replicas have
// carried out as much as it has.
func (s *story) agree() bool {
	leader := s.led()
	if leader == nil || joint(leader.core.conf) || !s.moved() {
		return false
	}
	at := leader.engine.Applied()
	if at.Term != leader.core.term {
		return false
	}
	for _, r := range leader.core.replicas() {
		if n := s.nodes[r.Node-1]; n.core == nil || n.engine.Applied() != at {
			return false
		}
	}
	return true
}

// replicas says how all are.
func (s *story) replicas() (text string) {
	for _, n := range s.nodes {
		if n.core == nil {
			text += fmt.Sprintf("\n%d is down", n.id)
			continue
		}
		text += fmt.Sprintf("\n%d: term %d, leads %v, follows %d, applied %v, %v", n.id, n.core.term, n.core.leads, n.core.lead, n.engine.Applied(), n.core.conf)
	}
	return text
}
