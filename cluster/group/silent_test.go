package group

import (
	"slices"
	"testing"
	"time"
)

// stall lets a node stand still again and again, for most at a time at most, as on a
// machine on which others run, too.
func (s *aFall) stall(n *node, most time.Duration) {
	n.do(func() { n.pause(s.world.Between(0, most)) })
	s.world.After(most+s.world.Between(0, most), func() { s.stall(n, most) })
}

// busy lets whoever leads propose something again and again.
func (s *aFall) busy() {
	if leader := s.led(); leader != nil {
		leader.do(func() { _ = leader.core.propose(appendTick(nil, leader.clock(), 0)) })
	}
	s.world.After(20*time.Millisecond, s.busy)
}

// succeeded reports whether a node leads in a later term than that of the leader that has
// fallen silent, and has acknowledged something.
func (s *aFall) succeeded() bool {
	for _, n := range s.nodes {
		if n == s.leader || !n.core.leads || n.core.term <= s.leader.core.term {
			continue
		}
		if term, err := n.log.Term(n.core.applied); err == nil && term == n.core.term {
			return true
		}
	}
	return false
}

// TestSilentLeader lets the leader stand still, on machines that are idle, busy, short of
// processors, or of disks, and sees when another one acknowledges something.
func TestSilentLeader(t *testing.T) {
	for _, load := range []struct {
		name   string
		stall  time.Duration
		sync   time.Duration
		within time.Duration
	}{
		{"idle", 0, 5 * time.Millisecond, time.Second},
		{"busy", 100 * time.Millisecond, 30 * time.Millisecond, 1500 * time.Millisecond},
		{"starved", 300 * time.Millisecond, 100 * time.Millisecond, 2 * time.Second},
		{"slow disk", 100 * time.Millisecond, 500 * time.Millisecond, 2500 * time.Millisecond},
	} {
		t.Run(load.name, func(t *testing.T) {
			var all []time.Duration
			for seed := range uint64(falls / 2) {
				s := newEvenFall(t, seed)
				for _, n := range s.nodes {
					n.log.High = load.sync
					if load.stall > 0 {
						s.stall(n, load.stall)
					}
				}
				s.busy()
				s.pass(time.Second + s.world.Between(0, time.Second))
				s.until(10*time.Second, func() bool { return s.led() != nil })
				s.leader = s.led()
				s.leader.frozen = true
				begun := s.world.Now()
				s.until(load.within, s.succeeded)
				all = append(all, s.world.Now()-begun)
			}
			slices.Sort(all)
			t.Logf("median %v, worst %v", all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
		})
	}
}
