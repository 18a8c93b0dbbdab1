package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/membership"
	"cairn/engine"
	"cairn/freeport"
	"cairn/session"
)

// patience is how long anything may take, on a machine that has much else to do. Nothing
// waits for it unless a test fails.
const patience = 3 * time.Minute

// town is nodes on loopback, with their directories.
type town struct {
	t         *testing.T
	dirs      []string
	addresses []string
	join      []string      // where nodes look for others; nil: at all addresses
	resolver  *net.Resolver // of names in join
	nodes     []*Node
	maxLog    int64
	expect    int // 0: all
	replace   time.Duration
	compare   time.Duration  // between two comparisons; 0: as usual
	slow      bool           // with SlowFailover
	ahead     []atomic.Int64 // by how many ns the clocks of nodes are; nil: none is
	full      []bool         // nodes with a disk that has no space; nil: none
	levels    []group.Level  // that nodes know when they start; nil: group.Latest
}

// release is the version of a program that knows levels up to one.
func release(level group.Level) string { return fmt.Sprint("release-", level) }

func newTown(t *testing.T, count int) *town {
	c := &town{t: t, nodes: make([]*Node, count)}
	for range count {
		address, err := freeport.Address()
		if err != nil {
			t.Fatal(err)
		}
		c.addresses = append(c.addresses, address)
		c.dirs = append(c.dirs, t.TempDir())
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

func (c *town) open(ctx context.Context, i int) (*Node, error) {
	l, err := net.Listen("tcp", c.addresses[i])
	if err != nil {
		return nil, err
	}
	reserve := int64(-1)
	if c.full != nil && c.full[i] {
		reserve = 1 << 60 // no disk has so much
	}
	var wall func() time.Time
	if c.ahead != nil {
		wall = func() time.Time { return time.Now().Add(time.Duration(c.ahead[i].Load())) }
	}
	level := group.Latest
	if c.levels != nil {
		level = c.levels[i]
	}
	join := c.addresses
	if c.join != nil {
		join = c.join
	}
	return Open(ctx, Options{
		Level: level, Program: release(level),
		Engine: engine.Options{
			Wall: wall,
			Dir:  c.dirs[i], Logger: slog.New(slog.DiscardHandler), DiskReserve: reserve, MaxValueSize: session.DefaultMaxValueSize,
		},
		Cluster: "test", Listener: l, Address: c.addresses[i], Join: join, Resolver: c.resolver, Expect: cmp.Or(c.expect, len(c.addresses)), MaxLog: c.maxLog, ReplaceAfter: c.replace,
		CompareEvery: c.compare, Patience: patience, SlowFailover: c.slow,
		Fatal: func(err error) { c.t.Errorf("node %d: %v", i, err) },
	})
}

// start starts nodes, all at once.
func (c *town) start(numbers ...int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var starting sync.WaitGroup
	for _, i := range numbers {
		starting.Go(func() {
			n, err := c.open(ctx, i)
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

func (c *town) do(i int, command session.Command) session.Result {
	c.t.Helper()
	n := c.nodes[i]
	b := &session.Burst{Now: n.Now(), Commands: []session.Command{command}}
	session.Do(n, b)
	if b.Results[0].Status == session.Failed {
		c.t.Fatalf("at node %d: %v", i, b.Results[0].Err)
	}
	return b.Results[0]
}

func (c *town) set(i int, key, value string) {
	c.t.Helper()
	r := c.do(i, session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: c.nodes[i].Now().Add(time.Hour)})
	if r.Status != session.OK {
		c.t.Fatalf("set at node %d: status %d", i, r.Status)
	}
}

func (c *town) want(i int, key, value string) {
	c.t.Helper()
	if r := c.do(i, session.Command{Op: session.OpGet, Key: []byte(key)}); string(r.Item.Value) != value {
		c.t.Errorf("%s at node %d is %q (status %d), want %q", key, i, r.Item.Value, r.Status, value)
	}
}

// TestThreeNodes lets nodes find each other, stop one after the other while
// sessions are stored, and stop all at once.
func TestThreeNodes(t *testing.T) {
	c := newTown(t, 3)
	c.start(0, 1, 2)
	for i := range 3 {
		c.set(i, fmt.Sprint("first", i), "1")
		for j := range 3 {
			c.want(j, fmt.Sprint("first", i), "1")
		}
	}
	large := strings.Repeat("large ", 1<<20)
	c.set(1, "large", large)
	c.want(2, "large", large)
	for away := range 3 {
		c.stop(away)
		for i := range 3 {
			if i != away {
				c.set(i, "turn", fmt.Sprint(away, i))
				c.want((6-away-i)%3, "turn", fmt.Sprint(away, i))
			}
		}
		c.start(away)
		c.want(away, "turn", map[int]string{0: "0 2", 1: "1 2", 2: "2 1"}[away])
	}
	for i := range 3 {
		c.stop(i)
	}
	c.start(0, 1, 2)
	c.want(0, "large", large)
	c.want(1, "turn", "2 1")
	c.want(2, "first0", "1")
	if items := c.nodes[0].Stats().Items; items != 5 {
		t.Errorf("%d sessions are counted, want 5", items)
	}
}

// TestOthersDoNotBegin opens nodes that do not belong to a cluster.
func TestOthersDoNotBegin(t *testing.T) {
	c := newTown(t, 3)
	c.start(0, 1, 2)
	c.stop(2)
	if err := os.RemoveAll(c.dirs[2]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if n, err := c.open(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a node without its directory: %v, %v", n, err)
	}

	c.stop(1)
	if err := os.RemoveAll(filepath.Join(c.dirs[1], logDir)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.open(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "the log of group 0 is missing") {
		t.Errorf("a node without its log: %v, %v", n, err)
	}

	single := t.TempDir()
	s, err := engine.Open(engine.Options{Dir: single, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.dirs[2] = single
	if n, err := c.open(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "it has begun already") {
		t.Errorf("the directory of a single server: %v, %v", n, err)
	}
	if begun, err := membership.Begun(single); begun || err != nil {
		t.Errorf("the directory of a single server has become a node's (%v)", err)
	}
	if s, err = engine.Open(engine.Options{Dir: single, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCheckWithoutLeader lets a node wait for the others: it is well, though it can answer
// no client.
func TestCheckWithoutLeader(t *testing.T) {
	c := newTown(t, 3)
	c.start(0, 1, 2)
	if err := c.nodes[0].Check(); err != nil {
		t.Errorf("with a leader: %v", err)
	}
	c.stop(1)
	c.stop(2)
	c.until("nobody leads", func() bool { return c.nodes[0].group(0).Status().Leader == 0 })
	if err := c.nodes[0].Check(); err != nil {
		t.Errorf("without a leader: %v", err)
	}
}

// TestOneNode is a cluster of one.
func TestOneNode(t *testing.T) {
	c := newTown(t, 1)
	c.start(0)
	c.set(0, "k", "v")
	c.stop(0)
	c.start(0)
	c.want(0, "k", "v")
}

// TestAwayForLong lets a node be away until the log of the others begins behind what it
// has: it gets a copy.
func TestAwayForLong(t *testing.T) {
	c := newTown(t, 3)
	c.maxLog = 1 << 20
	c.start(0, 1, 2)
	c.set(0, "k", "before")
	c.stop(2)
	random := rand.New(rand.NewPCG(1, 2))
	last := uint64(0)
	for n := 0; ; n++ {
		value := make([]byte, 64<<10)
		for i := range value {
			value[i] = byte(random.IntN(256))
		}
		c.set(n%2, "k", string(value))
		if n%64 != 0 {
			continue
		}
		// Both of the others have dropped the beginning.
		gone := true
		for i := range 2 {
			first, err := c.nodes[i].logs.Group(0).FirstIndex()
			gone = gone && err == nil && first > 20
			last = max(last, first)
		}
		if gone {
			break
		}
		if n > 20_000 {
			t.Fatalf("the log begins at %d still", last)
		}
	}
	c.set(1, "k", "after")
	c.start(2)
	c.want(2, "k", "after") // by way of the others, if need be
	c.until("the node gets a copy", func() bool { return c.nodes[2].repaired.Load() > 0 })
	c.want(2, "k", "after")
	c.set(2, "k", "later")
	c.stop(0) // the copy counts: the other two are most
	c.want(2, "k", "later")
	c.want(1, "k", "later")
	c.stop(2)
	c.start(2)
	c.want(2, "k", "later")
}

// TestDamagedReplica lets a replica find out that it cannot go on, while sessions are
// stored and read at its node, which must not notice.
func TestDamagedReplica(t *testing.T) {
	c := newTown(t, 3)
	c.start(0, 1, 2)
	for i := range 3 { // also the one that leads
		n := c.nodes[i]
		c.set(i, "k", fmt.Sprint("before", i))
		n.failed(0, &engine.ReplayError{Err: session.ErrCorrupt})
		for step := 0; n.repaired.Load() == 0 || step < 10; step++ {
			c.set(i, "k", fmt.Sprint(i, step))
			c.want(i, "k", fmt.Sprint(i, step))
			c.want((i+1)%3, "k", fmt.Sprint(i, step))
			if step > 20_000 {
				t.Fatal("the node gets no copy")
			}
		}
		c.set(i, "k", "after")
		c.want(i, "k", "after")
	}
}

// until waits for something.
func (c *town) until(what string, f func() bool) {
	c.t.Helper()
	for begun := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			c.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func (c *town) number(i int) uint64 {
	if c.nodes[i] != nil {
		return c.nodes[i].membership.Identity().Node
	}
	identity, err := membership.Read(c.dirs[i])
	if err != nil {
		c.t.Fatal(err)
	}
	return identity.Node
}

// members are whom a node takes for voters.
func (c *town) members(i int) (voters []uint64) {
	identity := c.nodes[i].membership.Identity()
	for _, m := range identity.Members {
		if !m.Learner {
			voters = append(voters, m.Node)
		}
	}
	slices.Sort(voters)
	return voters
}

// become waits until all of some nodes take these for the voters.
func (c *town) become(numbers ...int) {
	c.t.Helper()
	var want []uint64
	for _, i := range numbers {
		want = append(want, c.number(i))
	}
	slices.Sort(want)
	for _, i := range numbers {
		c.until(fmt.Sprintf("node %d knows the members", i), func() bool { return slices.Equal(c.members(i), want) })
	}
}

func (c *town) order(i int, op OrderOp, node uint64) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	return c.nodes[i].Order(ctx, Order{Op: op, Node: node})
}

// handOver orders, at node i, that node leads (0: any other than the one that does)
// until led says that it does. On a busy machine the lead may not be taken in time, which
// the order says, or go to another node once it was taken.
func (c *town) handOver(i int, node uint64, led func() bool) {
	c.t.Helper()
	c.until("the lead is handed over", func() bool {
		if led() {
			return true
		}
		var refused *OrderError
		if err := c.order(i, OrderTransfer, node); err != nil && !errors.As(err, &refused) {
			c.t.Errorf("transfer: %v", err)
		}
		return false
	})
}

func (c *town) leads(i int) bool { return c.nodes[i].group(0).Status().Leads }

// TestReplaced lets a node come back with an empty disk: it takes the place of what it
// was, without an operator, and counts.
func TestReplaced(t *testing.T) {
	c := newTown(t, 3)
	c.replace = 3 * time.Second
	c.start(0, 1, 2)
	c.set(0, "k", "before")
	c.until("all know the level", func() bool { return c.nodes[0].group(0).Roster().Level == group.Latest })
	old := c.number(2)
	c.stop(2)
	if err := os.RemoveAll(c.dirs[2]); err != nil {
		t.Fatal(err)
	}
	c.set(1, "k", "meanwhile")
	c.start(2)
	if c.number(2) == old {
		t.Fatal("a node without its directory is the one before")
	}
	c.become(0, 1, 2)
	c.want(2, "k", "meanwhile")
	c.stop(0)
	c.set(2, "k", "after")
	c.want(1, "k", "after")
	c.stop(2)
	c.start(0, 2)
	c.become(0, 1, 2)
	c.want(2, "k", "after")
	c.want(0, "k", "after")
}

// TestFullLeader lets a node whose disk is full be asked to lead: another one does, and no
// write is refused, unless no node has space.
func TestFullLeader(t *testing.T) {
	c := newTown(t, 3)
	c.full = []bool{false, true, false}
	c.start(0, 1, 2)
	for turn := range 5 {
		for i := range 3 {
			c.nodes[i].group(0).Transfer(c.number(1))
			c.set(i, fmt.Sprint("full", turn), "1")
			c.want(1, fmt.Sprint("full", turn), "1")
		}
	}
	c.until("another node leads", func() bool { return c.leads(0) || c.leads(2) })
	for i := range 3 {
		c.stop(i)
	}
	c.full = []bool{true, true, true}
	c.start(0, 1, 2)
	c.until("writes are refused", func() bool {
		b := &session.Burst{Now: c.nodes[0].Now(), Commands: []session.Command{{Op: session.OpSet, Key: []byte("k"), Expiry: session.Never}}}
		session.Do(c.nodes[0], b)
		return errors.Is(b.Results[0].Err, session.ErrNoSpace)
	})
	c.want(0, "full0", "1")
}

// startStranger starts a node that the cluster has begun without, and returns its number once
// node 0 knows it. started is closed when it belongs to the cluster.
func (c *town) startStranger(i int) (number uint64, started <-chan struct{}) {
	c.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.start(i)
	}()
	c.until("the new one is there", func() bool {
		if all := c.nodes[0].membership.Strangers(0); len(all) == 1 {
			number = all[0]
		}
		return number != 0
	})
	return number, done
}

// TestOnlyNodeReplaced lets a new node take the place of the only one of a cluster, which leads.
func TestOnlyNodeReplaced(t *testing.T) {
	c := newTown(t, 2)
	c.expect = 1
	c.start(0)
	c.set(0, "k", "v")
	c.until("the cluster knows the level", func() bool { return c.nodes[0].group(0).Roster().Level == group.Latest })
	c.expect = 2 // or it would begin another cluster
	_, started := c.startStranger(1)
	if err := c.order(0, OrderReplace, c.number(0)); err != nil {
		t.Fatal(err)
	}
	<-started
	c.become(1)
	c.until("the former one knows", func() bool { return c.nodes[0].Status().Removed })
	c.stop(0)
	c.want(1, "k", "v")
}

// TestMoreAndFewer lets an operator add and remove nodes, and choose who leads.
func TestMoreAndFewer(t *testing.T) {
	c := newTown(t, 4)
	c.expect = 3
	c.start(0, 1, 2)
	c.set(0, "k", "v")
	c.until("all know the level", func() bool { return c.nodes[0].group(0).Roster().Level == group.Latest })

	var refused *OrderError
	for op, node := range map[OrderOp]uint64{OrderAdd: 1, OrderRemove: c.number(1), OrderReplace: 1, OrderTransfer: 1, "else": 1} {
		if err := c.order(0, op, node); !errors.As(err, &refused) {
			t.Errorf("%s %d: %v", op, node, err)
		}
	}
	for i := range 3 {
		c.handOver((i+1)%3, c.number(i), func() bool { return c.leads(i) }) // asked at another one
	}
	c.handOver(0, 0, func() bool { return !c.leads(2) && c.nodes[0].group(0).Status().Leader != 0 })

	stranger, started := c.startStranger(3)
	c.until("the leader knows it", func() bool { return c.order(0, OrderAdd, stranger) == nil })
	<-started
	c.become(0, 1, 2, 3)
	c.want(3, "k", "v")

	gone := c.number(0)
	if err := c.order(1, OrderRemove, gone); err != nil {
		t.Fatal(err)
	}
	c.become(1, 2, 3)
	c.until("the removed one knows", func() bool { return c.nodes[0].group(0) == nil })
	if err := c.nodes[0].Check(); err != nil || !c.nodes[0].Status().Removed || c.nodes[1].Status().Removed {
		t.Errorf("removed: %v, check: %v", c.nodes[0].Status().Removed, err)
	}
	if former := (*c.nodes[0].slots.Load())[0].voter(); former == nil || former.Check() != nil || former.Status().Leads {
		t.Error("the replica of a removed node answers no others, which may need it")
	}
	c.set(0, "k", "through another")
	c.want(3, "k", "through another")
	c.want(0, "k", "through another")
	c.stop(1)
	c.set(3, "k", "last")
	c.want(2, "k", "last")
}

// TestRefusedNode lets a follower be refused by the leader, which goes on leading: it is
// taken for gone only where that proves something.
func TestRefusedNode(t *testing.T) {
	for _, slow := range []bool{false, true} {
		c := newTown(t, 3)
		c.slow = slow
		c.start(0, 1, 2)
		c.handOver(0, c.number(0), func() bool { return c.leads(0) })
		c.until("the others follow it", func() bool { return c.nodes[1].group(0).Status().Leader == c.number(0) })
		g := c.nodes[1].group(0)
		takenForGone := func() bool {
			before := g.Figures().Changes
			handler{c.nodes[1]}.Gone(c.number(0))
			for range 2 { // the round in which it heard of that is over after the first
				if err := g.Check(); err != nil {
					t.Fatal(err)
				}
			}
			return g.Figures().Changes > before
		}
		switch {
		case !slow:
			c.until("the leader is taken for gone", takenForGone)
		case takenForGone():
			t.Error("the leader is taken for gone")
		}
		c.set(1, "k", "after")
		c.want(2, "k", "after")
		for i := range 3 {
			c.stop(i)
		}
	}
}
