package proxy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"cairn/cluster"
	"cairn/cluster/seed/dnstest"
	"cairn/engine"
	"cairn/freeport"
	"cairn/session"
	"cairn/session/sessiontest"
)

// patience is how long anything may take, on a machine that has much else to do. Nothing
// waits for it unless a test fails.
const patience = 3 * time.Minute

// town is nodes on loopback, and a proxy that is told of one of them.
type town struct {
	t         *testing.T
	clock     *sessiontest.Clock // of the nodes; nil: the machine's
	value     int                // the largest
	dirs      []string
	addresses []string
	nodes     []*cluster.Node
	proxy     *Proxy
}

func newTown(t *testing.T, clock *sessiontest.Clock, value int) *town {
	c := &town{t: t, clock: clock, value: value, nodes: make([]*cluster.Node, 3)}
	for range c.nodes {
		address, err := freeport.Address()
		if err != nil {
			t.Fatal(err)
		}
		c.addresses = append(c.addresses, address)
		c.dirs = append(c.dirs, t.TempDir())
	}
	c.proxy = c.open()
	t.Cleanup(func() {
		if err := c.proxy.Close(); err != nil {
			t.Error(err)
		}
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

// open opens a proxy.
func (c *town) open() *Proxy {
	return Open(Options{Cluster: "test", Join: c.addresses[1:2], MaxFrame: cluster.MaxFrame(c.value), Patience: patience, Logger: slog.New(slog.DiscardHandler)})
}

// start starts the nodes that do not run.
func (c *town) start() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var starting sync.WaitGroup
	for i := range c.nodes {
		if c.nodes[i] != nil {
			continue
		}
		starting.Go(func() {
			l, err := net.Listen("tcp", c.addresses[i])
			if err != nil {
				c.t.Error(err)
				return
			}
			o := cluster.Options{
				Engine:  engine.Options{Dir: c.dirs[i], Logger: slog.New(slog.DiscardHandler), DiskReserve: -1, MaxValueSize: c.value},
				Cluster: "test", Listener: l, Address: c.addresses[i], Join: c.addresses, Expect: len(c.addresses), Patience: patience,
				Fatal: func(err error) { c.t.Errorf("node %d: %v", i, err) },
			}
			if c.clock != nil {
				o.Engine.Wall, o.MaxLag = c.clock.Wall, -1
			}
			n, err := cluster.Open(ctx, o)
			if err != nil {
				c.t.Errorf("node %d: %v", i, err)
				return
			}
			c.nodes[i] = n
		})
	}
	starting.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func (c *town) stop(i int) {
	if n := c.nodes[i]; n != nil {
		c.nodes[i] = nil
		if err := n.Close(); err != nil {
			c.t.Errorf("close node %d: %v", i, err)
		}
	}
}

func (c *town) do(commands ...session.Command) []session.Result {
	c.t.Helper()
	b := &session.Burst{Now: c.proxy.Now(), Commands: commands}
	session.Do(c.proxy, b)
	for i := range b.Results {
		if b.Results[i].Status == session.Failed {
			c.t.Fatalf("command %d: %v", i, b.Results[i].Err)
		}
	}
	return b.Results
}

func (c *town) set(key, value string) {
	c.t.Helper()
	one := session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: c.proxy.Now().Add(time.Hour)}
	if r := c.do(one); r[0].Status != session.OK {
		c.t.Fatalf("set %s: status %d", key, r[0].Status)
	}
}

func get(key string) session.Command { return session.Command{Op: session.OpGet, Key: []byte(key)} }

// leader is the place of the node that leads.
func (c *town) leader() int {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(time.Millisecond) {
		for i, n := range c.nodes {
			if n != nil && n.Figures().Leading > 0 {
				return i
			}
		}
	}
	c.t.Fatal("no node leads")
	return 0
}

// cutLeader lets the proxy take the node that leads for one that does not answer, and
// not ask it again until it is to be asked.
func (c *town) cutLeader() (ask func()) {
	for ; ; time.Sleep(time.Millisecond) {
		_, leader := c.proxy.members.leader(0)
		c.proxy.members.mu.Lock()
		n := c.proxy.members.nodes[leader]
		cut := n != nil && n.asked.IsZero() // no answer is on its way
		if cut {
			n.silent, n.asked = true, time.Now().Add(time.Hour)
		}
		c.proxy.members.mu.Unlock()
		if cut {
			return func() {
				c.proxy.members.mu.Lock()
				n.asked = time.Time{}
				c.proxy.members.mu.Unlock()
			}
		}
	}
}

// TestProxy lets a proxy do all that a store can, while nodes stop.
func TestProxy(t *testing.T) {
	c := newTown(t, nil, session.DefaultMaxValueSize)
	early := make(chan session.Status, 1)
	go func() { // it waits for the cluster
		b := &session.Burst{Now: c.proxy.Now(), Commands: []session.Command{{Op: session.OpAdd, Key: []byte("early"), Expiry: c.proxy.Now().Add(time.Hour)}}}
		session.Do(c.proxy, b)
		early <- b.Results[0].Status
	}()
	c.start()
	if status := <-early; status != session.OK {
		t.Errorf("what came early has status %d", status)
	}

	// Many reads, of which some are large: in several calls, and several answers.
	var many []session.Command
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MB
	for i := range 40 {
		value := fmt.Sprint("value ", i)
		if i%4 == 3 {
			value += string(big)
		}
		key := fmt.Sprintf("many%02d", i)
		c.set(key, value)
		many = append(many, get(key))
	}
	many = append(many, get("nothing"))
	results := c.do(many...)
	for i := range 40 {
		if want := fmt.Sprint("value ", i); !bytes.HasPrefix(results[i].Item.Value, []byte(want)) || (i%4 == 3) != (len(results[i].Item.Value) > 1<<20) {
			t.Errorf("%s holds %d bytes", many[i].Key, len(results[i].Item.Value))
		}
	}
	if results[40].Status != session.NotFound {
		t.Errorf("what is not there has status %d", results[40].Status)
	}

	// A stale item is claimed by one reader only, which goes through the log.
	c.do(session.Command{Op: session.OpDelete, Mods: session.Invalidate, Key: []byte("many00")})
	if r := c.do(get("many00"), get("many01")); !r[0].Won || r[1].Status != session.OK {
		t.Errorf("the first reader has not won: %+v", r[0])
	}
	if r := c.do(get("many00")); r[0].Won {
		t.Error("the second reader has won as well")
	}

	// Lists come in pages.
	var keys []string
	if err := c.proxy.Scan(t.Context(), []byte("many"), nil, func(it *session.Item) bool {
		keys = append(keys, string(it.Key))
		return true
	}); err != nil || len(keys) != 40 || !slices.IsSorted(keys) {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	owned := session.Command{Op: session.OpSet, Mods: session.Tracked, Key: []byte("hers"), Owner: []byte("alice"), Expiry: c.proxy.Now().Add(time.Hour)}
	c.do(owned)
	found := 0
	if err := c.proxy.ScanOwner(t.Context(), []byte("alice"), nil, false, func(it *session.Item) bool {
		found++
		return string(it.Key) == "hers"
	}); err != nil || found != 1 {
		t.Errorf("alice has %d sessions, %v", found, err)
	}
	if err := c.proxy.ScanOwners(t.Context(), nil, nil, func(o *session.OwnerSummary) bool {
		found++
		return string(o.Owner) == "alice" && o.Sessions == 1
	}); err != nil || found != 2 {
		t.Errorf("%d owners, %v", found-1, err)
	}

	// Without a connection to the leader another node passes on what is written.
	for begun := time.Now(); c.proxy.Figures().Answering < 3; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%+v", c.proxy.Figures())
		}
	}
	before := c.proxy.counts.relayed.Load()
	for begun := time.Now(); c.proxy.counts.relayed.Load() == before; { // again, if another leads meanwhile
		if time.Since(begun) > patience {
			t.Fatal("nothing was relayed")
		}
		ask := c.cutLeader()
		c.set("relayed", "yes")
		ask()
	}

	// A node stops, the one that leads.
	c.stop(c.leader())
	c.set("later", "yes")
	if r := c.do(get("relayed"), get("later"), get("early")); r[0].Status != session.OK || r[1].Status != session.OK || r[2].Status != session.OK {
		t.Errorf("%+v", r)
	}
	if f := c.proxy.Figures(); f.Members != 3 || f.Groups != 1 || f.Reads == 0 || f.Writes.Unavailable != 0 {
		t.Errorf("%+v", f)
	}
	c.do(session.Command{Op: session.OpFlush, FlushAt: c.proxy.Now()})
	if r := c.do(get("later")); r[0].Status != session.NotFound {
		t.Errorf("a flushed session has status %d", r[0].Status)
	}
}

// TestFindBySRV starts a proxy before there are the SRV records that name the nodes, and one
// of a node that is not there.
func TestFindBySRV(t *testing.T) {
	const entry = "_cluster._tcp.cairn.test"
	names := dnstest.New(t)
	c := newTown(t, nil, session.DefaultMaxValueSize)
	c.start()
	c.set("key", "value")
	p := Open(Options{Cluster: "test", Join: []string{entry}, Resolver: names.Resolver(), Patience: patience, Logger: slog.New(slog.DiscardHandler)})
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	for names.Asked(entry) == 0 {
		time.Sleep(time.Millisecond)
	}
	names.Addresses("node.cairn.test", "127.0.0.1")
	names.SRV(entry, append(dnstest.Records("node.cairn.test", c.addresses...), "0 0 7211 gone.cairn.test")...)
	b := &session.Burst{Now: p.Now(), Commands: []session.Command{get("key")}}
	session.Do(p, b)
	if r := b.Results[0]; string(r.Item.Value) != "value" {
		t.Errorf("the value is %q, with status %d: %v", r.Item.Value, r.Status, r.Err)
	}
}
