package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
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
	awaitTrue(t, "the others are members", func() bool { return strings.Count(c.nodes[0].log(), "has caught up, and becomes a member")+strings.Count(c.nodes[1].log(), "has caught up, and becomes a member")+strings.Count(c.nodes[2].log(), "has caught up, and becomes a member") >= 2 })
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
