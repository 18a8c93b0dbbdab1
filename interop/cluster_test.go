package interop

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
)

var (
	clusterKills = flag.Int("cluster.kills", 6, "how many nodes are killed in TestCluster and TestProxy")
	clusterAll   = flag.Bool("cluster.all", false, "let clients of all kinds take part in TestCluster, which needs a quiet machine")
	clusterProxy = flag.Bool("cluster.proxy", false, "run TestProxy, which takes a minute")
)

// startCluster starts three nodes on loopback.
func startCluster(t *testing.T) (nodes []*server) {
	t.Helper()
	var join []string
	for range 3 {
		join = append(join, freeAddress(t))
	}
	for _, own := range join {
		nodes = append(nodes, startServer(t, "--cluster-listen", own, "--join", strings.Join(join, ","), "-m", "32m"))
	}
	return nodes
}

// Clients know the address of one node, while the other two are killed, one after the
// other, the one that leads as well. None of them sees an error, and nobody's count is
// ever behind: what one of them waits for is at most another leader. With -cluster.all
// there are more of them, which is too much for a machine that does other work as well.
func TestCluster(t *testing.T) {
	need(t, "php")
	if *peer != "" {
		t.Skip("memcached has no cluster")
	}
	nodes := startCluster(t)
	counters := []*counter{phpCounter(t, nodes[0])}
	sites := []*site{newSite(t, "PHP sessions", func(node *server) counterApps {
		return startPHP(t, node, "memcached.sess_binary_protocol=0", "memcached.sess_locking=1")
	})}
	if *clusterAll {
		counters = append(counters, valueCounters(t, nodes[0])...)
		sites = append(sites,
			newSite(t, "Dalli", func(node *server) counterApps { return startRuby(t, node, "ruby/rack_app.rb") }),
			newSite(t, "connect-memcached", func(node *server) counterApps { return startExpress(t, node, "connect-memcached") }),
		)
	}
	for _, s := range sites {
		counters = append(counters, s.at(nodes[0]))
	}
	for _, c := range counters {
		if err := c.count(); err != nil {
			t.Fatal(err)
		}
		c.longest = 0 // that was the start
	}
	whileCounting(t, counters, func(progress func()) {
		for kill := range *clusterKills {
			victim := nodes[1+kill%2]
			victim.kill9()
			progress()
			victim.start()
			victim.text("get nothing\r\n") // it serves
			progress()
		}
	})
	// Another node has the sessions, too.
	for _, s := range sites {
		if n, err := s.visitor.try(s.start(nodes[2]).start(long)); err != nil || int64(n) != s.counter.counted.Load()+1 {
			t.Errorf("%s: at another node the count is %d (%v) after %d", s.counter.name, n, err, s.counter.counted.Load())
		}
	}
}

// site is an application that counts a visitor's requests in a session.
type site struct {
	start   func(node *server) counterApps
	visitor visitor
	counter *counter
}

func newSite(t *testing.T, name string, start func(node *server) counterApps) *site {
	return &site{start, newVisitor(t), &counter{name: name}}
}

// at starts the application with its sessions at a node.
func (s *site) at(node *server) *counter {
	url := s.start(node).start(long)
	s.counter.visit = func() (int, error) { return s.visitor.try(url) }
	return s.counter
}

// phpCounter is PHP's client, which counts in an item at a server.
func phpCounter(t *testing.T, srv *server) *counter {
	return &counter{name: "php-memcached", question: "php", dialogue: startDialogue(t, nil, "php", "php/counting_client.php", srv.addr)}
}

// javaCounter is spymemcached with memcached-session-manager's sequence.
func javaCounter(t *testing.T, srv *server, classPath, protocol string) *counter {
	return &counter{name: "spymemcached " + protocol, question: "request " + protocol + " 1800", dialogue: startDialogue(t, nil,
		"java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", classPath, "MemcachedSessionManager", srv.addr, protocol)}
}

// valueCounters are clients of other languages that count in an item of their own.
func valueCounters(t *testing.T, srv *server) []*counter {
	t.Helper()
	needModule(t, "pymemcache")
	classPath := compileJava(t, []string{spymemcached}, "java/MemcachedSessionManager.java")
	return []*counter{
		javaCounter(t, srv, classPath, "TEXT"), javaCounter(t, srv, classPath, "BINARY"),
		{name: "pymemcache", question: "python", dialogue: startDialogue(t, nil, python, "python/counting_client.py", srv.addr)},
	}
}

// whileCounting lets counters count while f runs, which calls progress to wait until
// each has counted on.
func whileCounting(t *testing.T, counters []*counter, f func(progress func())) {
	t.Helper()
	stop := make(chan struct{})
	var counting sync.WaitGroup
	for _, c := range counters {
		counting.Go(func() { c.run(t, stop) })
	}
	waits := &family{t: t}
	f(func() { waits.awaitProgress(counters) })
	close(stop)
	counting.Wait()
	for _, c := range counters {
		t.Logf("%s: %d requests, the longest took %v", c.name, c.counted.Load(), c.longest)
	}
}

// Clients that know one address only, that of a proxy, keep their connections while
// the nodes are stopped and started one after the other, and then killed one after the
// other. None of them sees an error. spymemcached does what memcached-session-manager
// does, but waits for longer: how many backups would have failed is in the log.
func TestProxy(t *testing.T) {
	need(t, "php")
	if *peer != "" || !*clusterProxy {
		t.Skip("it is run by hand, with -cluster.proxy; cmd/cairn has a short one")
	}
	nodes := startCluster(t)
	proxy := startServer(t, "--role=proxy", "--join", nodes[0].flags[1]+","+nodes[1].flags[1])
	classPath := compileJava(t, []string{spymemcached}, "java/MemcachedSessionManager.java")
	counters := []*counter{javaCounter(t, proxy, classPath, "TEXT"), phpCounter(t, proxy)}
	visitor, url := newVisitor(t), startPHP(t, proxy, "memcached.sess_binary_protocol=0", "memcached.sess_locking=1").start(long)
	counters = append(counters, &counter{name: "PHP sessions", visit: func() (int, error) { return visitor.try(url) }})
	backups := func() string {
		t.Helper()
		answer, err := counters[0].ask("backups")
		if err != nil {
			t.Fatal(err)
		}
		var all, late, longest int
		fmt.Sscan(answer, &all, &late, &longest)
		return fmt.Sprintf("%d backups, %d of them took more than 100 ms, the longest %d ms", all, late, longest)
	}
	for _, c := range counters {
		if err := c.count(); err != nil {
			t.Fatal(err)
		}
		c.longest = 0 // that was the start
	}
	backups()
	begin := func(victim *server, progress func()) {
		progress()
		victim.start()
		victim.text("get nothing\r\n") // it serves
		progress()
	}
	whileCounting(t, counters, func(progress func()) {
		for _, victim := range nodes { // a rolling restart
			victim.stop()
			begin(victim, progress)
		}
	})
	t.Log("rolling restart: ", backups())
	for _, c := range counters {
		c.longest = 0
	}
	whileCounting(t, counters, func(progress func()) {
		for kill := range *clusterKills {
			victim := nodes[kill%3]
			victim.kill9()
			begin(victim, progress)
		}
	})
	t.Logf("%d kills: %s", *clusterKills, backups())
}
