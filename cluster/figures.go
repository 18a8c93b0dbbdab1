package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/cluster/group"
	"cairn/cluster/membership"
	"cairn/cluster/peer"
	"cairn/cluster/raftlog"
	"cairn/engine"
	"cairn/figures"
	"cairn/log"
)

// Figures are what a node counts of its part in the cluster.
type Figures struct {
	Members   int // nodes of the cluster
	Connected int // of the others, how many this node has a connection to
	Drained   bool
	Clock     membership.Clock
	Groups    int
	Leading   int           // groups that this node leads
	Leaders   int           // groups of which it knows who leads
	Lag       uint64        // entries that are committed and not applied, of all groups
	Slowest   time.Duration // of the last round trips to other nodes
	Suspects  int           // groups of which this node's replica differs from most

	Group group.Figures // sums
	Peers peer.Figures

	Forwarded   int64 // bursts sent to another node
	Again       int64 // attempts that had to be repeated
	Unavailable int64 // bursts that failed without an effect, since nobody led for too long
	Unknown     int64 // ... with an outcome that is unknown
	Proxies     int   // connections from proxies
	ProxyReads  int64 // bursts that were read for them
	ProxyRelays int64 // forwards of theirs that were passed on to the leader
	Copies      int64 // of other nodes' sessions, that have taken the place of this node's
}

var declared = figures.Set[*Figures]{
	figures.Gauge("cairn_cluster_nodes", "Nodes of the cluster.", func(f *Figures) int { return f.Members }),
	figures.Gauge("cairn_cluster_nodes_connected", "Other nodes to which this one has a connection.", func(f *Figures) int { return f.Connected }),
	figures.Flag("cairn_cluster_drained", "Whether this node is drained: it is to have no new clients, and not to lead.", func(f *Figures) bool { return f.Drained }),
	figures.Gauge("cairn_cluster_clock_ahead_seconds", "How far this node's clock is ahead of the median of all nodes' clocks; negative: behind.", func(f *Figures) float64 { return f.Clock.Ahead.Seconds() }),
	figures.Flag("cairn_cluster_clock_wrong", "Whether this node's clock is so wrong that it does not lead.", func(f *Figures) bool { return f.Clock.Wrong }),
	figures.Gauge("cairn_cluster_groups", "Groups of the cluster.", func(f *Figures) int { return f.Groups }),
	figures.Gauge("cairn_cluster_groups_led", "Groups that this node leads.", func(f *Figures) int { return f.Leading }),
	figures.Gauge("cairn_cluster_groups_without_leader", "Groups of which this node knows no leader.", func(f *Figures) int { return f.Groups - f.Leaders }),
	figures.Gauge("cairn_cluster_apply_lag_entries", "Entries that are committed and that this node has not applied yet.", func(f *Figures) uint64 { return f.Lag }),
	figures.Gauge("cairn_cluster_round_trip_seconds", "Longest of the last round trips to the other nodes that are connected; 0: there is none.", func(f *Figures) float64 { return f.Slowest.Seconds() }),
	figures.Gauge("cairn_cluster_replicas_differing", "Groups of which this node's replica is known to differ from most others.", func(f *Figures) int { return f.Suspects }),
	figures.Counter("cairn_cluster_differences_total", "Comparisons of replicas that have shown that this node's differs, or that it is not known which one does.", func(f *Figures) int64 { return f.Group.Differences }),
	figures.Counter("cairn_cluster_leader_changes_total", "Times that this node has come to know another leader of a group, or none.", func(f *Figures) int64 { return f.Group.Changes }),
	figures.Counter("cairn_cluster_proposals_total", "Bursts that this node, as a leader, has put into a group's log.", func(f *Figures) int64 { return f.Group.Writes }),
	figures.Counter("cairn_cluster_applied_bytes_total", "Bytes of entries that this node has applied.", func(f *Figures) int64 { return f.Group.AppliedBytes }),
	figures.Timing("cairn_cluster_append_seconds", "Time from when the log got entries until they were durable.", func(f *Figures) figures.Times { return f.Group.AppendTimes }),
	figures.Counter("cairn_cluster_messages_total", "Messages between replicas.", func(f *Figures) int64 { return f.Peers.Sent }).With("direction", "sent"),
	figures.Counter("cairn_cluster_messages_total", "Messages between replicas.", func(f *Figures) int64 { return f.Peers.Received }).With("direction", "received"),
	figures.Counter("cairn_cluster_messages_dropped_total", "Messages between replicas that were not sent, since there was no connection or it was full.", func(f *Figures) int64 { return f.Peers.Dropped }),
	figures.Counter("cairn_cluster_connections_broken_total", "Connections between nodes that have ended.", func(f *Figures) int64 { return f.Peers.Broken }),
	figures.Counter("cairn_cluster_copies_total", "Times that this node has replaced its sessions of a group by a copy of another node's.", func(f *Figures) int64 { return f.Copies }),
	figures.Counter("cairn_cluster_forwards_total", "Bursts sent to the node that leads their group.", func(f *Figures) int64 { return f.Forwarded }),
	figures.Counter("cairn_cluster_repeats_total", "Attempts to apply a burst that had to be repeated.", func(f *Figures) int64 { return f.Again }),
	figures.Gauge("cairn_cluster_proxies", "Connections from proxies.", func(f *Figures) int { return f.Proxies }),
	figures.Counter("cairn_cluster_proxy_reads_total", "Bursts of reads that this node was asked for by proxies.", func(f *Figures) int64 { return f.ProxyReads }),
	figures.Counter("cairn_cluster_proxy_relays_total", "Bursts of proxies that this node has passed on to the leader, which they could not reach.", func(f *Figures) int64 { return f.ProxyRelays }),
	figures.Counter("cairn_cluster_failed_bursts_total", "Bursts that failed because there was no leader for too long.", func(f *Figures) int64 { return f.Unavailable }).With("outcome", "none"),
	figures.Counter("cairn_cluster_failed_bursts_total", "Bursts that failed because there was no leader for too long.", func(f *Figures) int64 { return f.Unknown }).With("outcome", "unknown"),
}

// Figures returns the present figures. The node is open.
func (n *Node) Figures() *Figures {
	identity := n.membership.Identity()
	f := &Figures{
		Members: len(identity.Members), Drained: identity.Drained, Clock: n.membership.Clock(), Connected: len(n.peers.Connected()), Groups: len(n.shards),
		Peers: n.peers.Figures(), Forwarded: n.counts.forwarded.Load(), Again: n.counts.again.Load(),
		Unavailable: n.counts.unavailable.Load(), Unknown: n.counts.unknown.Load(), Copies: n.repaired.Load(),
		Proxies: n.peers.Proxies(), ProxyReads: n.forProxies.reads.Load(), ProxyRelays: n.forProxies.relays.Load(),
		Slowest: n.seen.slowest(),
	}
	for _, g := range n.groups() {
		s := g.Status()
		if s.Leads {
			f.Leading++
		}
		if s.Leader != 0 {
			f.Leaders++
		}
		if s.Suspect {
			f.Suspects++
		}
		f.Lag += s.Committed - min(s.Applied, s.Committed)
		f.Group = f.Group.Plus(g.Figures())
	}
	return f
}

// Describe and Collect make the node a prometheus.Collector. Describe may be called
// on a nil Node.
func (n *Node) Describe(ch chan<- *prometheus.Desc) {
	declared.Describe(ch)
	raftlog.Declared.Describe(ch)
	log.Declared.Describe(ch)
	(*engine.Store)(nil).Describe(ch)
}

func (n *Node) Collect(ch chan<- prometheus.Metric) {
	declared.Collect(ch, n.Figures())
	raftlog.Declared.Collect(ch, n.logs.Figures())
	log.Declared.Collect(ch, n.commitLog.Figures())
	if engines := n.engines(); len(engines) == 1 { // the figures of several have the same names
		engines[0].Collect(ch)
	}
}

// Status is a cluster as one of its nodes sees it.
type Status struct {
	Cluster string
	Node    uint64 // this one
	Removed bool   // it belongs to the cluster no longer
	Nodes   []NodeStatus
	Groups  []GroupStatus
}

// NodeStatus is a node of the cluster.
type NodeStatus struct {
	Node       uint64
	Address    string
	Zone       string // "": none is known
	Program    string // its version, for people; "": not known
	Member     bool
	Learner    bool      // it gets a copy of the sessions, or has one, and does not count yet
	Connected  bool      // to this node
	ClockWrong bool      // so it does not lead
	Drained    bool      // it is to have no new clients, and not to lead
	Heard      time.Time // zero: not yet
	Leads      int       // groups

	Lag       uint64 // entries that it lacks of all groups, as their leaders said within the last seconds
	LagKnown  bool
	RoundTrip time.Duration // from this node to it and back, the last one; 0: not known
	Full      bool          // its disk is
	Disk      membership.Disk
}

// GroupStatus is a group, as its replica on this node sees it.
type GroupStatus struct {
	Group int
	group.Status
	Elections []Election // that this node has seen, the latest first
}

// Status returns how the cluster looks from here. The node is open.
func (n *Node) Status() Status {
	identity := n.membership.Identity()
	s := Status{Cluster: identity.Cluster, Node: identity.Node, Removed: n.removed()}
	leads := map[uint64]int{}
	for i, place := range *n.slots.Load() {
		g := place.present()
		if g == nil {
			s.Groups = append(s.Groups, GroupStatus{Group: i, Elections: n.seen.lastElections(i)})
			continue
		}
		status := g.Status()
		s.Groups = append(s.Groups, GroupStatus{i, status, n.seen.lastElections(i)})
		leads[status.Leader]++
	}
	connected := map[uint64]bool{identity.Node: true}
	for _, node := range n.peers.Connected() {
		connected[node] = true
	}
	own := n.membership.Own()
	own.Program = n.o.Program
	for _, p := range append([]membership.Peer{own}, n.membership.Peers()...) {
		s.Nodes = append(s.Nodes, NodeStatus{
			Node: p.Node, Address: p.Address, Member: p.Member, Learner: p.Learner, Connected: connected[p.Node], Heard: p.Heard, Leads: leads[p.Node],
			Drained: p.Drained, Zone: p.Zone, ClockWrong: p.ClockWrong, Program: p.Program,
			Lag: p.Lag, LagKnown: p.LagKnown, RoundTrip: n.seen.roundTrip(p.Node), Full: p.Full, Disk: p.Disk,
		})
	}
	return s
}

// Checkpoint makes dir a copy of what was acknowledged anywhere before. A cluster of
// several groups has no such copy in one directory.
func (n *Node) Checkpoint(dir string) error {
	engines := n.engines()
	if len(engines) != 1 {
		return fmt.Errorf("cluster: %d groups cannot be copied into one directory", len(engines))
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.Store.o.Patience)
	defer cancel()
	if err := n.barrier(ctx); err != nil {
		return err
	}
	return engines[0].Checkpoint(dir)
}

// SetHotBytes changes how much memory the caches of this node's replicas may take.
func (n *Node) SetHotBytes(bytes int64) error {
	engines := n.engines()
	for _, e := range engines {
		if err := e.SetHotBytes(bytes / int64(len(engines))); err != nil {
			return err
		}
	}
	return nil
}

// Quiesce lets others lead, and makes a Close soon after it quick. Resume undoes it.
func (n *Node) Quiesce(ctx context.Context) error {
	n.Transfer(ctx)
	engines := n.engines()
	for i, e := range engines {
		if err := e.Quiesce(ctx); err != nil {
			for _, done := range engines[:i] {
				done.Resume()
			}
			return err
		}
	}
	return nil
}

// Resume undoes Quiesce.
func (n *Node) Resume() {
	for _, e := range n.engines() {
		e.Resume()
	}
}

// ReadOnly is false: a node whose disk takes nothing lets others lead.
func (n *Node) ReadOnly() bool { return false }
