package cluster

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cairn/engine"
	"cairn/session"
)

// TestDifferentReplica gives a session that no entry has brought to the replica that
// leads, and then to one that does not, while the node is down. It is found out, and
// becomes a copy of the others, which stay as they are.
func TestDifferentReplica(t *testing.T) {
	c := newTown(t, 3)
	c.compare = 300 * time.Millisecond
	c.start(0, 1, 2)
	for i := range 3 {
		c.set(i, fmt.Sprint("k", i), "before")
	}
	for _, leads := range []bool{true, false} {
		i := -1
		c.until("there is such a node", func() bool {
			i = slices.IndexFunc([]int{0, 1, 2}, func(i int) bool { return c.leads(i) == leads })
			return i >= 0
		})
		before := c.agreed(i)
		var repaired [3]int64
		for j := range 3 {
			repaired[j] = c.nodes[j].repaired.Load()
		}
		repaired[i] = 0
		c.stop(i)
		c.set((i+1)%3, "k", fmt.Sprint("without ", i))
		meddle(t, filepath.Join(c.dirs[i], groupDir+"0"))
		c.start(i)
		if leads { // if it is quick
			for j := range 3 {
				c.nodes[j].group(0).Transfer(c.number(i))
			}
		}
		c.until("it is found out", func() bool { return c.nodes[i].repaired.Load() > 0 })
		c.until("replicas are the same again", func() bool {
			for j := range 3 {
				if s := c.nodes[j].Status().Groups[0]; s.Agreed <= before || s.Suspect {
					return false
				}
			}
			return true
		})
		for j := range 3 {
			c.want(j, "meddled", "")
			c.want(j, "k", fmt.Sprint("without ", i))
			if items := c.nodes[j].engines()[0].Stats().Items; items != 4 {
				t.Errorf("node %d has %d sessions after node %d was meddled with, want 4", j, items, i)
			}
			if n := c.nodes[j].repaired.Load() - repaired[j]; n > 0 != (j == i) {
				t.Errorf("node %d was replaced by a copy %d times, and node %d was wrong", j, n, i)
			}
		}
		if differences := c.nodes[i].Figures().Group.Differences; differences != 0 {
			t.Errorf("the copy at node %d has found %d differences", i, differences)
		}
	}
}

// agreed waits until a node knows that all replicas are the same, and returns up to where.
func (c *town) agreed(i int) (index uint64) {
	c.t.Helper()
	c.until("replicas are compared", func() bool {
		index = c.nodes[i].Status().Groups[0].Agreed
		return index > 0
	})
	return index
}

// meddle stores a session in the store of a replica that is closed.
func meddle(t *testing.T, dir string) {
	t.Helper()
	s, err := engine.Open(engine.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	b := &session.Burst{Now: s.Now(), Commands: []session.Command{{Op: session.OpSet, Key: []byte("meddled"), Value: []byte("x"), Expiry: session.Never}}}
	session.Do(s, b)
	if b.Results[0].Status != session.OK {
		t.Fatalf("set: %+v", b.Results[0])
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
