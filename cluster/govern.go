package cluster

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/group"
	"cairn/cluster/membership"
)

// The leader of a group brings its replicas to what the roster says, and puts new
// nodes in the place of such that are gone for good: one step at a time.

const (
	governEvery = 500 * time.Millisecond

	// nearly is how many entries a replica may lack that has caught up.
	nearly = 1000
)

// govern lets the groups that this node leads take their next steps.
func (n *Node) govern() {
	ticker := time.NewTicker(governEvery)
	defer ticker.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.membership.Removed():
			n.leave()
			return
		case <-ticker.C:
			n.findClients()
			n.watchSpace()
			n.judgeClock(true)
			for i, place := range *n.slots.Load() {
				if g := place.present(); g != nil && g.Status().Leads {
					n.step(i, g)
				} else {
					n.noteLags(i, group.Status{}, nil)
				}
			}
		}
	}
}

// findClients looks which nodes clients are told of.
func (n *Node) findClients() {
	if err := n.membership.FindClients(); err != nil {
		n.logger.Debug("what clients are told of the nodes could not be noted", "error", err)
	}
}

// watchSpace lets others lead while this node's disk is full, and tells them so.
func (n *Node) watchSpace() {
	full, disk := false, membership.Disk{}
	for _, place := range *n.slots.Load() {
		g, e := place.present(), place.presentEngine()
		if g == nil {
			continue
		}
		f := e.Figures()
		low := f.Stats.OutOfSpace
		full, disk = full || low, membership.Disk{Free: f.Disk.Free, Total: f.Disk.Total}
		g.SetUnfit(group.Full, low)
	}
	n.membership.SetDisk(full, disk)
}

// step takes the next step of a group that this node leads.
func (n *Node) step(i int, g *group.Group) {
	replicas, joint := g.Replicas()
	n.noteLags(i, g.Status(), replicas)
	if len(replicas) == 0 || joint {
		return
	}
	roster := *g.Roster()
	if next, ok := n.tidied(roster, replicas); ok {
		if g.ProposeRoster(next) == nil && next.Level > roster.Level { // or the next leader does
			n.logger.Info("all members know a higher level of the log, which holds from now on", "group", i, "level", uint8(next.Level), "before", uint8(roster.Level), "version", next.Program)
		}
		return
	}
	if roster.Level < group.LevelRoster {
		return
	}
	v := membership.View{
		Self: n.membership.Identity().Node, Size: roster.Size, Leaving: roster.Leaving, Joining: roster.Joining,
		ReplaceAfter: n.o.ReplaceAfter, Strangers: n.membership.Strangers(uint8(roster.Level)), Zones: n.membership.Zones(),
	}
	committed := g.Status().Committed
	for _, r := range replicas {
		v.Replicas = append(v.Replicas, membership.Replica{
			Node: r.Node, Learner: r.Learner, Silent: n.membership.Silent(r.Node), CaughtUp: r.Active && r.Match+nearly >= committed,
		})
	}
	n.take(i, g, v.Next())
}

// tidied is the roster with the level that all nodes know, and without those that have
// left or joined; false: that is what it is.
func (n *Node) tidied(roster group.Roster, replicas []group.Replica) (*group.Roster, bool) {
	has := func(node uint64) bool {
		return slices.ContainsFunc(replicas, func(r group.Replica) bool { return r.Node == node })
	}
	next := roster
	next.Number++
	if level := group.Level(n.membership.Level()); level > roster.Level {
		next.Level, next.Program = level, n.o.Program // it knows the level, as all do
	}
	next.Leaving = slices.DeleteFunc(slices.Clone(roster.Leaving), func(node uint64) bool { return !has(node) })
	next.Joining = slices.DeleteFunc(slices.Clone(roster.Joining), has)
	if roster.Size == 0 {
		for _, r := range replicas {
			if !r.Learner {
				next.Size++
			}
		}
		next.Size = max(next.Size, n.membership.Identity().Size)
	}
	same := next.Level == roster.Level && len(next.Leaving) == len(roster.Leaving) && len(next.Joining) == len(roster.Joining)
	return &next, !same && next.Level >= group.LevelRoster
}

// take does what a step says.
func (n *Node) take(i int, g *group.Group, s membership.Step) {
	var changes []*raftpb.ConfChangeSingle
	change := func(kind raftpb.ConfChangeType, node uint64) {
		changes = append(changes, &raftpb.ConfChangeSingle{Type: &kind, NodeId: &node})
	}
	l := n.logger.With("group", i)
	switch {
	case s.Lead:
		g.TransferAny()
		return
	case s.Learn != 0:
		change(raftpb.ConfChangeAddLearnerNode, s.Learn)
		l.Info("a node gets a copy of the sessions, to become a member", "node", group.FormatNode(s.Learn))
	case s.Promote != 0 && s.Swap != 0:
		change(raftpb.ConfChangeAddNode, s.Promote)
		change(raftpb.ConfChangeRemoveNode, s.Swap)
		l.Info("a node takes the place of another", "node", group.FormatNode(s.Promote), "instead of", group.FormatNode(s.Swap))
	case s.Promote != 0:
		change(raftpb.ConfChangeAddNode, s.Promote)
		l.Info("a node has caught up, and becomes a member", "node", group.FormatNode(s.Promote))
	case s.Remove != 0:
		change(raftpb.ConfChangeRemoveNode, s.Remove)
		l.Info("a node is removed", "node", group.FormatNode(s.Remove))
	default:
		return
	}
	_ = g.Change(changes) // or the next look does
}

// configured takes over who the nodes are.
func (n *Node) configured(i int, index uint64, conf *raftpb.ConfState) {
	if i != 0 { // the nodes are those of the first group
		return
	}
	voters := slices.Concat(conf.GetVoters(), conf.GetVotersOutgoing())
	learners := slices.Concat(conf.GetLearners(), conf.GetLearnersNext())
	if err := n.membership.Configured(index, voters, learners); err != nil {
		n.o.Fatal(err)
	}
}

// leave takes the replicas out of a node that was removed. From then on it sends what comes
// to the others. The replicas only answer those of others, and lead nothing: until the others
// know of the removal they may not be able to elect a leader without this node.
func (n *Node) leave() {
	n.logger.Error("this node was removed from the cluster, and forwards requests to the others until it is stopped; to let it join as a new one, empty its data directory")
	n.repairs.Lock()
	n.closing = true // no copies any more
	n.repairs.Unlock()
	for _, place := range *n.slots.Load() {
		place.retire()
	}
}

// removed reports whether the cluster goes on without this node.
func (n *Node) removed() bool {
	select {
	case <-n.membership.Removed():
		return true
	default:
		return false
	}
}
