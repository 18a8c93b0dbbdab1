package group

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// A change of the configuration counts at a node once that knows it to be committed. If whoever
// knew is gone, the others may need somebody's vote who does not give it, since it has more of
// the log, and who cannot be elected itself: a node that the change removes, and which knows
// that, or one that it makes a voter, and which does not. With raft alone nobody would ever lead
// again. So who asks for votes, and who refuses one, says up to where it has carried out the log.
// That is committed, whoever leads: the entries up to there count as such at every node that has
// that entry. DESIGN.md has an example.

// vouch adds to a message that asks for votes, or refuses one, up to where this node has carried
// out the log: an entry without data, which raft does not look at, nor does an earlier version.
func (c *core) vouch(m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgStorageAppend:
		for _, response := range m.GetResponses() {
			c.vouch(response)
		}
		return
	case raftpb.MsgVote, raftpb.MsgPreVote:
	case raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
		if !m.GetReject() {
			return
		}
	default:
		return
	}
	term, err := c.o.Storage.Term(c.applied)
	if err != nil {
		return
	}
	m.Entries = []*raftpb.Entry{{Index: new(c.applied), Term: &term}}
}

// learn takes from such a message what is committed, if this node follows no leader, who would
// tell it, and if it depends on that who the voters are. An election of this node is over then:
// the next one has the votes of the right ones.
func (c *core) learn(m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgVote, raftpb.MsgPreVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
	default:
		return
	}
	if len(m.GetEntries()) == 0 || c.follows() {
		return
	}
	at := m.GetEntries()[0]
	if term, err := c.o.Storage.Term(at.GetIndex()); err != nil || term != at.GetTerm() {
		return
	}
	if !c.reconfigures(c.node.BasicStatus().GetCommit()+1, at.GetIndex()) {
		return
	}
	// To raft it looks as if this node itself led, and told it.
	_ = c.node.Step(&raftpb.Message{
		Type: raftpb.MsgApp.Enum(), From: &c.o.Node, To: &c.o.Node, Term: new(c.term),
		Index: at.Index, LogTerm: at.Term, Commit: at.Index,
	})
	_ = c.node.ForgetLeader()
	c.observe()
}

// reconfigures reports whether one of the entries from an index up to another one changes the
// configuration.
func (c *core) reconfigures(from, to uint64) bool {
	for from <= to {
		entries, err := c.o.Storage.Entries(from, to+1, maxApplyingBytes)
		if err != nil || len(entries) == 0 {
			return false
		}
		for _, e := range entries {
			if e.GetType() != raftpb.EntryNormal {
				return true
			}
		}
		from += uint64(len(entries))
	}
	return false
}

// follows reports whether this node leads, or hears a leader.
func (c *core) follows() bool { return c.lead != raft.None && !c.leaderless() }
