package cluster

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/cluster/simulate"
	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
	"cairn/session/sessiontest"
)

var (
	randomCommands = flag.Int("cluster.commands", 3_000, "commands of TestLockstepAmongElections")
	randomSeed     = flag.Uint64("cluster.seed", 1, "its seed")
)

// nodes are a cluster in this process. What they send to each other is passed on
// by a goroutine for each, in order.
type nodes struct {
	t      *testing.T
	clock  func() session.Time
	groups int
	value  int // the largest

	mu   sync.RWMutex
	up   map[uint64]*testNode
	seed *rand.Rand
}

type testNode struct {
	id     uint64
	c      *nodes
	logs   []*simulate.Memory
	fs     []*vfs.MemFS
	post   chan func()
	groups []*group.Group

	engines  []*engine.Store
	replicas []Replica
	store    *Store
	posting  sync.WaitGroup

	observers session.Observers
}

func newNodes(t *testing.T, count, groups int, clock func() session.Time) *nodes {
	c := &nodes{t: t, clock: clock, groups: groups, value: 4096, up: map[uint64]*testNode{}, seed: rand.New(rand.NewPCG(1, 2))}
	voters := make([]uint64, count)
	for i := range voters {
		voters[i] = uint64(i + 1)
	}
	for _, id := range voters {
		n := &testNode{id: id, c: c}
		for range groups {
			n.logs = append(n.logs, simulate.NewMemory(voters))
			n.fs = append(n.fs, vfs.NewCrashableMem())
		}
		n.start()
	}
	t.Cleanup(func() { c.stopAll() })
	return c
}

func (n *testNode) start() {
	t := n.c.t
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	n.groups, n.engines, n.replicas = nil, nil, nil
	n.post = make(chan func(), 10_000)
	post := n.post
	n.posting.Go(func() {
		for f := range post {
			f()
		}
	})
	for i := range n.logs {
		store, err := engine.Open(engine.Options{
			Dir: "data", FS: n.fs[i], ExternalLog: true, Logger: quiet, DiskReserve: -1, MaxValueSize: n.c.value,
			Observers: &n.observers, Wall: func() time.Time { return n.c.clock().Time() }, DropEvery: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		g, err := group.Open(group.Options{
			Node: n.id, Number: uint64(i), Groups: uint64(n.c.groups), Storage: n.logs[i], Engine: store, Clock: n.c.clock, Logger: quiet,
		}, group.Hooks{
			Send:    func(messages []*raftpb.Message) { n.c.deliver(i, messages) },
			Changed: func(group.Status) { n.changed(i) },
			Failed:  func(err error) { t.Errorf("node %d, group %d: %v", n.id, i, err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		n.engines, n.groups, n.replicas = append(n.engines, store), append(n.groups, g), append(n.replicas, g)
	}
	store, err := NewStore(StoreOptions{
		Replicas: n.replicas, Engine: func(i int) *engine.Store { return n.engines[i] }, Caller: n, Clock: n.c.clock, Logger: quiet, MaxLag: -1, Patience: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.c.mu.Lock()
	n.store = store
	n.c.up[n.id] = n
	n.c.mu.Unlock()
}

func (n *testNode) changed(i int) {
	n.c.mu.RLock()
	store := n.c.up[n.id]
	n.c.mu.RUnlock()
	if store != nil {
		store.store.Changed(i)
	}
}

func (n *testNode) stop() {
	n.c.mu.Lock()
	delete(n.c.up, n.id)
	n.c.mu.Unlock()
	n.store.Close()
	for i, g := range n.groups {
		g.Close()
		if err := n.engines[i].Close(); err != nil {
			n.c.t.Error(err)
		}
	}
	close(n.post)
	n.posting.Wait()
}

func (c *nodes) stopAll() (stopped []*testNode) {
	for {
		n := c.any()
		if n == nil {
			return stopped
		}
		n.stop()
		stopped = append(stopped, n)
	}
}

// gone tells the others that a node has stopped, as a closed connection does. Unless
// they are told they find out by its silence.
func (c *nodes) gone(id uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	before := 0
	for other := uint64(1); other <= 3; other++ {
		if n := c.up[other]; n != nil {
			for _, g := range n.groups {
				g.Gone(id, before, campaignPause)
			}
			before++
		}
	}
}

// any is a random node that runs; nil: there is none.
func (c *nodes) any() *testNode {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.up) == 0 {
		return nil
	}
	skip := c.seed.IntN(len(c.up))
	for id := uint64(1); ; id++ {
		if n := c.up[id]; n != nil {
			if skip == 0 {
				return n
			}
			skip--
		}
	}
}

// to lets f happen at a node, if it runs.
func (c *nodes) to(id uint64, f func(n *testNode)) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.up[id]
	if n == nil {
		return false
	}
	select {
	case n.post <- func() { f(n) }:
		return true
	default:
		return false
	}
}

func (c *nodes) deliver(i int, messages []*raftpb.Message) {
	for _, m := range messages {
		c.to(m.GetTo(), func(n *testNode) { n.groups[i].Step([]*raftpb.Message{m}) })
	}
}

// Call is Caller's.
func (n *testNode) Call(to uint64, body []byte, _ time.Time, done func([]byte, error)) {
	body = bytes.Clone(body)
	sent := n.c.to(to, func(other *testNode) {
		serve(other.replicas, body, func(reply []byte) { done(reply, nil) })
	})
	if !sent {
		done(nil, peer.ErrUnreachable)
	}
}

// elect lets another node lead a group, if there is a leader.
func (c *nodes) elect() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, n := range c.up {
		for _, g := range n.groups {
			g.TransferAny()
		}
	}
}

// leader lets a node lead all groups, so that it knows where bursts come from.
func (c *nodes) leader(id uint64) session.Store {
	c.t.Helper()
	n := c.up[id]
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		leads := 0
		for i, g := range n.groups {
			switch status := g.Status(); {
			case status.Leads:
				leads++
			case status.Leader != 0:
				c.up[status.Leader].groups[i].Transfer(id)
			case len(c.up) == 3:
				g.Campaign()
			}
		}
		if leads == len(n.groups) {
			return observed{n}
		}
		if time.Since(begun) > patience {
			c.t.Fatalf("node %d does not get the lead", id)
		}
	}
}

// TestConformance runs the suite of all stores at the leader's node. With several
// groups an observer would see the effects on one key in order, and those of a burst
// not: see TestLockstepAmongElections for these.
func TestConformance(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T, clock *sessiontest.Clock) *sessiontest.Instance {
		c := newNodes(t, 3, 1, clock.Now)
		return &sessiontest.Instance{
			Store:        c.leader(1),
			MaxValueSize: c.value,
			Reopen: func() session.Store {
				for _, n := range c.stopAll() {
					n.start()
				}
				return c.leader(1)
			},
			Close: func() error {
				c.stopAll()
				return nil
			},
		}
	})
}

// observed is the store of a node, and the observers of what happens there.
type observed struct{ *testNode }

func (o observed) Try(b *session.Burst) bool { return o.store.Try(b) }
func (o observed) Subscribe(to session.Observer) (cancel func()) {
	return o.observers.Subscribe(to)
}
func (o observed) Apply(b *session.Burst, to session.Completer) { o.store.Apply(b, to) }
func (o observed) ScanOwner(ctx context.Context, owner, after []byte, values bool, fn func(*session.Item) bool) error {
	return o.store.ScanOwner(ctx, owner, after, values, fn)
}
func (o observed) ScanOwners(ctx context.Context, prefix, after []byte, fn func(*session.OwnerSummary) bool) error {
	return o.store.ScanOwners(ctx, prefix, after, fn)
}

// everywhere sends each burst to another node.
type everywhere struct{ c *nodes }

func (e everywhere) Try(*session.Burst) bool                      { return false }
func (e everywhere) Apply(b *session.Burst, to session.Completer) { e.c.any().store.Apply(b, to) }

// TestLockstepAmongElections compares what random commands do, each at another
// node, with the model, while leaders change and nodes stop and come back.
func TestLockstepAmongElections(t *testing.T) {
	clock := sessiontest.NewClock()
	c := newNodes(t, 3, 2, clock.Now)
	l := sessiontest.NewLockstep(*randomSeed, c.value)
	r := rand.New(rand.NewPCG(*randomSeed, 3))
	done := 0
	for step := 0; done < *randomCommands; step++ {
		n := 1 + r.IntN(8)
		if err := l.Step(everywhere{c}, clock.Now(), n); err != nil {
			t.Fatalf("-cluster.seed=%d, after %d commands: %v", *randomSeed, done, err)
		}
		done += n
		if r.IntN(4) == 0 {
			clock.Advance(time.Duration(r.IntN(2000)) * time.Millisecond)
		}
		switch r.IntN(60) {
		case 0:
			c.elect()
		case 1:
			n := c.any()
			n.stop()
			if r.IntN(4) > 0 {
				c.gone(n.id)
			}
			if err := l.Step(everywhere{c}, clock.Now(), 4); err != nil {
				t.Fatalf("-cluster.seed=%d, with one node away: %v", *randomSeed, err)
			}
			n.start()
		}
	}
	for id := uint64(1); id <= 3; id++ {
		if err := l.Verify(c.up[id].store, l.Model, clock.Now()); err != nil {
			t.Errorf("node %d: %v", id, err)
		}
	}
}

// TestScans lists what several groups have.
func TestScans(t *testing.T) {
	clock := sessiontest.NewClock()
	c := newNodes(t, 3, 3, clock.Now)
	var want []string
	b := &session.Burst{Now: clock.Now()}
	for i := range 100 {
		key := fmt.Sprintf("key%03d", i)
		*b.Add() = session.Command{
			Op: session.OpSet, Mods: session.Tracked, Key: []byte(key), Value: []byte("v"), Expiry: clock.Now().Add(time.Hour),
			Owner: []byte("user" + fmt.Sprint(i%3)),
		}
		want = append(want, key)
	}
	session.Do(c.any().store, b)
	for i := range b.Results {
		if b.Results[i].Status != session.OK {
			t.Fatalf("set: %+v", b.Results[i])
		}
	}
	n := c.any() // also one that leads nothing
	var got []string
	if err := n.store.Scan(t.Context(), []byte("key"), []byte("key009"), func(it *session.Item) bool {
		got = append(got, string(it.Key))
		return len(got) < 80
	}); err != nil || !slices.Equal(got, want[10:90]) {
		t.Errorf("scanned %q (%v)", got, err)
	}
	owned := 0
	if err := n.store.ScanOwner(t.Context(), []byte("user1"), nil, true, func(it *session.Item) bool {
		owned++
		return string(it.Value) == "v"
	}); err != nil || owned != 33 {
		t.Errorf("%d sessions of user1 (%v), want 33", owned, err)
	}
	owners := map[string]int64{}
	if err := n.store.ScanOwners(t.Context(), nil, nil, func(o *session.OwnerSummary) bool {
		if _, twice := owners[string(o.Owner)]; twice {
			t.Errorf("%s twice", o.Owner)
		}
		owners[string(o.Owner)] = o.Sessions
		return true
	}); err != nil || len(owners) != 3 || owners["user0"] != 34 || owners["user2"] != 33 {
		t.Errorf("owners %v (%v)", owners, err)
	}
	if items := n.store.Stats().Items; items != 100 {
		t.Errorf("%d items counted", items)
	}
	total := int64(0)
	for _, slot := range n.store.Forecast() {
		total += slot.Items
	}
	if total != 100 {
		t.Errorf("%d items forecast", total)
	}
}

// TestCompanionsAreInOneGroup checks what belongs to one session.
func TestCompanionsAreInOneGroup(t *testing.T) {
	for _, key := range []string{
		"validity:abc", "lock:abc", "bak:abc", "bak:validity:abc", "lock.abc", "memc.sess.key.abc", "memc.sess.key.lock.abc",
	} {
		if groupOf([]byte(key), 12) != groupOf([]byte("abc"), 12) || string(route([]byte(key))) != "abc" {
			t.Errorf("%s is routed by %q", key, route([]byte(key)))
		}
	}
	for _, key := range []string{"lock:", "memc.sess.key.", "locks:abc"} {
		if got := route([]byte(key)); string(got) != key {
			t.Errorf("%s is routed by %q", key, got)
		}
	}
}

// TestForwards turns forwards into bytes and back.
func TestForwards(t *testing.T) {
	w := &group.Write{Origin: group.Origin{1, 2}, Seq: 300, Mark: 299, Burst: &session.Burst{Now: 5}}
	*w.Burst.Add() = session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: 7}
	body, err := appendForward(nil, 3, w, codec.Latest)
	if err != nil {
		t.Fatal(err)
	}
	number, got, err := decodeForward(body)
	if err != nil || number != 3 || got.Origin != w.Origin || got.Seq != 300 || got.Mark != 299 || string(got.Burst.Commands[0].Value) != "v" {
		t.Errorf("group %d, %+v, %v", number, got, err)
	}
	for i := range body { // no part of it is one
		if _, _, err := decodeForward(body[:i]); err == nil {
			t.Errorf("%d bytes of %d are a forward", i, len(body))
		}
	}
	for code, known := range answerCodes {
		if _, err := decodeAnswer(encodeAnswer(nil, known)); err != known {
			t.Errorf("answer %d: %v, want %v", code, err, known)
		}
	}
	if _, err := decodeAnswer(encodeAnswer(nil, codec.ErrTooMany)); !errors.Is(err, session.ErrBadCommand) {
		t.Errorf("a refusal: %v", err)
	}
	if results, err := decodeAnswer(encodeAnswer([]byte("r"), nil)); err != nil || string(results) != "r" {
		t.Errorf("results %q, %v", results, err)
	}
}
