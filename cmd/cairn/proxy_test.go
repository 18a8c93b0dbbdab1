//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cairn/adminapi"
)

// startProxy starts a proxy that is told of one node of the cluster.
func startProxy(t *testing.T, c *trio, more ...string) (m *member, http string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	http = freeAddress(t)
	m = &member{running: &running{t: t, addr: freeAddress(t), stderr: filepath.Join(t.TempDir(), "stderr")}}
	m.args = append([]string{"serve", "--role", "proxy", "-l", m.addr, "--http-listen", http, "--join", c.join[2]}, more...)
	m.launch()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("proxy:\n%s", tail(m.log(), 40))
		}
	})
	m.serves()
	return m, http
}

// leader returns the node of the cluster that leads, as somebody sees it.
func (c *trio) leader(http string) (number int) {
	c.t.Helper()
	awaitTrue(c.t, "a node leads", func() bool {
		_, body := httpGet(c.t, "http://"+http+"/v1/cluster")
		var status adminapi.Cluster
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			c.t.Fatal(err)
		}
		for _, n := range status.Nodes {
			for i, address := range c.join {
				if n.Address == address && n.Leads > 0 {
					number = i
					return true
				}
			}
		}
		return false
	})
	return number
}

// regular has one connection to a proxy, which it never gives up: it counts, stores
// and reads, and every answer must be the right one.
type regular struct {
	number  int
	conn    net.Conn
	r       *bufio.Reader
	count   int
	steps   atomic.Int64
	longest time.Duration
}

func newRegular(t *testing.T, number int, addr string) *regular {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	u := &regular{number: number, conn: conn, r: bufio.NewReader(conn)}
	if err := u.ask(fmt.Sprintf("set count%d 0 0 1\r\n0\r\n", number), "STORED\r\n"); err != nil {
		t.Fatal(err)
	}
	u.longest = 0
	return u
}

func (u *regular) ask(question, want string) error {
	begun := time.Now()
	if err := u.conn.SetDeadline(begun.Add(patience)); err != nil {
		return err
	}
	if _, err := u.conn.Write([]byte(question)); err != nil {
		return err
	}
	for _, line := range strings.SplitAfter(strings.TrimSuffix(want, "\n"), "\n") {
		got, err := u.r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%q: %w", question, err)
		}
		if strings.TrimSuffix(got, "\n") != strings.TrimSuffix(line, "\n") {
			return fmt.Errorf("%q: got %q, want %q", question, got, line)
		}
	}
	u.longest = max(u.longest, time.Since(begun))
	return nil
}

// step counts, and stores what it has counted in a session, which it reads.
func (u *regular) step() error {
	u.count++
	n := fmt.Sprint(u.count)
	key := fmt.Sprintf("user%d-%d", u.number, u.count%20)
	for _, one := range [][2]string{
		{fmt.Sprintf("incr count%d 1\r\n", u.number), n + "\r\n"},
		{fmt.Sprintf("set %s 0 3600 %d\r\n%s\r\n", key, len(n), n), "STORED\r\n"},
		{fmt.Sprintf("get %s\r\n", key), fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(n), n)},
	} {
		if err := u.ask(one[0], one[1]); err != nil {
			return err
		}
	}
	u.steps.Add(1)
	return nil
}

// TestProxyHoldsClients kills the node that leads, twice, stops it orderly, and lets
// another process take the proxy over, while clients count through the proxy. None of
// them sees a connection closed or an error; each count goes up by one at a time.
func TestProxyHoldsClients(t *testing.T) {
	c := startTrio(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	proxy, http := startProxy(t, c, "-P", pidFile)
	g := &generation{t: t, pidFile: pidFile, log: proxy.stderr}
	awaitTrue(t, "the proxy has written its pid", func() bool { return g.pid() != 0 })
	t.Cleanup(func() {
		if pid := g.pid(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	users := make([]*regular, 4)
	for i := range users {
		users[i] = newRegular(t, i, proxy.addr)
	}
	var stop atomic.Bool
	var working sync.WaitGroup
	wrong := make(chan error, len(users))
	for _, u := range users {
		working.Go(func() {
			for !stop.Load() {
				if err := u.step(); err != nil {
					wrong <- err
					return
				}
			}
		})
	}
	goOn := func(what string) {
		t.Helper()
		before := make([]int64, len(users))
		for i, u := range users {
			before[i] = u.steps.Load()
		}
		awaitTrue(t, "clients go on: "+what, func() bool {
			for i, u := range users {
				if u.steps.Load() < before[i]+10 && len(wrong) == 0 {
					return false
				}
			}
			return true
		})
		select {
		case err := <-wrong:
			t.Fatalf("%s: %v", what, err)
		default:
		}
	}
	goOn("at first")
	for range 2 {
		v := c.leader(http)
		c.nodes[v].kill()
		goOn("the leader is dead")
		c.nodes[v].launch()
		c.nodes[v].serves()
	}
	v := c.leader(http)
	if err := c.nodes[v].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.nodes[v].ends()
	goOn("the leader has stopped")
	c.nodes[v].launch() // the next process may know of this node only
	c.nodes[v].serves()
	pid := g.pid()
	g.signal(syscall.SIGUSR2)
	awaitTrue(t, "another process serves", func() bool { return g.pid() != pid && g.pid() != 0 })
	goOn("another proxy has taken over")
	stop.Store(true)
	working.Wait()
	close(wrong)
	for err := range wrong {
		t.Error(err)
	}
	for _, u := range users {
		for i := max(1, u.count-19); i <= u.count; i++ {
			n := fmt.Sprint(i)
			if err := u.ask(fmt.Sprintf("get user%d-%d\r\n", u.number, i%20), fmt.Sprintf("VALUE user%d-%d 0 %d\r\n%s\r\nEND\r\n", u.number, i%20, len(n), n)); err != nil {
				t.Error(err)
			}
		}
		t.Logf("client %d: %d counts, the longest wait took %v", u.number, u.count, u.longest)
	}
}

// TestProxyAlone starts a proxy whose cluster is not there: it is not ready, lets a
// client wait as long as it was told to, and says then that it cannot.
func TestProxyAlone(t *testing.T) {
	nobody, http := freeAddress(t), freeAddress(t)
	t.Setenv("TMPDIR", t.TempDir())
	m := &member{running: &running{t: t, addr: freeAddress(t), stderr: filepath.Join(t.TempDir(), "stderr")}}
	m.args = []string{"serve", "--role", "proxy", "-l", m.addr, "--http-listen", http, "--join", nobody, "--patience", "200ms"}
	m.launch()
	t.Cleanup(func() { _ = m.cmd.Process.Kill() })
	m.await()
	awaitTrue(t, "the HTTP API answers", func() bool { return dial(http) == nil })
	if status, body := httpGet(t, "http://"+http+"/readyz"); status != 503 || !strings.Contains(body, "no_leader") {
		t.Errorf("status %d, %s", status, body)
	}
	conn := connect(t, "tcp", m.addr)
	conn.send("version\r\nset k 0 0 1\r\nv\r\n")
	conn.expect("VERSION " + compatibleVersion + "\r\nSERVER_ERROR")
	if _, addresses := discover(t, m.addr); !slices.Equal(addresses, []string{m.addr}) {
		t.Errorf("discovery names %q, and not the proxy", addresses)
	}
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	if code := m.ends(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, m.log())
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("the proxy has left %v", left)
	}
	for flags, want := range map[string]string{
		"--role proxy":                                                   "needs join",
		"--role proxy --join 192.0.2.1:7211":                             "needs cluster-cert",
		"--role proxy --join " + nobody + " -m 64":                       "memory has no effect on a proxy",
		"--role proxy --join " + nobody + " --cluster-listen " + nobody:  "cluster-listen has no effect on a proxy",
		"--role other":                                                   "proxy",
		"--patience 1s":                                                  "patience needs cluster-listen",
		"--role proxy --join " + nobody + " --patience 1ms":              "from 100ms to 10m",
		"--role proxy --join " + nobody + " --upstream memcached://a:1":  "upstream has no effect on a proxy",
		"--role proxy --join " + nobody + " --durability interval:100ms": "durability has no effect on a proxy",
	} {
		if code, _, stderr := cairn("serve -l " + freeAddress(t) + " --http-listen off " + flags); code == exitOK || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", flags, code, stderr)
		}
	}
}
