package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
)

// A drained node gets no new clients and leads nothing while another can. It says so
// itself, in its identity, so that the order outlasts restarts and leaders; it goes on
// voting, and serving who is connected. The leader passes the order on, since it knows
// whether another node can lead.

// draining is what a leader tells nodes: the one that it is about notes it down, and the
// others do not have to wait until that one says so.
type draining struct {
	Node    uint64 `json:"node,string"`
	Drained bool   `json:"drained"`
}

// spreadTime is how long a leader waits for others to hear of it.
const spreadTime = 500 * time.Millisecond

// obeyDrain lets a node be drained, or no longer. The node that leads the first group
// does, one order at a time, so that two do not leave nobody to lead.
func (n *Node) obeyDrain(ctx context.Context, g *group.Group, o Order) error {
	n.drains.Lock()
	defer n.drains.Unlock()
	replicas, _ := g.Replicas()
	drained := o.Op == OrderDrain
	switch {
	case len(replicas) == 0:
		return group.ErrNotLeader
	case !slices.ContainsFunc(replicas, func(r group.Replica) bool { return r.Node == o.Node }):
		return refuseOrder("node %s is not a member", group.FormatNode(o.Node))
	case drained && !n.membership.Drained(o.Node) && !n.othersCanLead(replicas, o.Node):
		return refuseOrder("node %s is the last that should lead: each other member is drained, has a full disk or a wrong clock, or is not connected", group.FormatNode(o.Node))
	}
	d := draining{o.Node, drained}
	if o.Node != n.membership.Identity().Node {
		if err := n.tellDrained(ctx, o.Node, d); err != nil {
			return drainAnswer(o.Node, err)
		}
		n.membership.HeardDrained(o.Node, drained)
		n.spreadDrained(ctx, d)
		return nil
	}
	if err := n.setDrained(drained); err != nil {
		return err
	}
	n.spreadDrained(ctx, d) // the next leader is to know it when it is asked to drain another
	n.obeyDrained()
	for begun := time.Now(); drained && g.Status().Leads && time.Since(begun) < leadTime; {
		select { // it says that it is drained; who leads next is a matter of moments
		case <-time.After(transferPoll):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// othersCanLead reports whether there is a voter, other than one node, that should lead
// and that this node is or has a connection to.
func (n *Node) othersCanLead(replicas []group.Replica, than uint64) bool {
	there := append(n.peers.Connected(), n.membership.Identity().Node)
	return slices.ContainsFunc(replicas, func(r group.Replica) bool {
		return r.Node != than && !r.Learner && slices.Contains(there, r.Node) && !n.membership.Unfit(r.Node)
	})
}

// setDrained notes whether this node is drained.
func (n *Node) setDrained(drained bool) error {
	if err := n.membership.SetDrained(drained); err != nil {
		return refuseOrder("node %s cannot record it: %v", group.FormatNode(n.membership.Identity().Node), err)
	}
	if drained {
		n.logger.Info("this node is drained: it does not lead while another can, and is not ready")
	} else {
		n.logger.Info("this node is not drained any more")
	}
	return nil
}

// obeyDrained lets the groups of this node know whether it is drained.
func (n *Node) obeyDrained() {
	drained := n.membership.Identity().Drained
	for _, g := range n.groups() {
		g.SetUnfit(group.Drained, drained)
	}
}

// tellDrained tells a node, and returns its answer.
func (n *Node) tellDrained(ctx context.Context, to uint64, d draining) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return n.callOrder(ctx, to, forwardDrain, text, hearTime)
}

// spreadDrained tells all nodes but the one that it is about, as far as they hear it soon:
// others hear it from that one.
func (n *Node) spreadDrained(ctx context.Context, d draining) {
	ctx, cancel := context.WithTimeout(ctx, spreadTime)
	defer cancel()
	var telling sync.WaitGroup
	for _, to := range n.peers.Connected() {
		if to != d.Node {
			telling.Go(func() { _ = n.tellDrained(ctx, to, d) })
		}
	}
	telling.Wait()
}

// drainAnswer is what the operator hears of a node that has not answered, or has refused.
func drainAnswer(node uint64, err error) error {
	var refused *refusedError
	switch {
	case errors.Is(err, peer.ErrUnreachable):
		return refuseOrder("node %s is not connected", group.FormatNode(node))
	case errors.As(err, &refused) && refused.text == errForward.Error():
		return refuseOrder("node %s runs a version that cannot be drained", group.FormatNode(node))
	case errors.As(err, &refused):
		return &OrderError{refused.text}
	default:
		return refuseOrder("node %s does not answer: whether it is drained is not known", group.FormatNode(node))
	}
}

// serveDrain takes a leader's word.
func (h handler) serveDrain(text []byte, reply func(body []byte)) {
	var d draining
	if err := json.Unmarshal(text, &d); err != nil || h.slots.Load() == nil {
		reply(encodeAnswer(nil, errForward))
		return
	}
	if d.Node != h.membership.Identity().Node {
		h.membership.HeardDrained(d.Node, d.Drained)
		reply(encodeAnswer(nil, nil))
		return
	}
	h.work(reply, func(context.Context) error {
		defer h.obeyDrained()
		return h.setDrained(d.Drained)
	})
}
