package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/membership"
	"cairn/cluster/peer"
	"cairn/cluster/visit"
)

// Cluster says what the server has to do with a cluster.
type Cluster struct {
	Identity *membership.Identity // of the data directory; nil: of no node yet
	Visit    visit.Options        // Security is loaded already; no addresses: nobody is asked
	Unsafe   error                // why the certificates cannot be loaded

	Proxy     bool
	Listen    string // for other nodes
	Advertise string // where they reach it
	Expect    int    // nodes that a new cluster begins with

	// Lookup returns the addresses of a host. Default: that of the system.
	Lookup func(ctx context.Context, host string) ([]string, error)
}

// From when on a cluster is not as it should be.
const (
	slowTrip    = 20 * time.Millisecond // every write waits for one
	muchLag     = 10_000                // entries
	clocksApart = 250 * time.Millisecond
	clocksWrong = time.Second // what nodes keep to; see docs/cluster.md
)

// cluster asks the nodes, and judges what they say.
func cluster(ctx context.Context, o *Options) (all []Finding) {
	c := o.Cluster
	if c == nil {
		return nil
	}
	if c.Identity != nil {
		all = append(all, c.identity())
	}
	if c.Unsafe != nil {
		return append(all, Finding{"cluster certificates", Fail, c.Unsafe.Error(), "the server does not start: correct --cluster-cert, --cluster-key and --cluster-ca"})
	}
	if s := c.Visit.Security; s != nil {
		all = append(all, c.certificates(s))
	}
	if len(c.Visit.Addresses) == 0 {
		return append(all, Finding{"cluster", Warn, "the nodes were not asked", "repeat it with the flags or the file of the server, so that they are known"})
	}
	found := visit.All(ctx, c.Visit)
	if ctx.Err() != nil {
		return all
	}
	if !c.Proxy {
		all = append(all, c.listen(found))
	}
	r := &round{c: c, answered: map[uint64]*visit.Node{}, members: map[uint64]string{}, now: o.Now()}
	r.take(found)
	all = append(all, r.quorum()...)
	all = append(all, r.nodes()...)
	all = append(all, r.leader()...)
	all = append(all, r.clocks()...)
	all = append(all, r.programs()...)
	return append(all, r.machines(ctx)...)
}

func (c *Cluster) identity() Finding {
	const check = "cluster"
	i := c.Identity
	if c.Visit.Cluster != "" && i.Cluster != c.Visit.Cluster {
		return Finding{check, Fail, fmt.Sprintf("the data directory belongs to %q, and --cluster-name is %q", i.Cluster, c.Visit.Cluster), "the server does not start: correct the name, or name another data directory"}
	}
	text := fmt.Sprintf("the data directory is that of node %s of %q", group.FormatNode(i.Node), i.Cluster)
	if !i.Begun() {
		text += ", which has not begun"
	}
	return Finding{check, OK, text, ""}
}

func (c *Cluster) certificates(s *peer.Security) Finding {
	if err := s.Check(c.Proxy); err != nil {
		return Finding{"cluster certificates", Fail, err.Error(), "other nodes refuse it: let the authority of --cluster-ca issue another, for servers and clients"}
	}
	return Finding{"cluster certificates", OK, "the authority has issued the own one", ""}
}

// listen looks whether others can reach this node.
func (c *Cluster) listen(found []visit.Node) Finding {
	const check = "cluster-listen"
	var at *visit.Node
	for i := range found {
		if found[i].Address == c.Advertise || c.Identity != nil && found[i].Err == nil && found[i].Node == c.Identity.Node {
			at = &found[i]
			break
		}
	}
	if at != nil && at.Err == nil {
		if c.Identity == nil || at.Node != c.Identity.Node {
			return Finding{check, Fail, fmt.Sprintf("%s leads to node %s, which is another", c.Advertise, group.FormatNode(at.Node)), "correct --cluster-advertise, or --data-dir if this is the wrong one"}
		}
		return Finding{check, OK, fmt.Sprintf("this node is reached at %s", at.Address), ""}
	}
	l, err := net.Listen("tcp", c.Listen)
	switch {
	case err == nil:
		_ = l.Close()
		return Finding{check, OK, fmt.Sprintf("%s is free: no server is running", c.Listen), ""}
	case !errors.Is(err, syscall.EADDRINUSE):
		return Finding{check, Fail, err.Error(), "the server does not start: name an address of this machine"}
	}
	why := "it was not tried"
	if at != nil {
		why = at.Err.Error()
	}
	return Finding{check, Fail, fmt.Sprintf("something listens on %s, but is not reached as a node at %s: %s", c.Listen, c.Advertise, why), "see that --cluster-advertise names this machine, that no firewall is between, and that it is this server which listens"}
}

// round is what was found.
type round struct {
	c        *Cluster
	answered map[uint64]*visit.Node
	failed   []*visit.Node
	members  map[uint64]string // addresses, as the node knows them that has seen most
	now      time.Time
}

func (r *round) take(found []visit.Node) {
	if r.c.Identity != nil {
		for _, m := range r.c.Identity.Members {
			r.members[m.Node] = m.Address
		}
	}
	latest := uint64(0)
	for i := range found {
		n := &found[i]
		if n.Err != nil {
			r.failed = append(r.failed, n)
			continue
		}
		r.answered[n.Node] = n
		if len(n.Status.Groups) == 0 || n.Status.Groups[0].Applied < latest {
			continue
		}
		latest = n.Status.Groups[0].Applied
		clear(r.members)
		for _, m := range n.Status.Nodes {
			r.members[m.Node] = m.Address
		}
	}
}

// quorum counts who answers.
func (r *round) quorum() []Finding {
	const check = "quorum"
	if len(r.members) == 0 {
		if r.c.Proxy || len(r.answered) == 0 && r.c.Identity == nil {
			return []Finding{r.nobody()}
		}
		return []Finding{{check, Warn, fmt.Sprintf("the cluster has not begun: %d of %d nodes answer", len(r.answered), r.c.Expect), "start the others; --bootstrap-expect says how many there are to be"}}
	}
	there := 0
	for node := range r.members {
		if r.answered[node] != nil {
			there++
		}
	}
	f := Finding{check, OK, fmt.Sprintf("%d of %d members answer", there, len(r.members)), ""}
	switch most := len(r.members)/2 + 1; {
	case there < most:
		f.Grade, f.Advice = Fail, fmt.Sprintf("without %d the cluster answers nothing: start the others", most)
	case there == most && there < len(r.members):
		f.Grade, f.Advice = Warn, "if one more is lost, the cluster answers nothing: start the others, or let new nodes take their place"
	case there < len(r.members):
		f.Grade, f.Advice = Warn, "start the others, or let new nodes take their place"
	case len(r.members) < 3:
		f.Grade, f.Advice = Warn, "if one is lost, the cluster answers nothing: have three or five"
	case len(r.members)%2 == 0:
		f.Grade, f.Advice = Warn, "it survives no more losses than with one member less: have three or five"
	}
	return []Finding{f}
}

// nobody is the finding that no node is known.
func (r *round) nobody() Finding {
	f := Finding{"quorum", Warn, "no node answers", "start the nodes, or correct --join"}
	if r.c.Proxy {
		f.Grade = Fail
	}
	if len(r.failed) > 0 {
		f.Found = fmt.Sprintf("no node answers: %s: %v", r.failed[0].Address, r.failed[0].Err)
	}
	return f
}

// nodes judges each member.
func (r *round) nodes() (all []Finding) {
	for _, node := range slices.SortedFunc(maps.Keys(r.members), func(a, b uint64) int { return strings.Compare(r.members[a], r.members[b]) }) {
		n := r.answered[node]
		if n == nil {
			f := Finding{"node " + r.members[node], Warn, "it does not answer", "see whether it runs, and what its log says"}
			if i := slices.IndexFunc(r.failed, func(x *visit.Node) bool { return x.Address == r.members[node] }); i >= 0 {
				f.Found = r.failed[i].Err.Error()
			}
			all = append(all, f)
			continue
		}
		all = append(all, r.node(n)...)
	}
	return all
}

func (r *round) node(n *visit.Node) []Finding {
	check := "node " + n.Address
	text := fmt.Sprintf("%s answers within %v", group.FormatNode(n.Node), n.RoundTrip.Round(10*time.Microsecond))
	f := Finding{check, OK, text, ""}
	switch {
	case n.RoundTrip > patience:
		f.Grade, f.Advice = Fail, fmt.Sprintf("every write waits for another node, and some clients give up after %v: see what is between the machines", patience)
	case n.RoundTrip > slowTrip:
		f.Grade, f.Advice = Warn, "every write waits for another node: keep nodes close to each other"
	}
	all := []Finding{f}
	if lag := r.lag(n); lag > muchLag {
		all = append(all, Finding{check, Warn, fmt.Sprintf("it lacks %d entries of the log", lag), "repeat it: if that does not become less, see its disk and processors"})
	}
	if apart := r.unconnected(n); len(apart) > 0 {
		all = append(all, Finding{check, Warn, "it has no connection to " + strings.Join(apart, ", "), "see whether --cluster-listen of those is reached from there"})
	}
	if !n.Expires.IsZero() && n.Expires.Sub(r.now) < soon {
		all = append(all, Finding{check, Warn, "its certificate ends on " + n.Expires.Format(time.DateOnly), "replace the file there and send SIGHUP"})
	}
	return all
}

// lag is how many entries a node has not applied that another knows to be committed.
func (r *round) lag(n *visit.Node) (lag uint64) {
	for i, g := range n.Status.Groups {
		if g.Committed == 0 {
			continue
		}
		for _, other := range r.answered {
			if i < len(other.Status.Groups) {
				if committed := other.Status.Groups[i].Committed; committed > g.Applied {
					lag = max(lag, committed-g.Applied)
				}
			}
		}
	}
	return lag
}

// unconnected are the members that answer, and to which a node has no connection.
func (r *round) unconnected(n *visit.Node) (addresses []string) {
	if !n.Known {
		return nil // it does not say
	}
	for node, address := range r.members {
		if node != n.Node && r.answered[node] != nil && !slices.Contains(n.Status.Connected, node) {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	return addresses
}

// leader looks whether the nodes agree on who leads.
func (r *round) leader() []Finding {
	const check = "leader"
	type group struct{ term, leader uint64 }
	known := map[int]group{}
	for _, n := range r.answered {
		for i, g := range n.Status.Groups {
			if k, ok := known[i]; !ok || g.Term > k.term || g.Term == k.term && g.Leader > k.leader {
				known[i] = group{g.Term, g.Leader}
			}
		}
	}
	if len(known) == 0 {
		return nil // said above
	}
	var names []string
	for i := range len(known) {
		if known[i].leader == 0 {
			return []Finding{{check, Fail, fmt.Sprintf("no node knows who leads group %d", i), "repeat it: an election takes some seconds at most. If it stays so, see quorum and the nodes' logs"}}
		}
		if name := r.name(known[i].leader); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return []Finding{{check, OK, strings.Join(names, ", "), ""}}
}

// name is what a node is called: where it is, if that is known.
func (r *round) name(node uint64) string {
	return cmp.Or(r.members[node], group.FormatNode(node))
}

// clocks compares those of the nodes.
func (r *round) clocks() []Finding {
	const check = "clocks of nodes"
	var first, last *visit.Node
	for _, n := range r.answered {
		if !n.Known {
			continue
		}
		if first == nil || n.Ahead < first.Ahead {
			first = n
		}
		if last == nil || n.Ahead > last.Ahead {
			last = n
		}
	}
	if first == last {
		return nil
	}
	// What the network takes, one way more than the other, is not the clocks'.
	unsure := (first.RoundTrip + last.RoundTrip) / 2
	apart := last.Ahead - first.Ahead
	f := Finding{check, OK, fmt.Sprintf("at most %v apart", (apart + unsure).Round(time.Millisecond)), ""}
	if apart-unsure > clocksApart {
		f.Found = fmt.Sprintf("that of %s is %v ahead of that of %s", last.Address, apart.Round(time.Millisecond), first.Address)
		f.Grade, f.Advice = Warn, "run chrony, ntpd or systemd-timesyncd on all nodes: sessions expire by the leader's"
	}
	if apart-unsure > clocksWrong {
		f.Grade = Fail
	}
	return []Finding{f}
}

// programs compares the nodes' versions.
func (r *round) programs() []Finding {
	versions := map[string]bool{}
	for _, n := range r.answered {
		versions[n.Program] = true
	}
	if len(versions) < 2 {
		return nil
	}
	return []Finding{{"versions", Warn, strings.Join(slices.Sorted(maps.Keys(versions)), ", "), "bring all nodes to the same: what is new is used only then"}}
}

// machines looks whether members would be lost together.
func (r *round) machines(ctx context.Context) []Finding {
	const check = "machines"
	lookup := r.c.Lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupHost
	}
	at := map[string][]string{} // members by address of the machine
	for _, address := range r.members {
		host, _, _ := net.SplitHostPort(address)
		ips, err := lookup(ctx, host)
		if err != nil {
			continue // it does not answer either
		}
		at[slices.Min(ips)] = append(at[slices.Min(ips)], address)
	}
	var all []Finding
	for _, ip := range slices.Sorted(maps.Keys(at)) {
		if together := at[ip]; len(together) > 1 {
			slices.Sort(together)
			all = append(all, Finding{check, Warn, strings.Join(together, " and ") + " are on the same machine", "each is to have its own, in another rack or zone: what fails there takes all of them"})
		}
	}
	if len(all) == 0 && len(at) > 1 {
		all = []Finding{{check, OK, fmt.Sprintf("%d members, each with an address of its own", len(at)), ""}}
	}
	return all
}
