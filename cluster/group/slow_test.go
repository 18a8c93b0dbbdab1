package group

import (
	"testing"
	"time"
)

// slow makes each sync of a node's log take so long from now on.
func (n *node) slow(d time.Duration) { n.log.Low, n.log.High = d, d+d/4 }

// TestSlowLeader lets the disk of the leader, and no other, become slow: each write takes 0.7 to
// 0.9 s. Another node must lead soon, and go on doing so while the disk is slow; what was
// acknowledged is there, and once the disk is fast again all have the same.
func TestSlowLeader(t *testing.T) {
	for seed := range uint64(falls) {
		s := newEvenFall(t, seed)
		s.left = 300
		for range clients {
			c := s.addClient()
			c.lead = int(s.leader.id - 1)
			for range opsAtATime {
				c.next()
			}
		}
		s.pass(100 * time.Millisecond)
		slow := s.leader
		low, high := slow.log.Low, slow.log.High
		slow.slow(700 * time.Millisecond)
		s.until(slowSync+700*time.Millisecond, func() bool {
			led := s.led()
			return led != nil && led != slow && led.engine.Applied().Term == led.core.term
		})
		for end := s.world.Now() + 10*time.Second; s.world.Now() < end; {
			s.pass(tickTime / 2)
			if s.err != nil {
				t.Fatalf("seed %d: %v", seed, s.err)
			}
			if slow.core.leads || s.led() == nil {
				t.Fatalf("seed %d: the slow node leads %v, with a disk that is slow", seed, slow.core.leads)
			}
		}
		slow.log.Low, slow.log.High = low, high
		s.until(30*time.Second, func() bool { return s.left+s.open == 0 })
		s.until(10*time.Second, func() bool {
			return s.ahead.engine.Applied() == slow.engine.Applied() && s.back.engine.Applied() == slow.engine.Applied()
		})
		if !s.ahead.engine.Same(slow.engine) || !s.back.engine.Same(slow.engine) {
			t.Errorf("seed %d: replicas differ", seed)
		}
		if err := judge(s.history); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// TestSlowWrite lets one write of the leader take long: it leads on if that is less than the
// bound, and else another node leads.
func TestSlowWrite(t *testing.T) {
	for _, c := range []struct {
		takes time.Duration
		moves bool
	}{
		{slowSync - 50*time.Millisecond, false},
		{slowSync + 100*time.Millisecond, true},
	} {
		for seed := range uint64(falls) {
			s := newEvenFall(t, seed)
			s.until(time.Second, func() bool { return s.leader.waits() == 0 })
			low, high := s.leader.log.Low, s.leader.log.High
			s.leader.log.Low, s.leader.log.High = c.takes, c.takes
			s.leader.do(func() {
				if err := s.leader.core.propose(appendTick(nil, s.leader.clock(), 0)); err != nil {
					t.Fatal(err)
				}
			})
			s.leader.log.Low, s.leader.log.High = low, high
			term, waited, moved := s.leader.core.term, time.Duration(0), false
			for end := s.world.Now() + 5*time.Second; s.world.Now() < end; {
				s.world.Step()
				waited = max(waited, s.leader.waits())
				for _, n := range s.nodes {
					moved = moved || n.core.term != term
				}
			}
			if waited < c.takes-10*time.Millisecond {
				t.Fatalf("seed %d: the longest write took %v", seed, waited)
			}
			if moved != c.moves || s.led() == nil || (s.led() != s.leader) != c.moves {
				t.Errorf("seed %d: a write of %v: the lead moves %v, and node %d has it in place of %d", seed, waited, moved, s.led().id, s.leader.id)
			}
		}
	}
}
