package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

// A cluster is three nodes, and a proxy perhaps, on machines of their own.
type cluster struct {
	t       *testing.T
	network *network
	nodes   []*node
	proxy   *node // nil: there is none
}

// node is a node, or a proxy, and its machine.
type node struct {
	*server
	*machine
	disk  *ext4  // of its own; nil: it has none
	shift string // the file that says how wrong its clock is; empty: it is right
}

func unprepared(*node) {}

const (
	clusterToken  = "torture-torture-torture"
	memcachedPort = ":11211"
	httpPort      = ":8211"
)

// newCluster starts a cluster, which ends with the test. prepare sees each node, and the
// proxy, before it starts.
func newCluster(t *testing.T, proxy bool, prepare func(n *node)) *cluster {
	t.Helper()
	c := &cluster{t: t, network: newNetwork(t, 4)}
	var join []string
	for _, m := range c.network.machines[:3] {
		join = append(join, m.address+":7211")
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	must(t, os.WriteFile(tokens, []byte("torture admin "+clusterToken+"\n"), 0o600))
	for i, m := range c.network.machines {
		s := newServer(t, "--listen", m.address, "--http-listen", m.address+httpPort, "--http-allow-plaintext", "--http-token-file", tokens,
			"--cluster-plaintext", "--join", strings.Join(join, ","))
		s.enter = m.enter()
		n := &node{server: s, machine: m}
		if s.proxy = i == 3; !s.proxy {
			s.flags = append(s.flags, "--cluster-listen", join[i])
			c.nodes = append(c.nodes, n)
		} else if proxy {
			s.flags = append(s.flags, "--role=proxy")
			c.proxy = n
		} else {
			continue
		}
		prepare(n)
		n.launch()
	}
	for _, n := range c.nodes {
		c.serves(n)
	}
	if proxy {
		c.serves(c.proxy)
	}
	return c
}

// connect opens a connection to a node, as a client of a protocol that it speaks there.
func (c *cluster) connect(n *node, d dialect) (*client, error) {
	address := n.address + memcachedPort
	if _, ok := d.(web); ok {
		address = n.address + httpPort
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := c.network.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newClient(conn, d), nil
}

// serves waits until a node answers what needs the cluster.
func (c *cluster) serves(n *node) {
	c.t.Helper()
	read := []session.Command{{Op: session.OpGet, Key: []byte("nothing")}}
	for deadline := time.Now().Add(patience); ; {
		conn, err := c.connect(n, text{})
		if err == nil {
			var answers []answer
			answers, err = conn.do(read, wallNow())
			conn.close()
			if err == nil && answers[0].status == session.NotFound {
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s does not serve: %v\n%s", n.address, err, n.log)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// leader asks nodes which of them leads.
func (c *cluster) leader() *node {
	c.t.Helper()
	transport := &http.Transport{DialContext: c.network.dial}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: time.Second}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, n := range c.nodes {
			if leader := c.leaderBy(&client, n); leader != nil {
				return leader
			}
		}
	}
	c.t.Fatal("no node leads")
	return nil
}

// leaderBy is the node that a node takes for the leader.
func (c *cluster) leaderBy(client *http.Client, n *node) *node {
	request, err := http.NewRequest(http.MethodGet, "http://"+n.address+httpPort+"/v1/cluster", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+clusterToken)
	response, err := client.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var status adminapi.Cluster
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil || len(status.Groups) == 0 {
		return nil
	}
	for _, s := range status.Nodes {
		if s.Node != status.Groups[0].Leader {
			continue
		}
		host, _, _ := net.SplitHostPort(s.Address)
		for _, candidate := range c.nodes {
			if candidate.address == host {
				return candidate
			}
		}
	}
	return nil
}

// but are the nodes other than one.
func (c *cluster) but(n *node) (others []*node) {
	for _, other := range c.nodes {
		if other != n {
			others = append(others, other)
		}
	}
	return others
}

func (n *node) String() string { return fmt.Sprint("node ", n.address) }
