package group

import (
	"cmp"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// dead is a leader that is known not to run any more. It is of interest until another
// leads. All that it changes is how soon there is an
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
	case c.dead.ticks%(2+c.dead.before) != 0:
	case c.term == c.dead.term:
		c.campaignAgain()
	case c.node.BasicStatus().RaftState == raft.StateCandidate: // votes are lost, or split
		c.beginElection()
	}
}

// decide sees that another node asks for votes in the term in which this one does: each
// has voted for itself, so neither may get enough. Raft would let both wait for an
// election timeout. The one that can have the other's vote begins the next election at once: who
// has more of the log, or among equals the lower number.
func (c *core) decide(m *raftpb.Message) {
	if c.node.BasicStatus().RaftState != raft.StateCandidate {
		return
	}
	if order := c.compare(m); order > 0 || order == 0 && c.o.Node < m.GetFrom() {
		c.beginElection()
	}
}

// compare is positive if this node has more of the log than one that asks for its vote,
// 0 if it has as much. With more, that one cannot lead without this one's vote, and does
// not get it. But it does not follow the dead leader any more, which it may have done when
// this node asked.
func (c *core) compare(m *raftpb.Message) int {
	last, err := c.o.Storage.LastIndex()
	if err != nil {
		return -1
	}
	term, err := c.o.Storage.Term(last)
	if err != nil {
		return -1
	}
	return cmp.Or(cmp.Compare(term, m.GetLogTerm()), cmp.Compare(last, m.GetIndex()))
}
