package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"cairn/cluster"
	"cairn/figures"
)

// Figures are what a proxy counts.
type Figures struct {
	Members    int // nodes of the cluster
	Answering  int // nodes to which there is a connection, and that answer
	Groups     int
	Leaderless int   // groups of which it knows no leader
	Reads      int64 // bursts of reads
	ReadsAgain int64 // questions that another node had to be asked
	Relayed    int64 // forwards by way of a node that does not lead
	Unanswered int64 // reads that failed because no node answered for too long

	Writes cluster.Counts // what went through a log
}

var declared = figures.Set[*Figures]{
	figures.Gauge("cairn_proxy_nodes", "Nodes of the cluster, as far as the proxy knows.", func(f *Figures) int { return f.Members }),
	figures.Gauge("cairn_proxy_nodes_answering", "Nodes to which the proxy has a connection, and that answer.", func(f *Figures) int { return f.Answering }),
	figures.Gauge("cairn_proxy_groups_without_leader", "Groups of which the proxy knows no leader; all, as one, before it knows any node.", func(f *Figures) int { return f.Leaderless }),
	figures.Counter("cairn_proxy_reads_total", "Bursts of reads that nodes were asked for.", func(f *Figures) int64 { return f.Reads }),
	figures.Counter("cairn_proxy_reads_again_total", "Reads that another node, or the same once more, had to be asked for.", func(f *Figures) int64 { return f.ReadsAgain }),
	figures.Counter("cairn_proxy_forwards_total", "Bursts sent to the node that leads their group.", func(f *Figures) int64 { return f.Writes.Forwarded }),
	figures.Counter("cairn_proxy_relays_total", "Bursts sent to it by way of another node, for want of a connection to it.", func(f *Figures) int64 { return f.Relayed }),
	figures.Counter("cairn_proxy_repeats_total", "Attempts to apply a burst of writes that had to be repeated.", func(f *Figures) int64 { return f.Writes.Again }),
	figures.Counter("cairn_proxy_failed_bursts_total", "Bursts that failed because there was no leader, or no node answered, for too long.", func(f *Figures) int64 { return f.Writes.Unavailable + f.Unanswered }).With("outcome", "none"),
	figures.Counter("cairn_proxy_failed_bursts_total", "Bursts that failed because there was no leader, or no node answered, for too long.", func(f *Figures) int64 { return f.Writes.Unknown }).With("outcome", "unknown"),
}

// Figures returns the present figures.
func (p *Proxy) Figures() *Figures {
	c := &p.counts
	f := &Figures{Reads: c.reads.Load(), ReadsAgain: c.readsAgain.Load(), Relayed: c.relayed.Load(), Unanswered: c.unavailable.Load()}
	if s := p.store.Load(); s != nil {
		f.Writes = s.Counts()
	}
	status := p.Status()
	f.Members, f.Groups = len(status.Nodes), len(status.Groups)
	for _, n := range status.Nodes {
		if n.Connected {
			f.Answering++
		}
	}
	for _, g := range status.Groups {
		if g.Leader == 0 {
			f.Leaderless++
		}
	}
	if f.Groups == 0 {
		f.Leaderless = 1
	}
	return f
}

// Describe and Collect make a Proxy a prometheus.Collector. Describe may be called on
// a nil Proxy.
func (p *Proxy) Describe(ch chan<- *prometheus.Desc) { declared.Describe(ch) }
func (p *Proxy) Collect(ch chan<- prometheus.Metric) { declared.Collect(ch, p.Figures()) }

// Status is the cluster as the proxy sees it. It is no node itself.
func (p *Proxy) Status() cluster.Status {
	m := p.members
	m.mu.Lock()
	defer m.mu.Unlock()
	s := cluster.Status{Cluster: p.o.Cluster}
	leads := map[uint64]int{}
	for i, g := range m.groups {
		one := cluster.GroupStatus{Group: i}
		one.Term, one.Leader = g.term, g.leader
		s.Groups = append(s.Groups, one)
		leads[g.leader]++
	}
	for _, known := range m.known {
		n := cluster.NodeStatus{Node: known.Node, Address: known.Address, Zone: known.Zone, Member: true, Leads: leads[known.Node], Drained: known.Drained}
		if c := m.nodes[known.Node]; c != nil {
			n.Connected, n.Heard = !c.silent, c.answered
		}
		s.Nodes = append(s.Nodes, n)
	}
	return s
}
