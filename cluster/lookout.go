package cluster

import (
	"log/slog"
	"strings"
	"time"

	"cairn/cluster/peer"
)

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
// unknown tells which names have no address.
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
