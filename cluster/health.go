package cluster

import (
	"errors"

	"cairn/cluster/group"
	"cairn/session"
)

// Check reports what is wrong with this node itself. It does not matter whether there is
// a leader, and what goes through the log is not asked for: a node that waits for a
// majority is well. It blocks for as long as a replica or its disk does not answer. A
// replica that is being replaced, and the node's when it was removed, are left out.
func (n *Node) Check() error {
	for _, place := range *n.slots.Load() {
		g, e := place.present(), place.presentEngine()
		if g == nil {
			continue
		}
		if err := g.Check(); err != nil && !errors.Is(err, group.ErrStopped) {
			return err
		}
		if err := session.Probe(e, g.Clock()); err != nil && !errors.Is(err, session.ErrClosed) {
			return err
		}
	}
	return nil
}

// judgeClock lets no group be led by this node while its clock is wrong, or not known to be
// right. always says that groups are to be told also if nothing has changed.
func (n *Node) judgeClock(always bool) {
	n.clocks.Lock()
	defer n.clocks.Unlock()
	before, now := n.clockFound, n.membership.Clock()
	n.clockFound = now
	switch {
	case now.Wrong && !before.Wrong:
		n.logger.Warn("this node's clock is wrong, so it does not lead; set the machine's clock right, and restart the node", "ahead", now.Ahead)
	case before.Wrong && !now.Wrong:
		n.logger.Info("this node's clock is right again")
	}
	if always || now.Fit != before.Fit {
		for _, g := range n.groups() {
			g.SetUnfit(group.Clock, !now.Fit)
		}
	}
}
