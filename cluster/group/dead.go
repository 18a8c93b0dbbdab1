package group

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// dead is a leader that is known not to run any more. It is of interest until a term
// begins in which another may lead. All that it changes is how soon there is an
// election: who may vote for whom is raft's business.
type dead struct {
	node, term uint64 // node led in term; 0: none did
	before     int    // how many nodes are to campaign before this one
	ticks      int    // since this node knows
}

// led reports whether a message is one that the dead leader has sent as leader, and
// that was on its way when the word came that it is dead. To believe it would be to
// wait a whole election timeout for the next. A node that is back never leads in a
// term in which it led before, so what it says now is none of these.
func (d *dead) led(m *raftpb.Message) bool {
	if d.node == raft.None || m.GetFrom() != d.node || m.GetTerm() != d.term {
		return false
	}
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		return true
	}
	return false
}

// gone stops following a leader of which is known that it does not run any more, so
// that this node votes for another. It returns false if this node did not follow it.
// The caller lets this node campaign, once before others have had the time to.
func (c *core) gone(node uint64, before int) bool {
	if c.lead != node || c.leads {
		return false
	}
	c.dead = dead{node: node, term: c.term, before: before}
	_ = c.node.ForgetLeader()
	c.observe()
	return true
}

// mourn lets a tick of the time pass in which this node knows that the leader is gone.
// Those that do not know it yet do not answer who campaigns, so it does again, at a
// distance that differs from that of the others. They know at the latest when the
// leader has been silent for ElectionTicks. If nobody leads then either, the word may
// have been wrong, and the leader is believed again.
func (c *core) mourn() {
	if c.dead.node == raft.None {
		return
	}
	switch c.dead.ticks++; {
	case c.dead.ticks > c.o.ElectionTicks+2:
		c.dead = dead{}
	case c.dead.ticks%(2+c.dead.before) == 0:
		c.campaignAgain()
	}
}

// ahead reports whether this node has more of the log than one that asks for its vote.
// Then that one cannot lead without this one's vote, and does not get it. But it does
// not follow the dead leader any more, which it may have done when this node asked.
func (c *core) ahead(m *raftpb.Message) bool {
	last, err := c.o.Storage.LastIndex()
	if err != nil {
		return false
	}
	term, err := c.o.Storage.Term(last)
	return err == nil && (term > m.GetLogTerm() || term == m.GetLogTerm() && last > m.GetIndex())
}
