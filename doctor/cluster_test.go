package doctor_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/membership"
	"cairn/cluster/peer"
	"cairn/cluster/remote"
	"cairn/cluster/seed/dnstest"
	"cairn/cluster/visit"
	"cairn/doctor"
	"cairn/freeport"
)

// node is a node of a cluster that says what the test wants.
type node struct {
	number  uint64
	address string
	program string
	ahead   time.Duration // its clock
	say     func(*remote.Status)
	all     *[]*node
}

func (*node) Messages(uint64, uint64, []*raftpb.Message) {}
func (*node) Serve(uint64, []byte, func([]byte))         {}
func (*node) Heard(peer.Hello, []byte)                   {}
func (*node) Stream(peer.Hello, io.ReadWriter)           {}
func (*node) Gone(uint64)                                {}

// ServeProxy answers with a status.
func (n *node) ServeProxy(_ []byte, reply func([]byte)) {
	s := remote.Status{
		Node: n.number, Now: time.Now().Add(n.ahead),
		Groups: []remote.Group{{Term: 3, Leader: 1, Committed: 1000, Applied: 1000}},
	}
	for _, other := range *n.all {
		s.Nodes = append(s.Nodes, remote.Node{Node: other.number, Address: other.address})
		if other != n {
			s.Connected = append(s.Connected, other.number)
		}
	}
	if n.say != nil {
		n.say(&s)
	}
	reply(remote.Answer(s))
}

// newCluster makes members, which are not started.
func newCluster(t *testing.T, size int) []*node {
	t.Helper()
	all := make([]*node, size)
	for i := range all {
		address, err := freeport.Address()
		if err != nil {
			t.Fatal(err)
		}
		all[i] = &node{number: uint64(i + 1), address: address, program: "1.0", all: &all}
	}
	return all
}

func start(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		l, err := net.Listen("tcp", n.address)
		if err != nil {
			t.Fatal(err)
		}
		p := peer.New(peer.Options{
			Self: peer.Hello{Cluster: "c", Node: n.number, Address: n.address, Program: n.program}, Listener: l, Handler: n,
			State: func() []byte { return []byte("{}") }, Logger: slog.New(slog.DiscardHandler),
		})
		t.Cleanup(func() { _ = p.Close() })
	}
}

// apart lets each address be that of a machine of its own.
func apart() func(context.Context, string) ([]string, error) {
	n := byte(0)
	return func(context.Context, string) ([]string, error) {
		n++
		return []string{net.IPv4(10, 0, 0, n).String()}, nil
	}
}

// examined are the findings about a cluster, for its first node.
func examined(t *testing.T, nodes []*node, change ...func(*doctor.Cluster)) []doctor.Finding {
	t.Helper()
	identity := &membership.Identity{Cluster: "c", Node: 1}
	for _, n := range nodes {
		identity.Members = append(identity.Members, membership.Member{Node: n.number, Address: n.address})
	}
	c := &doctor.Cluster{
		Identity: identity, Listen: nodes[0].address, Advertise: nodes[0].address, Expect: 3, Lookup: apart(),
		Visit: visit.Options{Cluster: "c", Addresses: []string{nodes[0].address}},
	}
	for _, f := range change {
		f(c)
	}
	all := doctor.Examine(t.Context(), doctor.Options{Cluster: c})
	return slices.DeleteFunc(all, func(f doctor.Finding) bool { return f.Check == "clock" || f.Check == "listen backlog" })
}

// want compares a finding with a grade, and a part of what it says.
func want(t *testing.T, all []doctor.Finding, check string, grade doctor.Grade, part string) {
	t.Helper()
	f := graded(t, all, check)
	if f.Grade != grade || !strings.Contains(f.Found, part) || (f.Advice == "") != (grade == doctor.OK) {
		t.Errorf("%+v, want %s with %q", f, grade, part)
	}
}

func TestHealthyCluster(t *testing.T) {
	nodes := newCluster(t, 3)
	start(t, nodes...)
	all := examined(t, nodes)
	for _, f := range all {
		if f.Grade != doctor.OK && !strings.HasPrefix(f.Check, "node ") { // a busy machine is slow
			t.Errorf("%+v", f)
		}
	}
	want(t, all, "cluster", doctor.OK, "node 0000000000000001")
	want(t, all, "cluster-listen", doctor.OK, nodes[0].address)
	want(t, all, "quorum", doctor.OK, "3 of 3")
	want(t, all, "leader", doctor.OK, nodes[0].address)
	want(t, all, "clocks of nodes", doctor.OK, "apart")
	want(t, all, "machines", doctor.OK, "3 members")
	for _, n := range nodes {
		if f := graded(t, all, "node "+n.address); !strings.Contains(f.Found, "answers within") {
			t.Errorf("%+v", f)
		}
	}
}

// TestClusterBySRV lets SRV records name the nodes, for a proxy, which knows them by nothing
// else.
func TestClusterBySRV(t *testing.T) {
	const entry = "_cluster._tcp.cairn.test"
	names := dnstest.New(t)
	nodes := newCluster(t, 3)
	start(t, nodes...)
	proxy := func(c *doctor.Cluster) {
		c.Proxy, c.Identity = true, nil
		c.Visit.Addresses, c.Visit.Resolver = []string{entry}, names.Resolver()
	}
	want(t, examined(t, nodes, proxy), "quorum", doctor.Fail, "no node answers: "+entry+": lookup "+entry)
	names.Addresses("node.cairn.test", "127.0.0.1")
	names.SRV(entry, append(dnstest.Records("node.cairn.test", nodes[0].address), "0 0 7211 gone.cairn.test")...)
	want(t, examined(t, nodes, proxy), "quorum", doctor.OK, "3 of 3")
}

func TestQuorum(t *testing.T) {
	nodes := newCluster(t, 3)
	want(t, examined(t, nodes), "cluster-listen", doctor.OK, "no server is running")
	want(t, examined(t, nodes), "quorum", doctor.Fail, "0 of 3")
	start(t, nodes[0])
	want(t, examined(t, nodes), "quorum", doctor.Fail, "1 of 3")
	start(t, nodes[1])
	all := examined(t, nodes)
	want(t, all, "quorum", doctor.Warn, "2 of 3")
	want(t, all, "node "+nodes[2].address, doctor.Warn, "refused")

	four := newCluster(t, 4)
	start(t, four...)
	want(t, examined(t, four), "quorum", doctor.Warn, "4 of 4")
	two := newCluster(t, 2)
	start(t, two...)
	want(t, examined(t, two), "quorum", doctor.Warn, "2 of 2")

	young := newCluster(t, 1)
	young[0].say = func(s *remote.Status) { s.Nodes, s.Groups = nil, nil }
	start(t, young...)
	want(t, examined(t, young, func(c *doctor.Cluster) { c.Identity.Members = nil }), "quorum", doctor.Warn, "1 of 3 nodes")
	gone := newCluster(t, 1)
	want(t, examined(t, gone, func(c *doctor.Cluster) { c.Proxy, c.Identity = true, nil }), "quorum", doctor.Fail, "no node answers")
}

// What nodes say of themselves and of each other.
func TestWhatNodesSay(t *testing.T) {
	for name, c := range map[string]struct {
		change func(nodes []*node)
		check  string
		grade  doctor.Grade
		part   string
	}{
		"lag": {func(nodes []*node) {
			nodes[1].say = func(s *remote.Status) { s.Groups[0].Committed = 900_000 }
		}, "node", doctor.Warn, "lacks 899000 entries"},
		"clocks":   {func(nodes []*node) { nodes[1].ahead = time.Hour }, "clocks of nodes", doctor.Fail, "ahead"},
		"versions": {func(nodes []*node) { nodes[2].program = "1.1" }, "versions", doctor.Warn, "1.0, 1.1"},
		"leader": {func(nodes []*node) {
			for _, n := range nodes {
				n.say = func(s *remote.Status) { s.Groups[0].Leader = 0 }
			}
		}, "leader", doctor.Fail, "no node knows"},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := newCluster(t, 3)
			c.change(nodes)
			start(t, nodes...)
			for _, f := range examined(t, nodes) {
				if strings.HasPrefix(f.Check, c.check) && strings.Contains(f.Found, c.part) {
					if f.Grade != c.grade || f.Advice == "" {
						t.Errorf("%+v", f)
					}
					return
				}
			}
			t.Errorf("no %s with %q", c.check, c.part)
		})
	}
}

func TestUnconnectedNodes(t *testing.T) {
	nodes := newCluster(t, 3)
	nodes[0].say = func(s *remote.Status) { s.Connected = []uint64{2} }
	start(t, nodes...)
	found := false
	for _, f := range examined(t, nodes) {
		found = found || f.Grade == doctor.Warn && f.Check == "node "+nodes[0].address && strings.Contains(f.Found, "no connection to "+nodes[2].address)
	}
	if !found {
		t.Error("nobody tells of the connection that is missing")
	}
}

func TestWrongPlace(t *testing.T) {
	nodes := newCluster(t, 3)
	start(t, nodes...)
	other := func(c *doctor.Cluster) { c.Advertise = nodes[1].address; c.Identity.Node = 9 }
	want(t, examined(t, nodes, other), "cluster-listen", doctor.Fail, "is another")

	// Something listens, and others do not get there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone := newCluster(t, 1)
	hidden := func(c *doctor.Cluster) { c.Listen = l.Addr().String() }
	want(t, examined(t, gone, hidden), "cluster-listen", doctor.Fail, "something listens")
	nowhere := func(c *doctor.Cluster) { c.Listen = "192.0.2.1:7211" } // of documentation
	want(t, examined(t, gone, nowhere), "cluster-listen", doctor.Fail, "192.0.2.1")

	renamed := func(c *doctor.Cluster) { c.Visit.Cluster = "d" }
	want(t, examined(t, nodes, renamed), "cluster", doctor.Fail, `"c"`)
	unasked := func(c *doctor.Cluster) { c.Visit = visit.Options{} }
	if all := examined(t, nodes, unasked); len(all) != 2 || all[1].Grade != doctor.Warn {
		t.Errorf("%+v", all)
	}
	together := func(c *doctor.Cluster) { c.Lookup = nil }
	want(t, examined(t, nodes, together), "machines", doctor.Warn, "on the same machine")
}
