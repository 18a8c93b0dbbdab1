package cluster

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"cairn/cluster/peer"
	"cairn/cluster/seed"
)

const findEvery = 2 * time.Second

// find looks for other nodes, again and again.
func (n *Node) find(ctx context.Context) {
	ticker := time.NewTicker(findEvery)
	defer ticker.Stop()
	lookout := NewLookout(n.logger)
	for {
		unknown := n.dial(ctx)
		lookout.Look(time.Now(), n.peers, n.needed(), unknown)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// dial lets there be connections to all addresses that are known, and returns which entries of
// Join have none, and why.
func (n *Node) dial(ctx context.Context) (unknown []string) {
	addresses := n.membership.Addresses()
	if !n.membershipComplete(addresses) {
		var found []string
		found, unknown = seed.Resolve(ctx, n.o.Resolver, n.o.Join)
		addresses = append(addresses, found...)
	}
	n.peers.Dial(addresses)
	return unknown
}

// needed is to how many other nodes there is to be a connection: to all that a new cluster
// lacks, or to so many members that they are most of them.
func (n *Node) needed() int {
	identity := n.membership.Identity()
	if !identity.Begun() {
		return n.o.Expect - 1
	}
	return len(identity.Members) / 2
}

// membershipComplete reports whether there is a connection to every other member:
// nobody needs to be looked for then.
func (n *Node) membershipComplete(addresses []string) bool {
	identity := n.membership.Identity()
	return identity.Begun() && len(n.peers.Connected()) >= len(identity.Members)-1 && len(addresses) >= len(identity.Members)-1
}

const (
	// lonelyAfter is for how long too few other nodes may be reached before that is
	// reported, and lonelyEvery when it is reported again.
	lonelyAfter = 10 * time.Second
	lonelyEvery = 30 * time.Second
)

// Lookout reports that a process does not reach the nodes which it needs, and why. It is for
// one goroutine at a time.
type Lookout struct {
	logger *slog.Logger
	due    time.Time // when it is to be reported; zero: nothing lacks
}

// NewLookout makes a Lookout.
func NewLookout(logger *slog.Logger) *Lookout { return &Lookout{logger: logger} }

// Look is called again and again. There should be connections to as many nodes as needed;
// unknown tells which entries of --join have no address.
func (l *Lookout) Look(now time.Time, peers *peer.Peers, needed int, unknown []string) {
	connected := len(peers.Connected())
	switch {
	case connected >= needed:
		l.due = time.Time{}
	case l.due.IsZero():
		l.due = now.Add(lonelyAfter)
	case !now.Before(l.due):
		l.due = now.Add(lonelyEvery)
		l.logger.Warn("too few other nodes can be reached", "connected", connected, "needed", needed, "errors", strings.Join(append(unknown, peers.Failures()...), "; "))
	}
}
