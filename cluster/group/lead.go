package group

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// fitness says whether a node should lead.
type fitness uint8

const (
	fit      fitness = iota
	reserved         // if nobody else can
	never            // what it stamps would be wrong, or nobody asks it
)

// Reason is one why a node should not lead.
type Reason uint8

// Reasons. With one of the first two a node leads only while nobody else can, and with one of
// the others never: raft may elect it, but it stamps nothing and asks another to lead.
const (
	Full    Reason = 1 << iota // its disk is
	Drained                    // an operator wants it to have no clients
	Clock                      // it is wrong, or not known to be right
	Removed                    // the cluster goes on without it
)

// fitness is that of a node with these reasons.
func (r Reason) fitness() fitness {
	switch {
	case r&(Clock|Removed) != 0:
		return never
	case r != 0:
		return reserved
	}
	return fit
}

// setReason says whether there is one why this node should not lead.
func (c *core) setReason(r Reason, holds bool) {
	c.reasons &^= r
	if holds {
		c.reasons |= r
	}
	c.setFitness(c.reasons.fitness())
}

// setFitness says whether this node should lead from now on.
func (c *core) setFitness(f fitness) {
	c.unfit = f
	c.yield()
}

// yield asks another node to lead, if this one leads and should not. It reports whether
// there is one that should.
func (c *core) yield() bool {
	to, better := c.successor()
	if f := c.fitness(); to != 0 && (f == never || f == reserved && better) {
		c.transfer(to)
	}
	return better
}

// successor is the node that has most of the log and is alive, besides this one; 0:
// there is none, or this node does not lead. Those that should not lead, or are to leave, are
// taken last; should says that it is none of them.
func (c *core) successor() (to uint64, should bool) {
	most := uint64(0)
	if !c.leads {
		return 0, false
	}
	leaving := c.machine.Roster().Leaving
	c.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		if id == c.o.Node || kind != raft.ProgressTypePeer || !p.RecentActive || p.Match == 0 {
			return
		}
		if fits := !c.o.Unfit(id) && !slices.Contains(c.found.differ, id) && !slices.Contains(leaving, id); fits && !should || fits == should && p.Match > most {
			to, most, should = id, p.Match, fits
		}
	})
	return to, should
}

// transfer asks another node to lead instead of this one.
func (c *core) transfer(to uint64) {
	if c.leads {
		c.node.TransferLeader(to)
		c.observe()
	}
}

// campaign begins an election unless somebody leads and is heard, or this node's election
// is on its way: beginning anew would forget the votes that have come.
func (c *core) campaign() {
	if c.node.BasicStatus().RaftState == raft.StateFollower {
		c.campaignAgain()
	}
}

// campaignAgain is campaign, but asks the others once more whether they would vote for
// this node if that is all that it has done.
func (c *core) campaignAgain() {
	if state := c.node.BasicStatus().RaftState; state == raft.StateFollower || state == raft.StatePreCandidate {
		c.beginElection()
	}
}

func (c *core) beginElection() {
	if !c.follows() && c.fitness() == fit {
		_ = c.node.Campaign()
		c.observe()
	}
}
