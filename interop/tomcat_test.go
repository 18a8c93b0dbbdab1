package interop

import (
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// startTomcats returns Tomcats that keep their sessions through spymemcached, as
// memcached-session-manager does without sticky sessions.
func startTomcats(t *testing.T, srv *server) counterApps {
	t.Helper()
	libraries, err := filepath.Glob("/usr/share/java/tomcat9-*[a-z].jar")
	if err != nil || len(libraries) == 0 {
		need(t, "/usr/share/java/tomcat9-catalina.jar")
	}
	classPath := compileJava(t, append(libraries, spymemcached), "java/TomcatNode.java")
	return counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		_, port, _ := net.SplitHostPort(addr)
		node := startProcess(t, nil, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classPath,
			"TomcatNode", port, t.TempDir(), srv.addr, fmt.Sprint(int(ttl.Seconds())))
		node.awaitPort(addr)
		return "http://" + addr + "/"
	}}
}

// Two Tomcats, no sticky routing, one JSESSIONID, and the server is killed
// with -9 while requests are under way: every request is answered, and the
// count has no gap.
func TestTomcatsShareASessionAcrossKills(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	tomcats := startTomcats(t, srv)
	urls := []string{tomcats.start(long), tomcats.start(long)}
	visitor := newVisitor(t)
	const kills, between = 3, 25
	progress := make(chan int, kills*between)
	var killer sync.WaitGroup
	killer.Go(func() {
		for n := range progress {
			if n%between == 0 {
				srv.restart()
			}
		}
	})
	defer killer.Wait()
	defer close(progress)
	for n := 1; n <= (kills+1)*between-1; n++ {
		got, err := visitor.try(urls[n%2])
		if err != nil || got != n {
			t.Fatalf("request %d counted %d, %v", n, got, err)
		}
		progress <- n
	}
}

func TestTomcatSessionExpires(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	app := startTomcats(t, srv).start(time.Second)
	visitor := newVisitor(t)
	visitor.count(app)
	time.Sleep(4 * time.Second) // twice the timeout is what the server was told
	if got := visitor.count(app); got != 1 {
		t.Errorf("after its expiry the session still counted %d", got)
	}
}
