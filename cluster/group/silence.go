package group

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// When a leader is not heard any more, raft begins an election after a random time. A node
// that is refused, because another one has heard the leader a moment later or has more of
// the log, begins the next one as long after. With ticks that are late, on a busy machine,
// both together took seconds. Here nodes campaign in an order, as soon as the others would
// vote, and ask again until there is a leader. As in dead.go, only the time of an election
// depends on it.

// listen notes that a leader is heard.
func (c *core) listen(m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetTerm() == c.term {
			c.silent = 0
		}
	}
}

// leaderless reports whether this node has heard no leader for so long that it gives its
// vote to another one.
func (c *core) leaderless() bool { return c.silent >= c.o.ElectionTicks }

// seek lets a tick pass in which no leader was heard, perhaps. From ElectionTicks + 1 on,
// when all voters have stopped following the former leader unless their ticks are late,
// they campaign one after the other, two ticks apart, again and again.
func (c *core) seek() {
	if c.leads {
		return
	}
	c.silent++
	since := c.silent - c.o.ElectionTicks - 1
	if since < 0 {
		return
	}
	before, voters := 0, 0 // without the leader
	for _, voter := range c.conf.GetVoters() {
		if voter == c.former {
			continue
		}
		voters++
		if voter < c.o.Node {
			before++
		}
	}
	if since%(2*max(voters, 1)) != 2*before || !slices.Contains(c.conf.GetVoters(), c.o.Node) {
		return
	}
	c.beginElection()
}

// promises reports whether one of the responses says what has to be durable first. That
// somebody would get a vote is no promise.
func promises(responses []*raftpb.Message) bool {
	return slices.ContainsFunc(responses, func(m *raftpb.Message) bool { return m.GetType() != raftpb.MsgPreVoteResp })
}
