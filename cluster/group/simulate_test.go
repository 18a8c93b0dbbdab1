package group

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/simulate"
	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
)

var (
	simulateSteps = flag.Int("simulate.steps", 150_000, "events of TestSimulation, over all seeds")
	simulateSeed  = flag.Uint64("simulate.seed", 0, "the only seed of TestSimulation; 0: those from 1 on")
)

// TestSimulation lets replicas run in a world that does everything to them, clients
// send commands until all are answered, and checks that each key was linearizable,
// that nothing that was seen to have expired came back, that nothing left before
// its time, and that the replicas are the same in the end.
func TestSimulation(t *testing.T) {
	steps, _, counted := simulations(t, faults{})
	if *simulateSeed != 0 {
		return
	}
	t.Logf("%d events: %+v", steps, counted)
	if counted.crashes == 0 || counted.leads <= counted.worlds || counted.duplicates == 0 || counted.again == 0 || counted.copies == 0 || counted.changes == 0 || counted.adopted < counted.worlds {
		t.Error("nothing much has happened")
	}
}

// TestSimulationAgain repeats worlds that could not go on once.
func TestSimulationAgain(t *testing.T) {
	for _, seed := range []uint64{
		6432, // a leader that was removed refused its vote, and nobody else could be elected
	} {
		simulation(t, seed, faults{})
	}
}

// TestSimulationNotices lets disks do what they must not, which TestSimulation has
// to notice.
func TestSimulationNotices(t *testing.T) {
	for name, f := range map[string]struct {
		faults
		from uint64 // a seed that is not far from one that notices
	}{
		"acknowledged before the sync": {faults{lies: true}, 10},
		"votes are forgotten":          {faults{forgetsVotes: true}, 275},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := f.from; seed < f.from+400; seed++ {
				if r := simulate1(t, seed, f.faults); r.err != nil {
					t.Logf("seed %d: %v", seed, r.err)
					return
				}
			}
			t.Error("nothing was noticed")
		})
	}
}

// TestSimulationHeals lets a replica, or two of five, have what no entry has put there.
// The others must find it out, and it must have become a copy of theirs in the end.
func TestSimulationHeals(t *testing.T) {
	steps, spread, counted := simulations(t, faults{corrupts: true})
	if *simulateSeed != 0 {
		return
	}
	t.Logf("%d events: %+v, copies of wrong replicas in %d worlds", steps, counted, spread)
	if counted.heals < counted.worlds/2 || counted.wrongLeads == 0 || spread > counted.worlds/4 {
		t.Error("not much was healed")
	}
}

// TestSimulationChanges lets the replicas of a log change all the time, with one voter at times,
// and leaders remove themselves: there must be a leader all the same.
func TestSimulationChanges(t *testing.T) {
	steps, _, counted := simulations(t, faults{changes: true})
	if *simulateSeed != 0 {
		return
	}
	t.Logf("%d events: %+v", steps, counted)
	if counted.removed < counted.worlds {
		t.Error("few leaders were removed")
	}
}

type faults struct{ lies, forgetsVotes, keepsSuffix, corrupts, changes bool }

// simulations are as many worlds as -simulate.steps asks for, up to one that fails, or the one of
// -simulate.seed; spread is in how many of them a replica got a copy of a wrong one.
func simulations(t *testing.T, f faults) (steps, spread int, counted events) {
	for seed := max(1, *simulateSeed); steps < *simulateSteps && !t.Failed(); seed++ {
		r := simulation(t, seed, f)
		steps += r.steps
		counted.add(r.counts)
		if r.spread {
			spread++
		}
		if *simulateSeed != 0 {
			break
		}
	}
	return steps, spread, counted
}

func simulation(t *testing.T, seed uint64, f faults) simulated {
	r := simulate1(t, seed, f)
	if r.err != nil {
		t.Errorf("-simulate.seed=%d: after %d events: %v", seed, r.steps, r.err)
	}
	return r
}

// events say that a world was not a dull one.
type events struct {
	worlds, crashes, leads, again, duplicates, notFound, commands, copies, changes, heals, wrongLeads, adopted, removed int
}

func (c *events) add(o events) {
	c.worlds++
	c.crashes += o.crashes
	c.leads += o.leads
	c.again += o.again
	c.duplicates += o.duplicates
	c.notFound += o.notFound
	c.commands += o.commands
	c.copies += o.copies
	c.changes += o.changes
	c.heals += o.heals
	c.wrongLeads += o.wrongLeads
	c.adopted += o.adopted
	c.removed += o.removed
}

type simulated struct {
	steps  int
	counts events
	spread bool // a replica with what must not be there was copied
	err    error
}

// simulate1 runs one world. A panic is an error, too: raft panics when it meets
// what cannot be.
func simulate1(t *testing.T, seed uint64, f faults) (r simulated) {
	cryptotest.SetGlobalRandom(t, seed)
	s := newSimulation(seed, f)
	defer func() {
		if p := recover(); p != nil {
			r = simulated{s.world.Steps, s.counts, s.spread, fmt.Errorf("panic: %v", p)}
		}
	}()
	err := s.run()
	return simulated{s.world.Steps, s.counts, s.spread, err}
}

const (
	tickTime   = 75 * time.Millisecond
	opsPerRun  = 220
	spares     = 2 // nodes that are no replicas at first
	clients    = 4
	opsAtATime = 3
	worldBegin = 1_767_312_000_000 // ms
)

// aSimulation is one world: replicas, clients, faults.
type aSimulation struct {
	world   *simulate.World
	network *simulate.Network
	nodes   []*node
	clients []*client
	faults  faults
	spread  bool
	calm    bool    // no more faults
	long    bool    // logs are always too long
	crashes float64 // how likely one is after each event of a node
	err     error

	lost func(m *raftpb.Message) bool // that message, which it may change; nil: chance decides

	writes  *simulate.Writes  // nil: nobody counts them
	leaders map[uint64]uint64 // who has led in a term
	entries map[uint64]uint64 // the term of each entry that was carried out

	latest  session.Time // of any clock
	counts  events
	history []porcupine.Operation
	left    int // commands to be begun
	open    int // and not answered
}

func newSimulation(seed uint64, f faults) *aSimulation {
	w := simulate.New(seed)
	s := &aSimulation{world: w, faults: f, left: opsPerRun, crashes: 0.0005, leaders: map[uint64]uint64{}, entries: map[uint64]uint64{}, network: &simulate.Network{
		World: w, Drop: w.Rand.Float64() * 0.1, Duplicate: w.Rand.Float64() * 0.1,
		Low: 200 * time.Microsecond, High: 20 * time.Millisecond, Late: 3 * time.Second,
	}}
	if f.forgetsVotes { // it takes a crash between two elections of a term
		s.crashes = 0.01
	}
	count := 3
	if w.Chance(0.3) {
		count = 5
	}
	voters := make([]uint64, count)
	for i := range voters {
		voters[i] = uint64(i + 1)
	}
	for range count + spares {
		s.addNode(voters)
	}
	for range clients {
		c := s.addClient()
		for range opsAtATime {
			w.After(w.Between(0, time.Second), c.next)
		}
	}
	w.After(time.Second, s.disturb)
	w.After(tellEvery, s.tell)
	w.After(trainEvery, s.train)
	if f.corrupts {
		for i := range count / 2 {
			n := s.nodes[(w.Rand.IntN(count)+i)%count]
			w.After(w.Between(time.Second, lastGhost), func() {
				n.engine.Corrupt(ghost)
				if n.leads {
					s.counts.wrongLeads++
				}
			})
		}
	}
	return s
}

// addNode adds the next node, one of the voters or a spare one, and starts it.
func (s *aSimulation) addNode(voters []uint64) {
	skew := time.Duration(s.world.Rand.IntN(6001)-3000) * time.Millisecond
	s.add(&node{skew: skew, joined: len(s.nodes) < len(voters)}, voters, 30*time.Millisecond)
}

// add makes n the next node, whose syncs take so long at most, and starts it.
func (s *aSimulation) add(n *node, voters []uint64, slowest time.Duration) {
	n.s, n.id = s, uint64(len(s.nodes))+1
	n.log = simulate.NewLog(s.world, voters)
	n.log.Low, n.log.High = 100*time.Microsecond, slowest
	n.log.Lies, n.log.ForgetsVotes, n.log.KeepsSuffix = s.faults.lies, s.faults.forgetsVotes, s.faults.keepsSuffix
	n.log.Node, n.log.Writes = n.id, s.writes
	n.engine = simulate.NewEngine(n.clock)
	s.nodes = append(s.nodes, n)
	n.start()
}

// addClient adds the next client.
func (s *aSimulation) addClient() *client {
	c := &client{s: s, number: len(s.clients), skew: time.Duration(s.world.Rand.IntN(4001)-2000) * time.Millisecond}
	binary.BigEndian.PutUint64(c.origin[8:], uint64(c.number)+1)
	s.clients = append(s.clients, c)
	return c
}

// ghost is the key of an item that nobody has stored, and lastGhost when it has come.
const (
	ghost     = "ghost"
	lastGhost = 10 * time.Second
)

// tellEvery is how often replicas tell the others what they have come to.
const tellEvery = 500 * time.Millisecond

// trainEvery is how often a leader has a dictionary for the log to adopt.
const trainEvery = 2 * time.Second

// train lets leaders, and who takes itself for one, propose dictionaries.
func (s *aSimulation) train() {
	s.world.After(trainEvery, s.train)
	for _, n := range s.nodes {
		if n.core == nil || n.paused || !n.core.leads {
			continue
		}
		n.trained++
		w := &Write{Origin: Origin{0: 1, 15: byte(n.id)}, Seq: n.trained, Mark: n.trained, Done: func([]byte, error) {},
			Burst: &session.Burst{Commands: []session.Command{n.engine.Adoption()}}}
		register := &Write{Origin: w.Origin, Register: true, Done: w.Done}
		n.do(func() {
			if err := errors.Join(n.core.prepare(register), n.core.prepare(w)); err != nil {
				s.err = err
				return
			}
			n.core.write([]*Write{register, w})
		})
	}
}

// tell lets all replicas tell the others what they have come to, or that they are away.
func (s *aSimulation) tell() {
	s.world.After(tellEvery, s.tell)
	for _, n := range s.nodes {
		if s.faults.corrupts { // the log has to come to the level that compares
			n.reconfigure(n)
		}
		var latest []Sum
		switch {
		case n.away:
		case n.core == nil || n.paused:
			continue
		default:
			latest, _ = n.core.machine.sums.last(toldSums)
		}
		there := !n.away
		for _, to := range s.nodes {
			if to != n {
				s.network.Send(n.id, to.id, func() { to.do(func() { to.core.hear(n.id, latest, there) }) })
			}
		}
	}
}

// healed reports whether all replicas are the same, and nothing is where it must not be
// unless it was copied before anybody could know.
func (s *aSimulation) healed() bool {
	for _, n := range s.nodes {
		if n.joined && (n.away || n.engine.Has(ghost) != s.nodes[0].engine.Has(ghost) || n.engine.Has(ghost) && !s.spread) {
			return false
		}
	}
	return true
}

// run lets the world go on until all commands are answered, then for a while
// without faults, and judges.
func (s *aSimulation) run() error {
	for (s.left > 0 || s.open > 0) && s.err == nil {
		if s.world.Steps > 400_000 {
			return fmt.Errorf("%d commands have no answer", s.left+s.open)
		}
		s.world.Step()
		if s.left == 0 && !s.calm {
			s.settle()
		}
	}
	until := s.world.Now() + 5*time.Second
	if s.faults.corrupts {
		until = max(until, lastGhost)
	}
	for limit := until + time.Minute; s.err == nil; s.world.Step() {
		if now := s.world.Now(); now > limit || now > until && s.healed() {
			break
		}
	}
	if s.err != nil {
		return s.err
	}
	s.counts.adopted = s.nodes[0].engine.Dictionaries()
	if !s.healed() {
		return errors.New("what no entry has put there is there still, or not everywhere")
	}
	first := map[engine.Position]*node{}
	for _, n := range s.nodes {
		// Ticks go on: compare those that have come as far.
		at := n.engine.Applied()
		if other := first[at]; other == nil {
			first[at] = n
		} else if !n.engine.Same(other.engine) {
			return fmt.Errorf("replicas %d and %d differ at %v", n.id, other.id, at)
		}
	}
	return judge(s.history)
}

// settle ends the faults.
func (s *aSimulation) settle() {
	s.calm = true
	s.network.Calm()
	for _, n := range s.nodes {
		n.resume()
		if n.core == nil {
			n.start()
		}
		if n.core != nil {
			n.core.setFitness(fit)
		}
	}
}

// led is the node that leads, in the latest term; nil: none does.
func (s *aSimulation) led() (leader *node) {
	for _, n := range s.nodes {
		if n.core != nil && n.core.leads && (leader == nil || n.core.term > leader.core.term) {
			leader = n
		}
	}
	return leader
}

// disturb does something to somebody, again and again.
func (s *aSimulation) disturb() {
	if s.calm {
		return
	}
	w := s.world
	w.After(w.Between(50*time.Millisecond, 2*time.Second), s.disturb)
	n := s.nodes[w.Rand.IntN(len(s.nodes))]
	other := s.nodes[w.Rand.IntN(len(s.nodes))]
	what := w.Rand.IntN(14)
	if s.faults.changes && w.Chance(0.6) {
		what = 11
	}
	switch what {
	case 0, 1:
		n.crash()
	case 2:
		if w.Chance(0.2) {
			for _, n := range s.nodes {
				n.crash()
			}
		}
	case 3:
		s.network.Cut(n.id, other.id)
	case 4:
		for _, to := range s.nodes {
			s.network.Cut(n.id, to.id)
			if w.Chance(0.5) {
				s.network.Cut(to.id, n.id)
			}
		}
	case 5, 6:
		s.network.Heal()
	case 7:
		n.pause(w.Between(10*time.Millisecond, 4*time.Second))
	case 8:
		n.skew += time.Duration(w.Rand.IntN(8001)-4000) * time.Millisecond
	case 9:
		if n.core != nil && !n.paused {
			n.core.transfer(other.id)
			n.work()
		}
	case 10:
		if n.core != nil && !n.paused { // what a refused connection leads to
			n.core.gone(other.id, int(n.id%3))
			n.core.campaign()
			n.work()
		}
	case 11, 12:
		for _, n := range s.nodes {
			n.reconfigure(other)
		}
	case 13:
		if n.core != nil && !n.paused { // its clock is found to be wrong, or right
			n.core.setFitness(fitness(w.Rand.IntN(3)))
			n.work()
		}
	}
}

// reconfigure lets a leader make another node a replica, or none, or a voter, or put
// it in the place of a voter, as they may all come from an operator.
func (n *node) reconfigure(other *node) {
	if n.core == nil || n.paused || !n.core.leads {
		return
	}
	w := n.s.world
	roster := *n.core.machine.Roster()
	roster.Number++
	roster.Level, roster.Size = Latest, w.Rand.IntN(9)
	_ = n.core.proposeRoster(&roster)
	if n.s.faults.corrupts { // it takes most voters to tell who is right
		n.work()
		return
	}
	fewest := 2 // voters that stay
	if n.s.faults.changes {
		fewest = 1
	}
	var voters, learners []uint64
	for _, r := range n.core.replicas() {
		if r.Learner {
			learners = append(learners, r.Node)
		} else {
			voters = append(voters, r.Node)
		}
	}
	var changes []*raftpb.ConfChangeSingle
	switch {
	case slices.Contains(learners, other.id) && other.joined && w.Chance(0.7):
		changes = append(changes, change(raftpb.ConfChangeAddNode, other.id))
		if w.Chance(0.7) {
			gone := voters[w.Rand.IntN(len(voters))]
			if n.s.faults.changes && w.Chance(0.7) {
				gone = n.id
			}
			changes = append(changes, change(raftpb.ConfChangeRemoveNode, gone))
		}
	case slices.Contains(learners, other.id), slices.Contains(voters, other.id) && len(voters) > fewest:
		changes = append(changes, change(raftpb.ConfChangeRemoveNode, other.id))
	case !slices.Contains(voters, other.id):
		changes = append(changes, change(raftpb.ConfChangeAddLearnerNode, other.id))
	}
	if n.core.change(changes) == nil && len(changes) > 0 {
		n.s.counts.changes++
	}
	n.work()
}

// node is a replica with its disk and its clock.
type node struct {
	s      *aSimulation
	id     uint64
	skew   time.Duration
	log    *simulate.Log
	engine *simulate.Engine

	joined  bool  // false: it waits for a copy to begin with
	away    bool  // it gets a copy
	core    *core // nil: down
	life    int
	paused  bool
	frozen  bool // paused for good
	late    bool // a tick is due since it paused
	leads   bool
	trained Sequence // of the dictionaries that it has proposed
	inbox   []func() // while paused
	applies []*raftpb.Message
	appends appends
}

func (n *node) clock() session.Time {
	now := session.Time(worldBegin).Add(n.s.world.Now() + n.skew)
	n.s.latest = max(n.s.latest, now)
	return now
}

func (n *node) start() {
	if !n.joined || n.away {
		return
	}
	c, err := newCore(Options{
		Node: n.id, Storage: n.log, Engine: n.engine, Clock: n.clock, Logger: slog.New(slog.DiscardHandler),
		LogSize: n.logSize, MaxLog: 0, CheckTicks: 20,
	})
	if err != nil {
		n.s.err = err
		return
	}
	n.core = c
	n.tick()
	n.work()
}

// logSize is more than enough half of the time, or always: then replicas that are away lose
// the log.
func (n *node) logSize() int64 {
	if n.s.long {
		return 1
	}
	return int64(n.s.world.Rand.IntN(2))
}

// mend gives a copy of the leader's engine to replicas that need one.
func (n *node) mend() {
	if n.core.suspect {
		return
	}
	s, behind := n.s, n.core.behind()
	for _, r := range n.core.replicas() {
		if !s.nodes[r.Node-1].joined {
			behind = append(behind, r.Node)
		}
	}
	first, _ := n.log.FirstIndex()
	term, _ := n.log.Term(first - 1)
	for _, id := range behind {
		to := s.nodes[id-1]
		life, joined := to.life, to.joined
		s.network.Send(n.id, id, func() {
			if (to.core == nil) == joined || to.paused || to.life != life || n.core == nil {
				return
			}
			if own, err := to.log.Term(first - 1); joined && err == nil && own == term { // as in Node.isBehind
				to.do(func() { to.core.attested = max(to.core.attested, first-1) })
				return
			}
			at := n.engine.Applied()
			if at.Index <= to.engine.Applied().Index {
				return // it was long under way
			}
			s.counts.copies++
			s.spread = s.spread || n.engine.Has(ghost)
			if to.joined {
				to.stop()
			}
			to.log.Crash()
			s.writes.Do(id, "copy", func() {
				to.joined = true
				to.engine.Copy(n.engine)
				to.log.Restart(at.Index, at.Term, n.log.ConfState(at.Index))
			})
			to.start()
		})
	}
}

// heal tells a replica that it differs from most.
func (n *node) heal() {
	id, most := n.core.sick()
	if id == 0 {
		return
	}
	to := n.s.nodes[id-1]
	n.s.network.Send(n.id, id, func() {
		to.do(func() {
			if own, _ := to.core.machine.sums.last(keptSums); differs(own, most) && !to.core.leads {
				n.s.counts.heals++
				to.stop()
				to.log.Crash()
				to.away = true
				n.s.world.After(n.s.world.Between(100*time.Millisecond, 3*time.Second), to.fetch)
			}
		})
	})
}

// fetch gets a copy from the leader, once there is one.
func (n *node) fetch() {
	for _, from := range n.s.nodes {
		if from.core != nil && !from.paused && from.core.leads && !from.core.suspect {
			at := from.engine.Applied()
			n.s.spread = n.s.spread || from.engine.Has(ghost)
			n.engine.Copy(from.engine)
			n.log.Restart(at.Index, at.Term, from.log.ConfState(at.Index))
			n.away = false
			n.start()
			return
		}
	}
	n.s.world.After(100*time.Millisecond, n.fetch)
}

// stop ends the process as it is.
func (n *node) stop() {
	n.core.stop()
	n.core, n.paused, n.late, n.leads, n.inbox, n.applies = nil, false, false, false, nil, nil
	n.appends.begun = nil
	n.life++
}

func (n *node) crash() {
	if n.core == nil {
		return
	}
	n.s.counts.crashes++
	n.stop()
	n.log.Crash()
	n.engine.Crash()
	n.startIn(5 * time.Second)
}

// startIn starts a node that is down, in a while.
func (n *node) startIn(atMost time.Duration) {
	n.s.world.After(n.s.world.Between(10*time.Millisecond, atMost), n.startIfDown)
}

func (n *node) startIfDown() {
	if n.core == nil {
		n.start()
	}
}

// do lets f happen at the node, if it lives then as now, once it is not paused.
func (n *node) do(f func()) {
	switch {
	case n.core == nil:
	case n.paused, n.frozen:
		n.inbox = append(n.inbox, f)
	default:
		f()
		n.work()
	}
}

// here is do, later, unless the node has crashed by then.
func (n *node) here(f func()) func() {
	life := n.life
	return func() {
		if life == n.life {
			n.do(f)
		}
	}
}

func (n *node) pause(d time.Duration) {
	if n.core == nil || n.paused {
		return
	}
	n.paused = true
	n.s.world.After(d, func() { n.resume() })
}

func (n *node) resume() {
	if !n.paused || n.frozen {
		return
	}
	n.paused = false
	inbox := n.inbox
	n.inbox = nil
	for _, f := range inbox {
		n.do(f)
	}
	if n.late && n.core != nil && !n.paused { // a late ticker is one tick
		n.late = false
		n.do(n.pass)
	}
}

func (n *node) tick() {
	var again func()
	life := n.life
	again = func() {
		if life != n.life {
			return
		}
		if n.paused || n.frozen {
			n.late = true
		} else {
			n.do(n.pass)
			if life == n.life && n.core.differences.Load() > 0 && !n.s.faults.corrupts {
				n.s.err = fmt.Errorf("replica %d finds that replicas differ", n.id)
			}
			if life == n.life && n.s.world.Chance(0.05) {
				n.mend()
			}
			if life == n.life && n.s.world.Chance(0.05) {
				n.heal()
			}
		}
		n.s.world.After(tickTime, again)
	}
	n.s.world.After(n.s.world.Between(0, tickTime), again)
}

// pass lets a tick of time pass.
func (n *node) pass() { n.core.pass(n.waits()) }

// waits is for how long the disk has let the node wait.
func (n *node) waits() time.Duration { return n.appends.longest(n.instant()) }

// instant is one of a clock that never jumps.
func (n *node) instant() time.Time { return time.Time{}.Add(n.s.world.Now()) }

// work does what the core wants.
func (n *node) work() {
	if n.core == nil {
		return
	}
	w := n.s.world
	var todo work
	led := n.leads
	n.core.take(&todo)
	if n.leads = n.core.leads; n.leads && !led {
		n.s.counts.leads++
	}
	if led && !n.leads && !Contains(n.core.conf, n.id) {
		n.s.counts.removed++
	}
	n.s.lead(n)
	n.send(todo.send)
	for _, m := range todo.append {
		responses := m.GetResponses()
		sync := promises(responses)
		if sync {
			n.appends.begin(n.instant())
		}
		respond := n.here(func() {
			if sync {
				n.appends.end()
			}
			n.respond(responses)
		})
		n.log.Append(m, sync, func(error) { respond() })
	}
	if len(todo.apply) > 0 {
		n.applies = append(n.applies, todo.apply...)
		if len(n.applies) == len(todo.apply) {
			w.After(w.Between(0, 5*time.Millisecond), n.here(n.apply))
		}
	}
	if !n.s.calm && w.Chance(n.s.crashes) {
		n.crash()
	}
}

// lead sees that nobody leads in a term in which another node has led.
func (s *aSimulation) lead(n *node) {
	if !n.core.leads || s.leaders == nil {
		return
	}
	if other, found := s.leaders[n.core.term]; found && other != n.id {
		s.err = fmt.Errorf("replica %d leads in term %d, and so did %d", n.id, n.core.term, other)
	}
	s.leaders[n.core.term] = n.id
}

// carry sees that nobody carries out another entry than a replica has before.
func (s *aSimulation) carry(n *node, e *raftpb.Entry) {
	if s.entries == nil {
		return
	}
	if term, found := s.entries[e.GetIndex()]; found && term != e.GetTerm() {
		s.err = fmt.Errorf("replica %d carries out entry %d of term %d, and another one that of term %d", n.id, e.GetIndex(), e.GetTerm(), term)
	}
	s.entries[e.GetIndex()] = e.GetTerm()
}

func (n *node) apply() {
	m := n.applies[0]
	n.applies = n.applies[1:]
	for _, e := range m.GetEntries() {
		n.s.carry(n, e)
		if e, err := decodeEntry(e.GetData(), Latest); err == nil && e.form == formBurst && n.core.machine.origins.judge(&e) == duplicate {
			n.s.counts.duplicates++
		}
	}
	last, err := n.core.carryOut(m)
	if err != nil {
		n.s.err = fmt.Errorf("replica %d: %w", n.id, err)
		return
	}
	n.core.done(last)
	n.respond(m.GetResponses())
	w := n.s.world
	if w.Chance(0.02) {
		n.flush()
	}
	if w.Chance(0.02) {
		n.compact()
	}
	if len(n.applies) > 0 {
		w.After(w.Between(0, 5*time.Millisecond), n.here(n.apply))
	}
}

// flush makes durable what the engine has.
func (n *node) flush() {
	if durable, _ := n.engine.DurablePosition(); durable != n.engine.Applied() {
		n.s.writes.Do(n.id, "flush", n.engine.Flush)
	}
}

// compact drops what is no longer needed.
func (n *node) compact() {
	last, err := n.core.compactable()
	if err == nil {
		err = n.log.Compact(last)
	}
	if err != nil {
		n.s.err = err
	}
}

func (n *node) respond(responses []*raftpb.Message) {
	for _, m := range responses {
		if m.GetTo() == n.id {
			n.core.step(m)
		} else {
			n.send([]*raftpb.Message{m})
		}
	}
}

func (n *node) send(messages []*raftpb.Message) {
	for _, m := range messages {
		if n.s.lost != nil && n.s.lost(m) {
			continue
		}
		to := n.s.nodes[m.GetTo()-1]
		n.s.network.Send(n.id, to.id, func() { to.do(func() { to.core.step(m) }) })
	}
}

// client is a node's store as the group sees it: an origin that sends commands
// again until it has the answer.
type client struct {
	s      *aSimulation
	number int
	origin Origin
	last   Sequence
	open   []Sequence
	lead   int
	skew   time.Duration
}

func (c *client) mark() Sequence {
	mark := c.last + 1
	for _, seq := range c.open {
		mark = min(mark, seq)
	}
	return mark
}

// call is a command under way.
type call struct {
	c       *client
	seq     Sequence // 0: a read
	input   input
	number  int
	begun   int64
	attempt int
	over    bool
}

// next begins a command.
func (c *client) next() {
	s, w := c.s, c.s.world
	if s.left == 0 {
		return
	}
	s.left--
	s.open++
	k := &call{c: c, number: s.left, begun: int64(w.Now()), input: input{
		op: ops[w.Rand.IntN(len(ops))], key: fmt.Sprintf("k%d", w.Rand.IntN(5)), value: fmt.Sprint(1000 * (s.left + 1)),
	}}
	k.input.now = session.Time(worldBegin).Add(w.Now() + c.skew)
	k.input.expiry = session.Never
	if w.Chance(0.5) {
		k.input.expiry = k.input.now.Add(w.Between(100*time.Millisecond, 20*time.Second))
	}
	if k.input.op == session.OpSet && w.Chance(0.3) {
		k.input.cas = s.someVersion(k.input.key)
	}
	if k.input.op != session.OpGet {
		c.last++
		k.seq = c.last
		c.open = append(c.open, k.seq)
	}
	k.send()
}

var ops = []session.Op{
	session.OpGet, session.OpGet, session.OpGet, session.OpGet, session.OpSet, session.OpSet, session.OpAdd,
	session.OpIncr, session.OpIncr, session.OpIncr, session.OpTouch, session.OpDelete,
}

// someVersion is one that the key has had lately; 0: none is known.
func (s *aSimulation) someVersion(key string) uint64 {
	for i := len(s.history) - 1; i >= 0; i-- {
		if in := s.history[i].Input.(input); in.key == key {
			if out := s.history[i].Output.(output); out.version != 0 {
				return out.version
			}
		}
	}
	return 0
}

// send sends the command to the node that seems to lead, and again if there is no
// answer for a while.
func (k *call) send() {
	if k.over {
		return
	}
	s, w := k.c.s, k.c.s.world
	if k.attempt++; k.attempt > 1 {
		s.counts.again++
	}
	attempt := k.attempt
	target := s.nodes[k.c.lead%len(s.nodes)]
	mark := k.c.mark()
	here := uint64(100 + k.c.number)
	s.network.Send(here, target.id, func() {
		target.do(func() {
			k.arrive(target, mark, func(results *session.Burst, err error) {
				s.network.Send(target.id, here, func() { k.answer(target, attempt, results, err) })
			})
		})
	})
	w.After(w.Between(300*time.Millisecond, 2*time.Second), func() {
		if !k.over && k.attempt == attempt {
			k.c.lead = w.Rand.IntN(len(s.nodes))
			k.send()
		}
	})
}

// arrive is the command at a node.
func (k *call) arrive(n *node, mark Sequence, answer func(*session.Burst, error)) {
	b := k.input.burst()
	if k.seq == 0 {
		read := new(Read)
		read.Ready = func(err error) {
			if err == nil {
				b.Now = n.core.machine.clock()
				n.engine.Apply(b, completed{})
			}
			answer(b, err)
		}
		n.core.read([]*Read{read})
		return
	}
	w := &Write{Origin: k.c.origin, Seq: k.seq, Mark: mark, Burst: b}
	w.Done = func(results []byte, err error) {
		out := &session.Burst{Commands: b.Commands}
		if err == nil {
			_, err = codec.DecodeResults(bytes.Clone(results), out)
		}
		answer(out, err)
	}
	if err := n.core.prepare(w); err != nil {
		n.s.err = err
		return
	}
	n.core.write([]*Write{w})
}

type completed struct{}

func (completed) Complete([]*session.Burst) {}

// answer takes what a node says.
func (k *call) answer(n *node, attempt int, b *session.Burst, err error) {
	s, w := k.c.s, k.c.s.world
	if k.over || err != nil && attempt != k.attempt {
		return
	}
	switch err {
	case nil:
	case ErrStranger:
		register := &Write{Origin: k.c.origin, Register: true, Done: func([]byte, error) {}}
		n.do(func() {
			if err := n.core.prepare(register); err == nil {
				n.core.write([]*Write{register})
			}
		})
		w.After(w.Between(time.Millisecond, 100*time.Millisecond), k.send)
		return
	case ErrForgotten:
		s.err = fmt.Errorf("%v of client %d is forgotten, and has no answer", k.input, k.c.number)
		return
	default:
		k.c.lead = w.Rand.IntN(len(s.nodes))
		w.After(w.Between(time.Millisecond, 200*time.Millisecond), k.send)
		return
	}
	k.over = true
	s.open--
	for i, seq := range k.c.open {
		if seq == k.seq {
			k.c.open = append(k.c.open[:i], k.c.open[i+1:]...)
			break
		}
	}
	r := &b.Results[0]
	s.counts.commands++
	if r.Status == session.NotFound {
		s.counts.notFound++
	}
	out := output{status: r.Status, value: string(r.Item.Value), version: r.Item.Version, number: r.Number,
		latest: s.latest.Add(maxAhead)}
	s.history = append(s.history, porcupine.Operation{
		ClientId: k.number, Input: k.input, Call: k.begun, Output: out, Return: int64(w.Now()),
	})
	w.After(w.Between(0, 500*time.Millisecond), k.c.next)
}

type input struct {
	op    session.Op
	key   string
	value string
	now   session.Time // of the client
	cas   uint64

	expiry session.Time
}

func (in input) burst() *session.Burst {
	c := session.Command{Op: in.op, Key: []byte(in.key), Value: []byte(in.value), Expiry: in.expiry}
	switch in.op {
	case session.OpGet, session.OpDelete:
		c.Value, c.Expiry = nil, 0
	case session.OpIncr:
		c.Value, c.Expiry, c.Delta = nil, 0, 1
	case session.OpTouch:
		c.Value = nil
	case session.OpSet:
		if in.cas != 0 {
			c.Mods, c.CAS = session.IfVersion, in.cas
		}
	}
	return &session.Burst{Now: in.now, Commands: []session.Command{c}}
}

type output struct {
	status  session.Status
	value   string
	version uint64
	number  uint64
	latest  session.Time // that any replica may have taken it to be
}

// item is a key's state as the model sees it.
type item struct {
	present bool
	expiry  session.Time
	value   string
	version uint64
}

// judge checks the history of each key.
func judge(history []porcupine.Operation) error {
	stored := map[uint64]input{}
	for _, o := range history {
		in, out := o.Input.(input), o.Output.(output)
		if out.status != session.OK || in.op != session.OpSet && in.op != session.OpAdd && in.op != session.OpIncr {
			continue
		}
		if other, twice := stored[out.version]; twice {
			return fmt.Errorf("version %d is of %v and of %v", out.version, in, other)
		}
		stored[out.version] = in
	}
	for _, part := range model.Partition(history) {
		switch porcupine.CheckOperationsTimeout(model, part, 20*time.Second) {
		case porcupine.Illegal:
			return fmt.Errorf("not linearizable: %s", describe(part))
		case porcupine.Unknown:
			return fmt.Errorf("%d commands could not be judged in time", len(part))
		}
	}
	return nil
}

// describe writes a history, a command a line.
func describe(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	var text strings.Builder
	for _, o := range history {
		in, out := o.Input.(input), o.Output.(output)
		fmt.Fprintf(&text, "\n%12.6f %12.6f %s value %s cas %d expiry %d: status %d value %s version %d number %d, latest %d",
			float64(o.Call)/1e9, float64(o.Return)/1e9, opNames[in.op]+" "+in.key, in.value, in.cas, in.expiry-worldBegin,
			out.status, out.value, out.version, out.number, out.latest-worldBegin)
	}
	return text.String()
}

var opNames = map[session.Op]string{
	session.OpGet: "get", session.OpSet: "set", session.OpAdd: "add", session.OpIncr: "incr",
	session.OpTouch: "touch", session.OpDelete: "delete",
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(input).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return item{} },
	Step: func(state, in, out any) (bool, any) { return step(state.(item), in.(input), out.(output)) },
}

// step is one command on one key. An item that expires may be found absent when a
// clock has come so far; from then on it is.
func step(it item, in input, out output) (bool, item) {
	absent := !it.present || it.expiry <= out.latest
	if out.status == session.NotFound {
		return absent && in.op != session.OpAdd && (in.op != session.OpSet || in.cas != 0), item{}
	}
	put := item{present: true, expiry: in.expiry, value: in.value, version: out.version}
	switch in.op {
	case session.OpGet:
		return it.present && it.value == out.value && it.version == out.version, it
	case session.OpSet:
		switch {
		case in.cas == 0:
			return out.status == session.OK, put
		case out.status == session.Exists:
			return it.present && it.version != in.cas, it
		}
		return it.present && it.version == in.cas, put
	case session.OpAdd:
		if out.status == session.NotStored {
			return it.present, it
		}
		return absent, put
	case session.OpIncr:
		put.value, put.expiry = fmt.Sprint(out.number), it.expiry
		n, _ := session.ParseNumber([]byte(it.value))
		return it.present && n+1 == out.number, put
	case session.OpTouch:
		ok := it.present && it.version == out.version
		it.expiry = in.expiry
		return ok, it
	case session.OpDelete:
		return it.present && it.version == out.version, item{}
	}
	return false, it
}
