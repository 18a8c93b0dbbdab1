package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/cluster/group"
)

// refuses reports an order that is carried out, or refused for another reason.
func (c *town) refuses(i int, op OrderOp, node uint64, why string) {
	c.t.Helper()
	var refused *OrderError
	if err := c.order(i, op, node); !errors.As(err, &refused) || !strings.Contains(err.Error(), why) {
		c.t.Errorf("%s %x: %v, want %q", op, node, err, why)
	}
}

// drainedAt are the nodes that are drained, as node i has it.
func (c *town) drainedAt(i int) (nodes []uint64) {
	for _, n := range c.nodes[i].Status().Nodes {
		if n.Drained {
			nodes = append(nodes, n.Node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// meets waits until all nodes are connected to all.
func (c *town) meets() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n != nil {
			c.until("all are connected", func() bool { return len(n.peers.Connected()) == len(c.nodes)-1 })
		}
	}
}

// TestDrain drains nodes, the one that leads among them, from any node: a drained one
// serves, but does not lead, over restarts, unless nobody else can.
func TestDrain(t *testing.T) {
	c := newTown(t, 3)
	c.start(0, 1, 2)
	c.meets()
	c.refuses(0, OrderDrain, 1, "is not a member")
	c.refuses(1, OrderUndrain, 1, "is not a member")

	c.handOver(1, c.number(0), func() bool { return c.leads(0) })
	for range 2 { // one that is drained may be drained
		if err := c.order(1, OrderDrain, c.number(0)); err != nil {
			t.Fatal(err)
		}
	}
	c.until("another node leads", func() bool { return c.leads(1) || c.leads(2) })
	for i := range 3 {
		c.until("each knows who is drained", func() bool { return slices.Equal(c.drainedAt(i), []uint64{c.number(0)}) })
		c.set(i, fmt.Sprint("drained", i), "1")
		c.want(0, fmt.Sprint("drained", i), "1")
	}
	if f := c.nodes[0].Figures(); !f.Drained {
		t.Error("the figures do not say that the node is drained")
	}

	// A transfer to it is undone, and a start does not change anything.
	c.stop(0)
	c.start(0)
	c.meets()
	c.nodes[1].group(0).Transfer(c.number(0))
	c.nodes[2].group(0).Transfer(c.number(0))
	c.until("another node leads", func() bool { return c.leads(1) || c.leads(2) })
	if err := c.order(0, OrderDrain, c.number(1)); err != nil {
		t.Fatal(err)
	}
	c.until("the last one leads", func() bool { return c.leads(2) })
	c.refuses(0, OrderDrain, c.number(2), "is the last that should lead")
	c.refuses(2, OrderDrain, c.number(2), "is the last that should lead")
	c.stop(2)
	c.set(0, "two drained", "1") // nobody else can
	c.want(1, "two drained", "1")
	c.until("nobody takes it for connected", func() bool {
		return !slices.Contains(c.nodes[0].peers.Connected(), c.number(2)) && !slices.Contains(c.nodes[1].peers.Connected(), c.number(2))
	})
	c.refuses(0, OrderUndrain, c.number(2), "is not connected")

	if err := c.order(1, OrderUndrain, c.number(0)); err != nil {
		t.Fatal(err)
	}
	c.until("the one that is not drained leads", func() bool { return c.leads(0) })
	c.stop(0)
	c.until("nobody leads", func() bool { return c.nodes[1].group(0).Status().Leader == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.nodes[1].Order(ctx, Order{Op: OrderUndrain, Node: c.number(1)}); err == nil {
		t.Error("an order is carried out though nobody leads")
	}
	c.start(0, 2)
	if drained := c.nodes[2].membership.Identity().Drained; drained {
		t.Error("a node is drained that was not to be")
	}
	c.until("one that is not drained leads", func() bool { return c.leads(0) || c.leads(2) })
}

// TestDrainOfOldNode lets a leader drain a node of a version that does not know how: it
// answers as to anything that it cannot read.
func TestDrainOfOldNode(t *testing.T) {
	old := encodeAnswer(nil, errForward)
	_, err := decodeAnswer(old)
	var refused *refusedError
	if !errors.As(err, &refused) || refused.text != errForward.Error() {
		t.Fatalf("such an answer is %v", err)
	}
	var answer []byte
	serve(nil, append([]byte{forwardDrain}, `{"drained":true}`...), func(body []byte) { answer = body })
	if string(answer) != string(old) {
		t.Errorf("an unknown forward is answered with %q", answer)
	}
	if err := drainAnswer(7, err); !strings.Contains(err.Error(), group.FormatNode(7)+" runs a version that cannot be drained") {
		t.Errorf("the operator hears %v", err)
	}
}
