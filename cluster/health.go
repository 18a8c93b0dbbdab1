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
