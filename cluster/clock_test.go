package cluster

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestWrongClock starts a node whose clock is an hour ahead: it does not lead, even if it is
// asked to, so no session ends early. Started with the right time it may; when its clock
// jumps while it leads, another node does.
func TestWrongClock(t *testing.T) {
	c := newTown(t, 3)
	c.ahead = make([]atomic.Int64, 3)
	c.ahead[0].Store(int64(time.Hour))
	c.start(0, 1, 2)
	c.until("the node knows that its clock is wrong", func() bool { return c.nodes[0].membership.Clock().Wrong })
	for i := range 3 {
		c.until("all know it", func() bool {
			for _, n := range c.nodes[i].Status().Nodes {
				if n.Node == c.number(0) {
					return n.ClockWrong
				}
			}
			return false
		})
	}
	for range 3 {
		for i := range 3 {
			c.nodes[i].group(0).Transfer(c.number(0))
			c.set(i, "k", "v") // which ends in an hour
			c.want((i+1)%3, "k", "v")
		}
	}
	c.until("another node leads", func() bool { return c.leads(1) || c.leads(2) })
	if now := c.nodes[1].group(0).Clock().Time(); time.Until(now) > time.Minute {
		t.Errorf("the log's clock is %v ahead", time.Until(now))
	}
	if f := c.nodes[0].Figures(); !f.Clock.Wrong || f.Clock.Ahead < 59*time.Minute {
		t.Errorf("the figures have %+v of its clock", f.Clock)
	}

	c.stop(0)
	c.ahead[0].Store(0)
	c.start(0)
	c.want(0, "k", "v")
	c.handOver(0, c.number(0), func() bool { return c.leads(0) })
	c.until("the node may lead", func() bool { return c.nodes[0].membership.Clock().Fit && c.leads(0) })
	c.ahead[0].Store(int64(time.Hour))
	c.until("another node leads", func() bool { return c.leads(1) || c.leads(2) })
}
