package group

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// TestReadAfterCrash lets the only voter crash when it has acknowledged something. Its log has
// that, but does not say that it was committed, and a learner has not heard that either. Reads
// that wait for the next start see it, at both, and at the voter as soon as it can be known.
func TestReadAfterCrash(t *testing.T) {
	unknown := 0
	for seed := range uint64(falls) {
		s := newChange(t, seed, 1)
		learner, acknowledged := s.nodes[1], s.leader.last()+1
		s.lost = func(m *raftpb.Message) bool {
			m.Commit = new(min(m.GetCommit(), acknowledged-1))
			return false
		}
		s.leader.do(s.more)
		s.until(time.Second, func() bool { return s.leader.core.applied >= acknowledged && learner.last() >= acknowledged })
		s.leader.stop()
		s.lost = nil
		s.leader.log.Crash()
		s.leader.engine.Crash()
		s.leader.start()
		if s.leader.core.node.BasicStatus().GetCommit() < acknowledged {
			unknown++
		}
		served := make([]bool, len(s.nodes))
		for i, n := range s.nodes {
			n.do(func() {
				n.core.read([]*Read{{Ready: func(err error) {
					served[i] = true
					if err != nil || n.core.applied < acknowledged {
						t.Errorf("seed %d: node %d reads as of %d, where %d was acknowledged, error %v", seed, n.id, n.core.applied, acknowledged, err)
					}
				}}})
			})
		}
		s.until(5*time.Second, func() bool { return s.leader.core.leads })
		s.until(soon, func() bool { return served[0] })
		s.until(time.Second, func() bool { return served[1] })
	}
	if unknown == 0 {
		t.Error("no log has forgotten what was committed")
	}
}
