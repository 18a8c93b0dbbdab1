package cluster

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/session"
)

// TestRollingUpgrade replaces three nodes, one after the other and under load, by nodes of
// the next version: first from the version before this one, then to one after it. The
// level of the log is raised once all know it, entries of the new form come only then, and
// older nodes are told which version can join.
func TestRollingUpgrade(t *testing.T) {
	for _, before := range []group.Level{group.Latest - 1, group.Latest} {
		t.Run(fmt.Sprint(release(before), " to ", release(before+1)), func(t *testing.T) { testUpgrade(t, before, before+1) })
	}
}

func testUpgrade(t *testing.T, before, after group.Level) {
	c := newTown(t, 4) // the fourth is a spare
	c.expect, c.compare = 3, group.TickEvery
	c.levels = []group.Level{before, before, before, before}
	c.start(0, 1, 2)
	for i := range 100 {
		c.set(i%3, fmt.Sprint("stored before ", i), fmt.Sprint(i))
	}
	c.allAt(before)

	load := c.load(2)
	for i := range 3 {
		c.upgradedNoFurther(i, before)
		load.pause(i)
		c.stop(i)
		c.levels[i] = after
		c.start(i)
		load.resume(i)
	}
	c.allAt(after)
	for i := range 3 {
		c.until("replicas are compared", func() bool { return c.nodes[i].Status().Groups[0].Agreed > 0 })
		if roster := c.nodes[i].group(0).Roster(); roster.Program != release(after) {
			t.Errorf("node %d has a roster of version %q", i, roster.Program)
		}
	}
	load.stop()
	load.check()
	for i := range 3 {
		for k := range 100 {
			c.want(i, fmt.Sprint("stored before ", k), fmt.Sprint(k))
		}
		if n := c.nodes[i]; n.repaired.Load() != 0 || n.group(0).Status().Suspect {
			t.Errorf("node %d got %d copies of another's sessions; differs: %v", i, n.repaired.Load(), n.group(0).Status().Suspect)
		}
	}

	// A new node that is old, an order to add one, and a member that goes back.
	c.refused(3, after)
	c.until("the order is refused", func() bool {
		for i := range 3 {
			handler{c.nodes[i]}.Heard(peer.Hello{Node: 77, Level: uint8(before), Program: release(before)}, []byte(`{"address":"127.0.0.1:1"}`))
		}
		err := c.order(0, OrderAdd, 77)
		return err != nil && strings.Contains(err.Error(), "it runs version "+release(before)) && strings.Contains(err.Error(), "start version "+release(after))
	})
	c.stop(0)
	c.levels[0] = before
	c.refused(0, after)
	c.set(1, "after", "1")
	c.levels[0] = after
	c.start(0)
	c.want(0, "after", "1")
}

// allAt waits until the log has a level at all nodes that run.
func (c *town) allAt(level group.Level) {
	c.t.Helper()
	c.until(fmt.Sprint("the log has come to level ", level), func() bool {
		for _, n := range c.nodes {
			if n != nil && n.group(0).Roster().Level != level {
				return false
			}
		}
		return true
	})
}

// upgradedNoFurther checks that the log stays at a level for as long as the next one
// would have had its first entries in, while node i is the next to be replaced.
func (c *town) upgradedNoFurther(i int, level group.Level) {
	c.t.Helper()
	n := c.nodes[i]
	begun := n.group(0).Clock()
	c.until("the log goes on", func() bool { return n.group(0).Clock().Sub(begun) > 2*governEvery })
	for j, n := range c.nodes {
		if n == nil {
			continue
		}
		s := n.Status().Groups[0]
		if s.Level != level {
			c.t.Errorf("before node %d was replaced, the log at node %d has level %d, want %d", i, j, s.Level, level)
		}
		if level < group.LevelCheck && s.Agreed != 0 {
			c.t.Errorf("before node %d was replaced, replicas were compared at entry %d", i, s.Agreed)
		}
	}
}

// refused starts a node that does not know the level of the log.
func (c *town) refused(i int, level group.Level) {
	c.t.Helper()
	n, err := c.open(c.t.Context(), i)
	var old *group.LevelError
	if !errors.As(err, &old) || old.Level != level || old.Knows != c.levels[i] || !strings.Contains(err.Error(), "start version "+release(level)+" or a later one") {
		c.t.Errorf("node %d, which knows level %d: %v, %v", i, c.levels[i], n, err)
	}
}

// load is clients that write without a pause, at the nodes that run.
type load struct {
	nodes   []sync.RWMutex // held by clients for a write, and for as long as a node is away
	running sync.WaitGroup
	done    chan struct{}
	end     sync.Once
	wrote   []int  // by each client
	check   func() // reads at all nodes what was written; after stop
}

// load begins with some clients.
func (c *town) load(clients int) *load {
	l := &load{nodes: make([]sync.RWMutex, 3), done: make(chan struct{}), wrote: make([]int, clients)}
	c.t.Cleanup(l.stop)
	for k := range clients {
		l.running.Go(func() {
			for i := 0; ; i = (i + 1) % len(l.nodes) {
				select {
				case <-l.done:
					return
				default:
				}
				if !l.nodes[i].TryRLock() {
					time.Sleep(time.Millisecond)
					continue
				}
				key, n := []byte(fmt.Sprint("client ", k)), c.nodes[i]
				b := &session.Burst{Now: n.Now(), Commands: []session.Command{{Op: session.OpGet, Key: key}, {
					Op: session.OpSet, Key: key, Value: []byte(fmt.Sprint(l.wrote[k] + 1)), Expiry: n.Now().Add(time.Hour),
				}}}
				session.Do(n, b)
				l.nodes[i].RUnlock()
				if got, want := string(b.Results[0].Item.Value), fmt.Sprint(l.wrote[k]); b.Results[1].Status != session.OK || l.wrote[k] > 0 && got != want {
					c.t.Errorf("client %d at node %d read %q after it had written %s; the next write: %+v", k, i, got, want, b.Results[1])
					return
				}
				l.wrote[k]++
			}
		})
	}
	l.check = func() {
		for k, n := range l.wrote {
			if n == 0 {
				c.t.Errorf("client %d has written nothing", k)
			}
			for i := range l.nodes {
				c.want(i, fmt.Sprint("client ", k), fmt.Sprint(n))
			}
		}
	}
	return l
}

// pause lets no client use a node, and waits for those that do.
func (l *load) pause(i int)  { l.nodes[i].Lock() }
func (l *load) resume(i int) { l.nodes[i].Unlock() }

// stop ends the clients.
func (l *load) stop() {
	l.end.Do(func() { close(l.done) })
	l.running.Wait()
}
