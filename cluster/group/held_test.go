package group

import (
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// TestHeldWhileRaftForgets lets a leader's log be too long, and asks it at each tick what it
// must keep: what a replica lacks that is there, also at the tick at which raft forgets of
// whom it has heard, but not what one lacks that is away.
func TestHeldWhileRaftForgets(t *testing.T) {
	for seed := range uint64(falls) {
		s := newEvenFall(t, seed)
		c := s.leader.core
		c.o.LogSize, c.o.MaxLog = func() int64 { return 2 }, 1
		match := func(of *node) (index uint64) {
			c.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
				if id == of.id {
					index = p.Match
				}
			})
			return index
		}
		proposes := func() {
			s.leader.do(func() {
				if err := c.propose(appendTick(nil, s.leader.clock(), 0)); err != nil {
					t.Fatal(err)
				}
			})
		}

		s.network.Cut(s.leader.id, s.back.id)
		s.pass(3 * time.Second)
		away := match(s.back)
		proposes()
		s.pass(100 * time.Millisecond)
		if held := c.held(); held <= away || held > match(s.ahead) {
			t.Fatalf("seed %d: %d is held, and one that is away has %d, the other %d", seed, held, away, match(s.ahead))
		}
		s.network.Heal()
		s.pass(3 * time.Second)

		// Nobody hears what the leader appends now, for less than an election timeout.
		lacks := min(match(s.back), match(s.ahead))
		s.network.Cut(s.leader.id, s.back.id)
		s.network.Cut(s.leader.id, s.ahead.id)
		proposes()
		s.pass(20 * time.Millisecond)
		if own := match(s.leader); own <= lacks {
			t.Fatalf("seed %d: the leader has %d, and the others %d", seed, own, lacks)
		}
		for range c.o.ElectionTicks - 1 {
			c.tick()
			if held := c.held(); held > lacks {
				t.Fatalf("seed %d: %d is held, and the others, which are there, have %d", seed, held, lacks)
			}
		}
	}
}
