package cluster

import (
	"fmt"
	"slices"
	"testing"

	"cairn/cluster/group"

	"cairn/session"
)

// TestObserved looks at what each node says of the others and of itself: what they lack,
// how far they are, their disks, and who was elected.
func TestObserved(t *testing.T) {
	c := newTown(t, 3)
	c.start(0, 1, 2)
	for i, n := range c.nodes {
		c.until(fmt.Sprint("all is known at node ", i), func() bool {
			s := n.Status()
			for _, of := range s.Nodes {
				if !of.LagKnown || of.Disk.Total == 0 || of.Full || (of.RoundTrip > 0) != (of.Node != s.Node) {
					return false
				}
			}
			seen := s.Groups[0].Elections
			return len(s.Nodes) == 3 && len(seen) > 0 && seen[0].Leader == s.Groups[0].Leader && seen[0].Term == s.Groups[0].Term && !seen[0].At.IsZero()
		})
		if f := n.Figures(); f.Slowest <= 0 {
			t.Errorf("the longest round trip of node %d is %v", i, f.Slowest)
		}
	}

	away := c.number(2)
	c.handOver(0, c.number(0), func() bool { return c.leads(0) })
	c.until("the new leader has heard of all replicas", func() bool {
		replicas, _ := c.nodes[0].group(0).Replicas()
		return !slices.ContainsFunc(replicas, func(r group.Replica) bool { return r.Match == 0 })
	})
	c.stop(2)
	for i := range 50 {
		c.set(i%2, "k", fmt.Sprint(i))
	}
	for i, n := range c.nodes[:2] {
		c.until(fmt.Sprintf("node %d knows what is lacking", i), func() bool {
			s := n.Status()
			at := slices.IndexFunc(s.Nodes, func(n NodeStatus) bool { return n.Node == away })
			of := s.Nodes[at]
			return of.LagKnown && of.Lag >= 50 && of.RoundTrip == 0 && !of.Connected
		})
	}
	c.start(2)
	c.until("it lacks nothing any more", func() bool {
		for _, of := range c.nodes[2].Status().Nodes {
			if !of.LagKnown || of.Lag > 5 { // there is an entry each second
				return false
			}
		}
		return true
	})
	c.handOver(0, c.number(2), func() bool { return c.leads(2) })
	c.until("node 0 has seen who leads", func() bool { return c.nodes[0].seen.lastElections(0)[0].Leader == away })
}

// TestElectionsKept notes more elections than are kept.
func TestElectionsKept(t *testing.T) {
	var o sightings
	for term := range uint64(2 * keptElections) {
		o.election(1, Election{Term: term, Leader: 7})
		o.election(1, Election{Term: term, Leader: 7}) // nothing new
	}
	all := o.lastElections(1)
	o.election(1, Election{Term: 99})
	if len(all) != keptElections || all[0].Term != 2*keptElections-1 || all[keptElections-1].Term != keptElections {
		t.Errorf("kept: %+v", all)
	}
	if all = o.lastElections(1); len(all) != keptElections || all[0].Term != 99 || all[1].Term != 2*keptElections-1 {
		t.Errorf("then: %+v", all)
	}
	if len(o.lastElections(0)) != 0 {
		t.Error("another group has some")
	}
}

// TestFullDiskIsSeen lets a node say that its disk is full.
func TestFullDiskIsSeen(t *testing.T) {
	c := newTown(t, 2)
	c.full = []bool{false, true}
	c.start(0, 1)
	full := c.number(1)
	for i, n := range c.nodes {
		c.until(fmt.Sprint("it is known at node ", i), func() bool {
			for _, of := range n.Status().Nodes {
				if of.Full != (of.Node == full) {
					return false
				}
			}
			return true
		})
	}
	c.do(0, session.Command{Op: session.OpGet, Key: []byte("k")})
}
