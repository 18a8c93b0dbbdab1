//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// newTrio is three nodes that are not started. The first has the data directory of a
// single server if dir is not empty.
func newTrio(t *testing.T, dir string) *trio {
	t.Helper()
	c := &trio{t: t}
	for range 3 {
		c.join = append(c.join, freeAddress(t))
	}
	for i := range 3 {
		addr := freeAddress(t)
		m := &member{dir: filepath.Join(t.TempDir(), "data"), running: &running{t: t, addr: addr}}
		if i == 0 && dir != "" {
			m.dir = dir
		}
		m.args = []string{
			"serve", "-l", addr, "--data-dir", m.dir, "--http-listen", "off", "-m", "32m",
			"--cluster-listen", c.join[i], "--join", strings.Join(c.join, ","),
		}
		m.stderr = filepath.Join(t.TempDir(), "stderr")
		c.nodes = append(c.nodes, m)
	}
	t.Cleanup(func() {
		for i, m := range c.nodes {
			if m.cmd != nil {
				_ = m.cmd.Process.Kill()
			}
			if t.Failed() && m.cmd != nil {
				t.Logf("node %d:\n%s", i, tail(m.log(), 40))
			}
		}
	})
	return c
}

// hand stores sessions of its own as fast as it can, each with a number that only grows,
// and deletes some.
type hand struct {
	name   string
	stored []atomic.Int64 // what each key has at least; -1: nothing, since it was deleted
	tried  []atomic.Int64 // ... and at most
}

const handful = 50 // keys of a hand

func newHand(name string) *hand {
	return &hand{name: name, stored: make([]atomic.Int64, handful), tried: make([]atomic.Int64, handful)}
}

func (h *hand) key(i int) string { return fmt.Sprint(h.name, "-", i) }

// deletes reports whether the hand has deleted a key, and leaves it alone.
func (h *hand) deletes(i int) bool { return i%10 == 9 }

// work stores sessions at a server until stop is set.
func (h *hand) work(addr string, stop *atomic.Bool) error {
	client := clientOf(addr)
	for i := range handful {
		if !h.deletes(i) || h.stored[i].Load() < 0 {
			continue
		}
		if err := client.Set(&memcache.Item{Key: h.key(i), Value: []byte("0"), Expiration: 3600}); err != nil {
			return err
		}
		if err := client.Delete(h.key(i)); err != nil {
			return err
		}
		h.stored[i].Store(-1)
	}
	for n := 0; !stop.Load(); n++ {
		i := n % handful
		if h.deletes(i) {
			continue
		}
		next := h.tried[i].Add(1)
		if err := client.Set(&memcache.Item{Key: h.key(i), Value: fmt.Append(nil, next), Expiration: 3600}); err != nil {
			return err
		}
		h.stored[i].Store(next)
	}
	return nil
}

// turns is how many writes have been acknowledged.
func (h *hand) turns() (sum int64) {
	for i := range h.stored {
		sum += h.stored[i].Load()
	}
	return sum
}

// least is what must be there from now on.
func (h *hand) least() (stored []int64) {
	for i := range h.stored {
		stored = append(stored, h.stored[i].Load())
	}
	return stored
}

// check compares what a server has with what was acknowledged before some moment, and
// what has been tried at all.
func (h *hand) check(t *testing.T, where, addr string, least []int64) {
	t.Helper()
	client := clientOf(addr)
	for i := range handful {
		it, err := client.Get(h.key(i))
		switch {
		case least[i] <= 0 && err == memcache.ErrCacheMiss:
			continue
		case least[i] < 0:
			t.Errorf("%s: %s is back: %v, %v", where, h.key(i), it, err)
			continue
		case err != nil:
			t.Errorf("%s: %s: %v, want %d at least", where, h.key(i), err, least[i])
			continue
		}
		var n int64
		if _, err := fmt.Sscan(string(it.Value), &n); err != nil || n < least[i] || n > h.tried[i].Load() {
			t.Errorf("%s: %s is %s, want between %d and %d", where, h.key(i), it.Value, least[i], h.tried[i].Load())
		}
	}
}

// TestBackAndForth takes a backup of a cluster that is written to at all its nodes, makes
// a single server of it, and of that a cluster again, which is written to while the other
// nodes get their copies.
func TestBackAndForth(t *testing.T) {
	c, http := newTrio(t, ""), freeAddress(t)
	c.nodes[1].args = append(c.nodes[1].args, "--http-listen", http)
	for _, m := range c.nodes {
		m.launch()
	}
	hands := []*hand{newHand("a"), newHand("b"), newHand("c")}
	for _, m := range c.nodes {
		m.await()
	}
	stop := employ(t, hands, func(i int) string { return c.nodes[i].addr })
	for _, m := range c.nodes {
		m.serves()
	}
	busy(t, hands)
	least := leastOf(hands)
	archive := filepath.Join(t.TempDir(), "cluster.tar.zst")
	if code, _, stderr := cairn("backup " + archive + " --url http://" + http); code != exitOK {
		t.Fatalf("backup: exit code %d, %s", code, stderr)
	}
	stop()
	for i, h := range hands { // the cluster itself, to know that the hands count well
		h.check(t, "cluster", c.nodes[i].addr, h.least())
	}
	for _, m := range c.nodes {
		m.kill()
	}

	dir := filepath.Join(t.TempDir(), "single")
	if code, _, stderr := cairn("restore " + archive + " --data-dir " + dir); code != exitOK {
		t.Fatalf("restore: exit code %d, %s", code, stderr)
	}
	if code, out, stderr := cairn("check --data-dir " + dir); code != exitOK {
		t.Fatalf("check: exit code %d, %s%s", code, out, stderr)
	}
	single := start(t, dir, "-m", "32m")
	for i, h := range hands {
		h.check(t, "single", single.addr, least[i])
	}
	stop = employ(t, hands, func(int) string { return single.addr })
	busy(t, hands)
	stop()
	if err := single.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-single.done

	c = newTrio(t, dir)
	for _, m := range c.nodes {
		m.launch()
	}
	c.nodes[0].serves()
	least = leastOf(hands)
	for i, h := range hands {
		h.check(t, "the first node", c.nodes[0].addr, least[i])
	}
	for _, m := range c.nodes {
		m.await()
	}
	stop = employ(t, hands, func(i int) string { return c.nodes[i].addr })
	for _, m := range c.nodes {
		m.serves()
	}
	c.grown(2)
	busy(t, hands)
	stop()
	c.nodes[0].kill()
	for i, h := range hands {
		h.check(t, "without the first node", c.nodes[1+i%2].addr, h.least())
	}
}

func leastOf(hands []*hand) (all [][]int64) {
	for _, h := range hands {
		all = append(all, h.least())
	}
	return all
}

// employ lets hands work, until what it returns is called.
func employ(t *testing.T, hands []*hand, addr func(i int) string) (stop func()) {
	var over atomic.Bool
	var working sync.WaitGroup
	for i, h := range hands {
		working.Go(func() {
			if err := h.work(addr(i), &over); err != nil {
				t.Errorf("hand %s: %v", h.name, err)
			}
		})
	}
	return func() {
		t.Helper()
		over.Store(true)
		working.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
}

// busy waits until each hand has done some more.
func busy(t *testing.T, hands []*hand) {
	t.Helper()
	for _, h := range hands {
		before := h.turns()
		awaitTrue(t, "clients go on", func() bool { return t.Failed() || h.turns() > before+2*handful })
	}
}

// grown waits until so many nodes have become members.
func (c *trio) grown(count int) {
	c.t.Helper()
	awaitTrue(c.t, "nodes have become members", func() bool {
		n := 0
		for _, m := range c.nodes {
			n += strings.Count(m.log(), "has caught up, and becomes a member")
		}
		return n >= count
	})
}

// clientOf is a client of one server that has much time.
func clientOf(addr string) *memcache.Client {
	client := memcache.New(addr)
	client.Timeout = patience
	return client
}

// TestSingleServerBecomesCluster lets a single server become the first node of a
// cluster, whose process is killed again and again meanwhile: every session is at every
// node in the end, none that was deleted or has expired is, and versions go on.
func TestSingleServerBecomesCluster(t *testing.T) {
	const sessions = 500
	dir := filepath.Join(t.TempDir(), "data")
	single := start(t, dir, "-m", "32m")
	client := clientOf(single.addr)
	for i := range sessions {
		it := &memcache.Item{Key: fmt.Sprint("key", i), Value: fmt.Append(nil, "value", i), Expiration: 3600}
		if i%10 == 3 {
			it.Expiration = 1
		}
		if err := client.Set(it); err != nil {
			t.Fatal(err)
		}
	}
	for i := 7; i < sessions; i += 10 {
		if err := client.Delete(fmt.Sprint("key", i)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := client.Get("key0") // with its version
	if err != nil {
		t.Fatal(err)
	}
	for i := 3; i < sessions; i += 10 {
		awaitTrue(t, "a session has expired", func() bool {
			_, err := client.Get(fmt.Sprint("key", i))
			return err == memcache.ErrCacheMiss
		})
	}
	if err := single.cmd.Process.Kill(); err != nil { // not even stopped cleanly
		t.Fatal(err)
	}
	<-single.done

	c := newTrio(t, dir)
	for _, m := range c.nodes {
		m.launch()
	}
	random := rand.New(rand.NewPCG(*clusterSeed, 2))
	for range 8 {
		time.Sleep(time.Duration(random.IntN(600)) * time.Millisecond) // a moment to be killed at
		c.nodes[0].kill()
		c.nodes[0].launch()
	}
	for _, m := range c.nodes {
		m.serves()
	}
	for i := range c.nodes {
		checkAdopted(t, c, i, sessions)
	}
	before.Value = []byte("cas")
	client = clientOf(c.nodes[1].addr)
	if err := client.CompareAndSwap(before); err != nil {
		t.Errorf("cas: %v", err)
	}
	if err := client.CompareAndSwap(before); err != memcache.ErrCASConflict {
		t.Errorf("the same cas again: %v", err)
	}

	// The copies count: the first node may be gone.
	c.grown(2)
	_ = c.nodes[0].cmd.Process.Signal(syscall.SIGTERM)
	c.nodes[0].ends()
	if it, err := client.Get("key0"); err != nil || string(it.Value) != "cas" {
		t.Errorf("without the first node: %v, %v", it, err)
	}
	if err := client.Set(&memcache.Item{Key: "later", Value: []byte("1")}); err != nil {
		t.Error(err)
	}
}

// checkAdopted checks the sessions of the single server at a node.
func checkAdopted(t *testing.T, c *trio, node, sessions int) {
	t.Helper()
	client := clientOf(c.nodes[node].addr)
	for i := range sessions {
		it, err := client.Get(fmt.Sprint("key", i))
		switch gone := i%10 == 3 || i%10 == 7; {
		case gone && err != memcache.ErrCacheMiss:
			t.Fatalf("at node %d: key%d is back: %v, %v", node, i, it, err)
		case !gone && (err != nil || string(it.Value) != fmt.Sprint("value", i)):
			t.Fatalf("at node %d: key%d: %v, %v", node, i, it, err)
		}
	}
}
