package interop

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const spymemcached = "/usr/share/java/spymemcached.jar"

// compileJava compiles programs of the java folder and gives the class path
// to run them with.
func compileJava(t *testing.T, libraries []string, sources ...string) (classPath string) {
	t.Helper()
	need(t, append([]string{"javac", "java"}, libraries...)...)
	out := t.TempDir()
	classPath = strings.Join(append(libraries, out), ":")
	args := append([]string{"-Xlint:all,-serial,-processing,-path", "-cp", classPath, "-d", out}, sources...)
	if message, err := exec.Command("javac", args...).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, message)
	}
	return classPath
}

// retry asks until the answer is no error: spymemcached notices that the
// server was killed only when it is asked, and then waits before it connects
// again.
func (p *process) retry(format string, args ...any) string {
	p.t.Helper()
	answer := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if answer = p.ask(format, args...); !strings.HasPrefix(answer, "error:") {
			return answer
		}
	}
	p.t.Fatalf("asked for %v: %s", patience, answer)
	return ""
}

func TestSpymemcachedText(t *testing.T) {
	t.Parallel()
	proveSessionManager(t, startServer(t), "TEXT")
}

// proveSessionManager runs memcached-session-manager's sequence for non-sticky
// sessions in two Java processes in turn.
func proveSessionManager(t *testing.T, srv *server, protocol string) {
	t.Helper()
	classPath := compileJava(t, []string{spymemcached}, "java/MemcachedSessionManager.java")
	var nodes []*process
	for range 2 {
		nodes = append(nodes, startDialogue(t, nil, "java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", classPath,
			"MemcachedSessionManager", srv.addr, protocol))
	}
	n := 0
	count := func(rounds int) {
		t.Helper()
		for range rounds {
			node := nodes[n%2]
			n++
			if got := node.retry("request ABC123-n1 1800"); got != strconv.Itoa(n) {
				t.Fatalf("request %d counted %s", n, got)
			}
		}
	}
	count(4)
	if got := nodes[0].retry("ping ABC123-n1"); got != "alive" {
		t.Errorf("the ping says %s of a session that lives", got)
	}
	for range 2 {
		srv.restart()
		count(3)
	}
	if got := nodes[0].retry("ping nobody-n1"); got != "gone" {
		t.Errorf("the ping says %s of a session that never was", got)
	}

	brief := ""
	for i, got := 0, ""; got != "2"; i++ { // a busy machine may be too slow for the session's time
		brief = fmt.Sprintf("brief%d-n1", i)
		nodes[0].retry("request %s 1", brief) // kept for twice its timeout
		if got = nodes[1].retry("request %s 1", brief); got != "2" && i > 20 {
			t.Fatalf("the other node counted %s", got)
		}
	}
	time.Sleep(3 * time.Second)
	for _, key := range []string{brief, "validity:" + brief} {
		if got := nodes[1].retry("get %s", key); got != "absent" {
			t.Errorf("%s past its expiry: %s", key, got)
		}
	}
}

func TestSpymemcachedBinary(t *testing.T) {
	t.Parallel()
	proveSessionManager(t, startServer(t), "BINARY")
}
