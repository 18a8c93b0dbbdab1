package group

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/engine"
)

// Replicas that have carried out the same entries are the same. An entry every few
// seconds lets each of them note a hash of what it has come to there, and has the
// leader's of the entry before. Replicas tell each other their hashes; what most voters
// have is right. DESIGN.md says what becomes of the others.

// Sum is the hash of what a replica had come to with an entry of the log.
type Sum struct {
	Index  uint64 `json:"index"`
	Digest uint64 `json:"digest,string"`
}

const (
	keptSums = 8 // of its own, by a replica
	toldSums = 4 // that it tells others
)

// sums are the latest of this replica. They are gone after a start: the next entry
// brings one.
type sums struct {
	mu     sync.Mutex
	latest []Sum  // ascending
	unlike uint64 // the latest index at which the leader that wrote an entry had another; 0: none
}

// note adds the sum at an entry, which has the leader's of an earlier one.
func (s *sums) note(own, leaders Sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if differs(s.latest, leaders) {
		s.unlike = leaders.Index
	}
	if len(s.latest) == keptSums {
		s.latest = slices.Delete(s.latest, 0, 1)
	}
	s.latest = append(s.latest, own)
}

// last returns the n latest sums at most, ascending, and the latest index at which a
// leader had another.
func (s *sums) last(n int) (latest []Sum, unlike uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.latest[max(0, len(s.latest)-n):]), s.unlike
}

// differs reports whether some are known to be of a replica that had something else
// than other at that entry.
func differs(some []Sum, other Sum) bool {
	return slices.ContainsFunc(some, func(s Sum) bool { return s.Index == other.Index && s.Digest != other.Digest })
}

// check notes what this replica has come to with the entry at position at.
func (m *machine) check(at engine.Position, leaders Sum) error {
	digest, err := m.digest()
	if err == nil {
		m.sums.note(Sum{at.Index, digest}, leaders)
	}
	return err
}

// digest hashes what entries have led to: what the engine counts, and what is known
// beside it. How it is made belongs to the form of the entry, and is never changed.
func (m *machine) digest() (uint64, error) {
	_, sessions, err := m.engine.Digest()
	roster := m.Roster()
	text := binary.LittleEndian.AppendUint64(nil, sessions)
	for _, n := range []uint64{uint64(m.now), roster.Number, uint64(roster.Level), uint64(len(m.origins)), m.origins.digest()} {
		text = binary.LittleEndian.AppendUint64(text, n)
	}
	return xxh3.Hash(text), err
}

// digest hashes who is known, and since when, in any order.
func (o origins) digest() (sum uint64) {
	var text []byte
	for origin, state := range o {
		text = append(text[:0], origin[:]...)
		for _, n := range []uint64{uint64(state.last), state.mark, uint64(len(state.slots))} {
			text = binary.LittleEndian.AppendUint64(text, n)
		}
		sum += xxh3.Hash(text)
	}
	return sum
}

// finding is what the sums of replicas say of them.
type finding struct {
	agreed  uint64   // the latest index at which all voters are known to have had the same
	most    Sum      // what most voters had, at the latest index where most had the same
	differ  []uint64 // replicas that had something else there
	divided uint64   // a later index at which voters differed, and none is known to have had what most had
}

// compare looks at the sums of replicas, as far as they are known.
func compare(conf *raftpb.ConfState, known map[uint64][]Sum) (f finding) {
	var indices []uint64
	for _, all := range known {
		for _, s := range all {
			indices = append(indices, s.Index)
		}
	}
	slices.Sort(indices)
	indices = slices.Compact(indices)
	voters := conf.GetVoters()
	for _, index := range slices.Backward(indices) {
		having, most := map[uint64]int{}, Sum{Index: index}
		for _, node := range voters {
			for _, s := range known[node] {
				if s.Index != index {
					continue
				}
				if having[s.Digest]++; having[s.Digest] > having[most.Digest] {
					most.Digest = s.Digest
				}
			}
		}
		switch {
		case f.most.Index > 0:
		case 2*having[most.Digest] > len(voters):
			f.most = most
			for _, node := range slices.Concat(voters, conf.GetLearners()) {
				if differs(known[node], most) {
					f.differ = append(f.differ, node)
				}
			}
		case len(having) > 1 && f.divided == 0:
			f.divided = index
		}
		if having[most.Digest] == len(voters) {
			f.agreed = index
			return f
		}
	}
	return f
}

// told is what another replica has said of itself.
type told struct {
	sums []Sum
	away bool // it is getting a copy
	age  int  // ticks ago
}

// fresh says that it was heard lately.
func (t *told) fresh() bool { return t != nil && t.age <= tellTicks }

// tellTicks is for how many ticks that counts: 3 s.
const tellTicks = 40

// hear takes the sums of another replica; there is false if it says that it is not
// there, but getting a copy.
func (c *core) hear(node uint64, latest []Sum, there bool) {
	if c.told == nil {
		c.told = map[uint64]*told{}
	}
	c.told[node] = &told{sums: latest[max(0, len(latest)-toldSums):], away: !there}
}

// check compares the replicas, as far as their sums are known, and, if this one leads
// and it is time for it, proposes the next entry that asks for them.
func (c *core) check() {
	own, unlike := c.machine.sums.last(keptSums)
	c.compareAll(own, unlike)
	if c.checked++; !c.leads || c.unfit == never || c.checked < c.o.CheckTicks || c.machine.level() < LevelCheck {
		return
	}
	var last Sum
	if len(own) > 0 {
		last = own[len(own)-1]
	}
	if c.propose(appendCheck(nil, last)) == nil {
		c.checked = 0
	}
}

func (c *core) compareAll(own []Sum, unlike uint64) {
	known := map[uint64][]Sum{c.o.Node: own}
	for node, t := range c.told {
		switch t.age++; {
		case Contains(c.conf, node):
			known[node] = t.sums
		case !t.fresh():
			delete(c.told, node)
		}
	}
	c.found = compare(c.conf, known)
	c.agreed = max(c.agreed, c.found.agreed)
	c.suspect = slices.Contains(c.found.differ, c.o.Node)
	undecided := uint64(0)
	if own != nil && c.found.divided < own[len(own)-1].Index { // all have had the time to tell
		undecided = c.found.divided
	}
	if unlike > c.found.most.Index {
		undecided = max(undecided, unlike)
	}
	if c.suspect && c.isNew(c.found.most.Index) {
		c.o.Logger.Error("this node's replica differs from most others, and is to be replaced by a copy of one of them", "index", c.found.most.Index)
	}
	if c.isNew(undecided) {
		c.o.Logger.Error("replicas differ, and it is not known what most of them have", "index", undecided)
	}
}

// isNew reports, once, that replicas have not been reported yet to differ at an index.
func (c *core) isNew(index uint64) bool {
	if index <= c.reported {
		return false
	}
	c.reported = index
	c.differences.Add(1)
	return true
}

// fitness says whether this node should lead.
func (c *core) fitness() fitness {
	if c.suspect {
		return max(c.unfit, reserved)
	}
	return c.unfit
}

// sick is a replica that is to be replaced by a copy of this one, which leads, and what
// it should have had; 0: there is none, or it has to wait: as long as another one gets a
// copy, or too few would be left meanwhile.
func (c *core) sick() (node uint64, most Sum) {
	if !c.leads || c.suspect || joint(c.conf) || len(c.found.differ) == 0 {
		return 0, Sum{}
	}
	i := slices.IndexFunc(c.found.differ, func(node uint64) bool { return c.told[node].fresh() })
	if i < 0 {
		return 0, Sum{}
	}
	node, present := c.found.differ[i], 1
	for _, r := range c.replicas() {
		switch t := c.told[r.Node]; {
		case !t.fresh():
		case t.away:
			return 0, Sum{}
		case r.Active && !r.Learner && r.Node != node:
			present++
		}
	}
	if 2*present <= len(c.conf.GetVoters()) {
		return 0, Sum{}
	}
	return node, c.found.most
}
