package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cairn/cluster/group"
	"cairn/session"
)

// Order is what an operator wants of a group's replicas. Any node takes it.
type Order struct {
	Op    OrderOp `json:"op"`
	Group int     `json:"group"`
	Node  uint64  `json:"node,string"`
	Force bool    `json:"force,omitempty"` // of Remove: also if fewer than three stay
}

// OrderOp is what is to be done with a node.
type OrderOp string

const (
	OrderAdd      OrderOp = "add"      // it becomes a member, one more than before
	OrderRemove   OrderOp = "remove"   // it is none any more, one less than before
	OrderReplace  OrderOp = "replace"  // a new node takes its place, once it has caught up
	OrderTransfer OrderOp = "transfer" // it leads; 0: any other than the one that does
	OrderDrain    OrderOp = "drain"    // it gets no new clients, and leads only if nobody else can
	OrderUndrain  OrderOp = "undrain"  // it is as any other again
)

// OrderError says why an order is not carried out.
type OrderError struct{ Text string }

func (e *OrderError) Error() string { return e.Text }

func refuseOrder(format string, args ...any) error {
	return &OrderError{fmt.Sprintf(format, args...)}
}

const (
	orderTime = 5 * time.Second // for one node to carry it out
	orderPoll = 10 * time.Millisecond

	// fewest is how many members stay unless more are removed by force: two survive
	// the loss of none.
	fewest = 3
)

// Order carries out an order for all groups. Members come and go later, when that is
// safe: Status shows it. The error is an *OrderError, or session.ErrUnavailable if
// nobody leads before ctx is done.
func (n *Node) Order(ctx context.Context, o Order) error {
	if o.Op == OrderDrain || o.Op == OrderUndrain { // the nodes are those of the first group
		o.Group = 0
		return n.orderLeader(ctx, o)
	}
	for i := range *n.slots.Load() {
		o.Group = i
		if err := n.orderLeader(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// orderLeader lets the leader of a group have an order, whoever it is by then.
func (n *Node) orderLeader(ctx context.Context, o Order) error {
	place := (*n.slots.Load())[o.Group]
	for {
		err := group.ErrNotLeader
		switch s := place.Status(); {
		case s.Leads:
			err = n.obey(ctx, o)
		case s.Leader != 0:
			err = n.askToObey(ctx, s.Leader, o)
		}
		var refused *OrderError
		if err == nil || errors.As(err, &refused) {
			return err
		}
		select {
		case <-ctx.Done():
			return session.ErrUnavailable
		case <-time.After(orderPoll):
		}
	}
}

func (n *Node) askToObey(ctx context.Context, leader uint64, o Order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	err = n.callOrder(ctx, leader, forwardOrder, text, orderTime)
	var refused *refusedError
	if errors.As(err, &refused) {
		return &OrderError{refused.text}
	}
	return err
}

// callOrder sends a node a forward of a kind, and returns the error of its answer, or why
// there is none within some time.
func (n *Node) callOrder(ctx context.Context, node uint64, kind byte, text []byte, within time.Duration) error {
	answer := make(chan error, 1)
	n.peers.Call(node, append([]byte{kind}, text...), time.Now().Add(within), func(reply []byte, err error) {
		if err == nil {
			_, err = decodeAnswer(reply)
		}
		answer <- err
	})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveOrder carries out the order of another node.
func (h handler) serveOrder(text []byte, reply func(body []byte)) {
	var o Order
	slots := h.slots.Load()
	if err := json.Unmarshal(text, &o); err != nil || slots == nil || o.Group < 0 || o.Group >= len(*slots) {
		reply(encodeAnswer(nil, errForward))
		return
	}
	h.work(reply, func(ctx context.Context) error { return h.obey(ctx, o) })
}

// work answers a call with the error of f, which may take its time.
func (h handler) work(reply func(body []byte), f func(ctx context.Context) error) {
	h.repairs.Lock()
	defer h.repairs.Unlock()
	if h.closing {
		reply(encodeAnswer(nil, group.ErrNotLeader))
		return
	}
	h.running.Go(func() {
		ctx, cancel := context.WithTimeout(h.ctx, orderTime)
		defer cancel()
		reply(encodeAnswer(nil, f(ctx)))
	})
}

// obey carries out an order, if this node leads the group.
func (n *Node) obey(ctx context.Context, o Order) error {
	g := n.group(uint64(o.Group))
	if g == nil || !g.Status().Leads {
		return group.ErrNotLeader
	}
	switch o.Op {
	case OrderTransfer:
		if n.membership.Drained(o.Node) {
			return refuseOrder("node %s is drained: 'cairn cluster drain --undo %[1]s' lets it lead again", group.FormatNode(o.Node))
		}
		return obeyTransfer(ctx, g, n.membership.Identity().Node, o.Node)
	case OrderDrain, OrderUndrain:
		return n.obeyDrain(ctx, g, o)
	}
	replicas, _ := g.Replicas()
	at := slices.IndexFunc(replicas, func(r group.Replica) bool { return r.Node == o.Node })
	voter := at >= 0 && !replicas[at].Learner
	voters := 0
	for _, r := range replicas {
		if !r.Learner {
			voters++
		}
	}
	return n.changeRoster(ctx, g, func(r *group.Roster) error {
		leaving := slices.Index(r.Leaving, o.Node)
		switch o.Op {
		case OrderAdd:
			switch {
			case leaving >= 0: // it stays after all
				r.Leaving = slices.Delete(r.Leaving, leaving, leaving+1)
				r.Size = max(r.Size, voters)
			case slices.Contains(r.Joining, o.Node):
			case voter:
				return refuseOrder("node %s is a member already", group.FormatNode(o.Node))
			case at < 0 && !slices.Contains(n.membership.Strangers(uint8(r.Level)), o.Node):
				return n.refuseStranger(o.Node, r)
			default:
				r.Joining, r.Size = append(r.Joining, o.Node), r.Size+1
			}
		case OrderRemove, OrderReplace:
			switch {
			case at < 0:
				return refuseOrder("node %s is not a member", group.FormatNode(o.Node))
			case leaving >= 0:
			case o.Op == OrderRemove && voter && r.Size <= fewest && !o.Force:
				return refuseOrder("fewer than %d members would stay: replace it by a new node, or remove it by force", fewest)
			case o.Op == OrderRemove && voter && r.Size == 1:
				return refuseOrder("the last member cannot be removed")
			default:
				r.Leaving = append(r.Leaving, o.Node)
				if o.Op == OrderRemove && voter {
					r.Size--
				}
			}
		default:
			return refuseOrder("no order %q is known", o.Op)
		}
		return nil
	})
}

// refuseStranger says why a node cannot become a member.
func (n *Node) refuseStranger(node uint64, r *group.Roster) error {
	for _, p := range n.membership.Peers() {
		if p.Node == node && group.Level(p.Level) < r.Level {
			return refuseOrder("node %s cannot be added, it runs version %s: %v", group.FormatNode(node), p.Program, &group.LevelError{Level: r.Level, Knows: group.Level(p.Level), Program: r.Program})
		}
	}
	return refuseOrder("no node %s waits to be added: start it with --join, an empty data directory and this version", group.FormatNode(node))
}

// changeRoster lets the log have the roster that change makes of the present one, and
// waits until it holds.
func (n *Node) changeRoster(ctx context.Context, g *group.Group, change func(r *group.Roster) error) error {
	for {
		next := *g.Roster()
		if next.Level < group.LevelRoster {
			return refuseOrder("not all members run a version that knows how to change who they are, or one was not heard of since")
		}
		next.Leaving, next.Joining = slices.Clone(next.Leaving), slices.Clone(next.Joining)
		if err := change(&next); err != nil {
			return err
		}
		if slices.Equal(next.Leaving, g.Roster().Leaving) && slices.Equal(next.Joining, g.Roster().Joining) {
			return nil
		}
		next.Number++
		if err := g.ProposeRoster(&next); err != nil && !errors.Is(err, group.ErrChanged) {
			return err
		}
		for g.Roster().Number < next.Number {
			select {
			case <-ctx.Done():
				return group.ErrLost
			case <-time.After(orderPoll):
			}
			if !g.Status().Leads {
				return group.ErrNotLeader
			}
		}
	}
}

// leading is what a transfer needs of the group whose lead it hands over.
type leading interface {
	Status() group.Status
	Replicas() (all []group.Replica, joint bool)
	Transfer(to uint64)
	TransferAny() bool
}

// How long a leader waits for the node that is to lead: together less than orderTime,
// so that whoever has sent the order hears why it is refused.
const (
	hearTime = 2500 * time.Millisecond // to hear of it
	leadTime = 1500 * time.Millisecond // until it leads, from when it was first asked to
)

// obeyTransfer waits until another node leads than self, which does. A leader has heard
// of nobody when its term begins, and forgets now and then whom it has heard of: it
// refuses only after hearTime.
func obeyTransfer(ctx context.Context, g leading, self, to uint64) error {
	if to == self {
		return nil
	}
	var asked time.Time // zero: nobody was asked yet
	for begun := time.Now(); g.Status().Leads; {
		switch heard, err := askToLead(g, to); {
		case err != nil:
			return err
		case heard && asked.IsZero():
			asked = time.Now()
		case !asked.IsZero() && time.Since(asked) > leadTime:
			return refuseOrder("the lead was not taken within %v", leadTime)
		case asked.IsZero() && time.Since(begun) > hearTime:
			if to == 0 {
				return refuseOrder("no other node can lead at present: none was heard of for %v", hearTime)
			}
			return refuseOrder("node %s cannot lead: it is not connected", group.FormatNode(to))
		}
		select {
		case <-time.After(transferPoll):
		case <-ctx.Done():
			return group.ErrLost
		}
	}
	return nil
}

// askToLead asks a node to lead, or any one for 0. It returns false if the leader has
// not heard of it lately.
func askToLead(g leading, to uint64) (heard bool, err error) {
	if to == 0 {
		return g.TransferAny(), nil
	}
	replicas, _ := g.Replicas()
	if len(replicas) == 0 {
		return false, nil // it does not lead any more
	}
	for _, r := range replicas {
		if r.Node == to && !r.Learner {
			if r.Active {
				g.Transfer(to)
			}
			return r.Active, nil
		}
	}
	return false, refuseOrder("node %s cannot lead: it is not a member", group.FormatNode(to))
}
