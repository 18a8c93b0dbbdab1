//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"cairn/adminapi"
	"cairn/doctor"
)

var (
	clusterRounds = flag.Int("cluster.rounds", 6, "kills of TestClusterLosesNothing")
	clusterSeed   = flag.Uint64("cluster.seed", 1, "what is random in it")
)

// trio is three nodes on loopback, each in a process of its own.
type trio struct {
	t     *testing.T
	join  []string // where the nodes are for each other
	nodes []*member
}

type member struct {
	*running
	dir  string
	http string // where its HTTP API is
	args []string
}

// startTrio starts a cluster.
func startTrio(t *testing.T, more ...string) *trio {
	t.Helper()
	c := &trio{t: t}
	for range 3 {
		c.join = append(c.join, freeAddress(t))
	}
	for i := range 3 {
		addr := freeAddress(t)
		m := &member{dir: filepath.Join(t.TempDir(), "data"), http: freeAddress(t), running: &running{t: t, addr: addr}}
		m.args = append([]string{
			"serve", "-l", addr, "--data-dir", m.dir, "--http-listen", m.http, "-m", "32m",
			"--cluster-listen", c.join[i], "--join", strings.Join(c.join, ","),
		}, more...)
		m.stderr = filepath.Join(t.TempDir(), "stderr")
		c.nodes = append(c.nodes, m)
		m.launch()
	}
	t.Cleanup(func() {
		for i, m := range c.nodes {
			_ = m.cmd.Process.Kill()
			if t.Failed() {
				t.Logf("node %d:\n%s", i, tail(m.log(), 40))
			}
		}
	})
	for _, m := range c.nodes {
		m.serves()
	}
	return c
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// launch starts the node's process, which is not waited for.
func (m *member) launch() {
	m.t.Helper()
	stderr, err := os.OpenFile(m.stderr, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer stderr.Close()
	m.done = make(chan error, 1)
	m.cmd = command(m.args...)
	m.cmd.Stderr = stderr
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	cmd, done := m.cmd, m.done
	go func() { done <- cmd.Wait() }()
}

// serves waits until the node answers. Before the cluster has begun it lets clients
// wait.
func (m *member) serves() {
	m.t.Helper()
	m.await()
	client := memcache.New(m.addr)
	client.Timeout = patience
	if _, err := client.Get("nothing"); err != memcache.ErrCacheMiss {
		m.t.Fatalf("the node does not serve: %v\n%s", err, m.log())
	}
}

// kill ends the process as a power cut of it would.
func (m *member) kill() {
	m.t.Helper()
	if err := m.cmd.Process.Kill(); err != nil {
		m.t.Fatal(err)
	}
	<-m.done
}

// visitor stores sessions of its own, at whatever node answers, and knows what must be
// there.
type visitor struct {
	number int
	c      *trio
	random *rand.Rand
	client *memcache.Client

	values  map[string]string          // by key; "": deleted
	open    map[string]map[string]bool // what a key without a known outcome may hold
	count   uint64                     // increments of the user's counter that were acknowledged
	unclear uint64                     // ... that were not
	last    time.Time                  // of an acknowledgement
	gap     time.Duration              // the longest without one
}

// counter is the key that the user increments.
func (u *visitor) counter() string { return fmt.Sprintf("counter%d", u.number) }

// connect talks to a random node from now on.
func (u *visitor) connect() {
	u.client = memcache.New(u.c.nodes[u.random.IntN(len(u.c.nodes))].addr)
	u.client.Timeout = 20 * time.Second
	u.client.MaxIdleConns = 1
}

func (u *visitor) acknowledged() {
	now := time.Now()
	if !u.last.IsZero() {
		u.gap = max(u.gap, now.Sub(u.last))
	}
	u.last = now
}

// unclearNow notes that the outcome of a write is unknown: the key is left alone from
// then on, since the write may have its effect at any time.
func (u *visitor) unclearNow(key, value string) {
	before, known := u.values[key]
	if !known {
		before = ""
	}
	u.open[key] = map[string]bool{before: true, value: true}
	delete(u.values, key)
	u.connect()
}

// refused reports whether a request was never sent.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// step does one thing.
func (u *visitor) step(n int) error {
	key := fmt.Sprintf("user%d-%d", u.number, u.random.IntN(40+n/50))
	if u.open[key] != nil {
		return nil
	}
	switch u.random.IntN(10) {
	case 0:
		if _, known := u.values[key]; !known {
			return nil
		}
		switch err := u.client.Delete(key); {
		case err == nil && u.values[key] != "", err == memcache.ErrCacheMiss && u.values[key] == "":
			u.values[key] = ""
			u.acknowledged()
		case err == nil || err == memcache.ErrCacheMiss:
			return fmt.Errorf("delete %s: %v, and it held %q", key, err, u.values[key])
		case refused(err):
			u.connect()
		default:
			u.unclearNow(key, "")
		}
	case 1, 2:
		switch n, err := u.client.Increment(u.counter(), 1); {
		case refused(err):
			u.connect()
		case err != nil:
			u.unclear++
			u.connect()
		case n < u.count+1 || n > u.count+u.unclear+1:
			return fmt.Errorf("%s is %d after %d increments and %d that are unclear", u.counter(), n, u.count+1, u.unclear)
		default:
			u.count, u.unclear = n, u.unclear-(n-u.count-1)
			u.acknowledged()
		}
	case 3, 4, 5:
		return u.check(key)
	default:
		value := fmt.Sprintf("value %d of user %d", n, u.number)
		switch err := u.client.Set(&memcache.Item{Key: key, Value: []byte(value), Expiration: 3600}); {
		case err == nil:
			u.values[key] = value
			u.acknowledged()
		case refused(err):
			u.connect()
		default:
			u.unclearNow(key, value)
		}
	}
	return nil
}

// check reads a key. A read has no outcome that could be unclear.
func (u *visitor) check(key string) error {
	it, err := u.client.Get(key)
	got := ""
	switch {
	case err == nil:
		got = string(it.Value)
	case err != memcache.ErrCacheMiss:
		u.connect()
		return nil
	}
	if may := u.open[key]; may != nil {
		if !may[got] {
			return fmt.Errorf("%s holds %q, which is none of %v", key, got, may)
		}
		return nil
	}
	if want := u.values[key]; got != want {
		return fmt.Errorf("%s holds %q, want %q", key, got, want)
	}
	return nil
}

// TestClusterLosesNothing kills nodes, now and then all of them, while users store
// sessions at any node. What was acknowledged must be there at every node afterwards,
// what was deleted must not, and what was counted must have been counted once.
func TestClusterLosesNothing(t *testing.T) {
	c := startTrio(t)
	random := rand.New(rand.NewPCG(*clusterSeed, 1))
	users := make([]*visitor, 6)
	for i := range users {
		u := &visitor{number: i, c: c, random: rand.New(rand.NewPCG(*clusterSeed, uint64(i)+10)), values: map[string]string{}, open: map[string]map[string]bool{}}
		users[i] = u
		u.connect()
		if err := u.client.Set(&memcache.Item{Key: u.counter(), Value: []byte("0")}); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var working sync.WaitGroup
	wrong := make(chan error, len(users))
	steps := make([]atomic.Int64, len(users))
	for i, u := range users {
		working.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if err := u.step(n); err != nil {
					wrong <- err
					return
				}
				steps[i].Add(1)
			}
		})
	}
	done := func() (sum int64) {
		for i := range steps {
			sum += steps[i].Load()
		}
		return sum
	}
	for round := 1; round <= *clusterRounds; round++ {
		before := done()
		awaitTrue(t, "users go on", func() bool { return len(wrong) > 0 || done() > before+200 })
		victims := []int{random.IntN(3)}
		if round%5 == 0 {
			victims = []int{0, 1, 2}
		}
		for _, v := range victims {
			c.nodes[v].kill()
		}
		if len(victims) == 1 { // the others go on
			before = done()
			awaitTrue(t, "users go on with two nodes", func() bool { return len(wrong) > 0 || done() > before+200 })
		}
		for _, v := range victims {
			c.nodes[v].launch()
		}
		for _, v := range victims {
			c.nodes[v].serves()
		}
		select {
		case err := <-wrong:
			t.Fatalf("-cluster.seed=%d, round %d: %v", *clusterSeed, round, err)
		default:
		}
	}
	stop.Store(true)
	working.Wait()
	close(wrong)
	for err := range wrong {
		t.Error(err)
	}
	keys, open, gap := 0, 0, time.Duration(0)
	for _, u := range users {
		keys, open, gap = keys+len(u.values), open+len(u.open), max(gap, u.gap)
		for i := range c.nodes {
			u.client = memcache.New(c.nodes[i].addr)
			u.client.Timeout = 20 * time.Second
			u.verify(t, i)
		}
	}
	t.Logf("%d steps, %d kills; %d sessions as acknowledged, %d without a known outcome; longest wait %v", done(), *clusterRounds, keys, open, gap)
}

// verify checks all that the user knows at a node.
func (u *visitor) verify(t *testing.T, node int) {
	t.Helper()
	for key := range u.values {
		if err := u.check(key); err != nil {
			t.Errorf("at node %d: %v", node, err)
		}
	}
	for key := range u.open {
		if err := u.check(key); err != nil {
			t.Errorf("at node %d: %v", node, err)
		}
	}
	it, err := u.client.Get(u.counter())
	if err != nil {
		t.Errorf("at node %d: %v", node, err)
		return
	}
	var n uint64
	if _, err := fmt.Sscan(string(it.Value), &n); err != nil || n < u.count || n > u.count+u.unclear {
		t.Errorf("at node %d: %s is %s after %d increments and %d that are unclear", node, u.counter(), it.Value, u.count, u.unclear)
	}
}

// TestClusterStopsOrderly ends nodes one after the other by SIGTERM: no request
// fails at the others.
func TestClusterStopsOrderly(t *testing.T) {
	c := startTrio(t)
	for v, m := range c.nodes {
		other := memcache.New(c.nodes[(v+1)%3].addr)
		other.Timeout = 20 * time.Second
		var stop atomic.Bool
		failed := make(chan error, 1)
		go func() {
			defer close(failed)
			for n := 0; !stop.Load(); n++ {
				if err := other.Set(&memcache.Item{Key: fmt.Sprint("k", n%10), Value: []byte(fmt.Sprint(n))}); err != nil {
					failed <- err
					return
				}
			}
		}()
		if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := m.ends(); code != exitOK {
			t.Errorf("node %d: exit code %d", v, code)
		}
		stop.Store(true)
		if err := <-failed; err != nil {
			t.Errorf("while node %d stopped: %v", v, err)
		}
		m.launch()
		m.serves()
	}
}

// TestClusterRefusesOthers starts what does not belong together.
func TestClusterRefusesOthers(t *testing.T) {
	node := freeAddress(t)
	dir := filepath.Join(t.TempDir(), "data")
	one := &member{running: &running{t: t, addr: freeAddress(t), stderr: filepath.Join(t.TempDir(), "stderr")}, dir: dir}
	one.args = strings.Fields("serve -l " + one.addr + " --http-listen off --cluster-listen " + node + " --join " + node + " --bootstrap-expect 1 --data-dir " + dir)
	one.launch()
	one.serves()

	// A node with sessions of its own comes too late, and keeps them.
	single, late := t.TempDir(), freeAddress(t)
	s := start(t, single)
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.ends()
	if code, _, stderr := cairn("serve -l " + freeAddress(t) + " --http-listen off --cluster-listen " + late + " --join " + node + " --bootstrap-expect 2 --data-dir " + single); code != exitFailure || !strings.Contains(stderr, "it has begun already, without the sessions") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	s = start(t, single)
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.ends()
	one.kill()
	if code, _, stderr := cairn("serve -l " + freeAddress(t) + " --http-listen off --data-dir " + dir); code != exitFailure || !strings.Contains(stderr, "node of a cluster") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if code, _, stderr := cairn("serve -l " + freeAddress(t) + " --http-listen off --cluster-name another --cluster-listen " + node + " --join " + node + " --bootstrap-expect 1 --data-dir " + dir); code != exitFailure || !strings.Contains(stderr, `belongs to cluster "cairn"`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// TestClusterTakeover lets another process take a node over, whose connections stay.
func TestClusterTakeover(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := startTrio(t)
	m := c.nodes[0]
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	m.ends()
	g := &generation{t: t, pidFile: pidFile, log: m.stderr}
	m.args = append(m.args, "-P", pidFile)
	m.launch()
	m.serves()
	awaitTrue(t, "the node has written its pid", func() bool { return g.pid() != 0 })
	t.Cleanup(func() {
		if pid := g.pid(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	conn := connect(t, "tcp", m.addr)
	for i := range 2 {
		conn.ask(fmt.Sprintf("set k%d 0 0 1\r\n%d\r\n", i, i), "STORED\r\n")
		pid := g.pid()
		g.signal(syscall.SIGUSR2)
		awaitTrue(t, "another process serves", func() bool { return g.pid() != pid && g.pid() != 0 })
		conn.ask(fmt.Sprintf("get k%d\r\n", i), fmt.Sprintf("VALUE k%d 0 1\r\n%d\r\nEND\r\n", i, i))
	}
	if it, err := memcache.New(c.nodes[1].addr).Get("k1"); err != nil || string(it.Value) != "1" {
		t.Errorf("at another node: %v, %v", it, err)
	}
}

// TestClusterStatus asks a node for the cluster.
func TestClusterStatus(t *testing.T) {
	http, node := freeAddress(t), freeAddress(t)
	start(t, filepath.Join(t.TempDir(), "data"), "--http-listen", http, "--cluster-listen", node, "--bootstrap-expect", "1")
	awaitTrue(t, "the node is ready", func() bool {
		code, _, _ := cairn("ping --url http://" + http)
		return code == exitOK
	})
	code, out, stderr := cairn("cluster status --url http://" + http)
	if code != exitOK || !strings.Contains(out, node) || !strings.Contains(out, "answers, leads") || !strings.Contains(out, "Group") {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
	for _, want := range []string{", version ", " entries behind", " of disk free", "Election"} {
		awaitTrue(t, "the status has"+want, func() bool {
			_, out, _ := cairn("cluster status --url http://" + http)
			return strings.Contains(out, want)
		})
	}
	if code, out, _ := cairn("cluster status -o json --url http://" + http); code != exitOK || !strings.Contains(out, `"leads": true`) {
		t.Errorf("exit code %d, %s", code, out)
	}
	if code, out, _ := cairn("cluster members --url http://" + http); code != exitOK || strings.Count(out, "\t") != 4 || !strings.Contains(out, "\t"+node+"\t-\t"+version+"\tanswers, leads\n") {
		t.Errorf("exit code %d, %q", code, out)
	}
	if code, out, _ := cairn("cluster members -o json --url http://" + http); code != exitOK || !strings.Contains(out, `"address": "`+node+`"`) {
		t.Errorf("exit code %d, %s", code, out)
	}
	if status, body := httpGet(t, "http://"+http+"/metrics"); status != 200 || !strings.Contains(body, "cairn_cluster_groups_led 1") || !strings.Contains(body, "cairn_sessions 0") {
		t.Errorf("status %d, metrics %s", status, body)
	}
	single := freeAddress(t)
	start(t, filepath.Join(t.TempDir(), "data"), "--http-listen", single)
	awaitTrue(t, "the server is ready", func() bool {
		code, _, _ := cairn("ping --url http://" + single)
		return code == exitOK
	})
	for _, command := range []string{"status", "members", "members -o json"} {
		code, _, stderr := cairn("cluster " + command + " --url http://" + single)
		if code != exitFailure || !strings.Contains(stderr, "not a node of a cluster") {
			t.Errorf("%s: exit code %d, %s", command, code, stderr)
		}
	}
}

// discover asks a server for the nodes, as clients of ElastiCache do.
func discover(t *testing.T, server string) (version int64, addresses []string) {
	t.Helper()
	conn := connect(t, "tcp", server)
	defer conn.Close()
	conn.send("config get cluster\r\n")
	var size int
	if _, err := fmt.Fscanf(conn.replies, "CONFIG cluster 0 %d\r\n", &size); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn.replies, body); err != nil {
		t.Fatal(err)
	}
	first, nodes, _ := strings.Cut(string(body), "\n")
	var err error
	version, err = strconv.ParseInt(first, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for node := range strings.FieldsSeq(nodes) {
		f := strings.Split(node, "|")
		if len(f) != 3 || f[0] != f[1] {
			t.Fatalf("a node is %q", node)
		}
		addresses = append(addresses, net.JoinHostPort(f[1], f[2]))
	}
	slices.Sort(addresses)
	return version, addresses
}

// TestClusterDiscovery asks nodes for the nodes while one of them is killed and comes back:
// the list follows, and the version of no node's answer falls.
func TestClusterDiscovery(t *testing.T) {
	c := startTrio(t)
	var latest [3]int64
	agree := func(asked ...int) (version int64) {
		t.Helper()
		var want []string
		for _, i := range asked {
			want = append(want, c.nodes[i].addr)
		}
		slices.Sort(want)
		awaitTrue(t, fmt.Sprintf("nodes %v name themselves", asked), func() bool {
			same := true
			for _, i := range asked {
				now, addresses := discover(t, c.nodes[i].addr)
				if now < latest[i] {
					t.Errorf("the version of node %d fell from %d to %d", i, latest[i], now)
				}
				latest[i] = now
				same = same && slices.Equal(addresses, want) && now == latest[asked[0]]
			}
			return same
		})
		return latest[asked[0]]
	}
	all := agree(0, 1, 2)
	c.nodes[1].kill()
	two := agree(0, 2)
	c.nodes[1].launch()
	c.nodes[1].serves()
	again := agree(0, 1, 2)
	if two <= all || again <= two {
		t.Errorf("versions %d, %d without a node, and %d with it", all, two, again)
	}
}

// TestClusterDrain drains the node that leads, and undoes it: what its /readyz says, who
// leads, and what becomes of a connection that was there before.
func TestClusterDrain(t *testing.T) {
	c := startTrio(t)
	status := func(m *member) (now adminapi.Cluster) {
		t.Helper()
		_, text := httpGet(t, "http://"+m.http+"/v1/cluster")
		if err := json.Unmarshal([]byte(text), &now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	order := func(want int, what string, m *member, args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := cairn("cluster " + what + " --url http://" + m.http + " " + strings.Join(args, " "))
		if code != want {
			t.Fatalf("%s: exit code %d, %s%s", what, code, stdout, stderr)
		}
		return stdout, stderr
	}
	var number [3]string
	for i, m := range c.nodes {
		awaitTrue(t, "all nodes are connected", func() bool {
			now := status(m)
			number[i] = now.Node
			away := slices.ContainsFunc(now.Nodes, func(n adminapi.ClusterNode) bool { return !n.Self && !n.Connected })
			return len(now.Nodes) == 3 && !away && len(now.Groups) > 0 && now.Groups[0].Leader != ""
		})
	}
	lead := slices.Index(number[:], status(c.nodes[0]).Groups[0].Leader)
	drained, other, third := c.nodes[lead], c.nodes[(lead+1)%3], c.nodes[(lead+2)%3]
	conn := connect(t, "tcp", drained.addr)
	conn.ask("set k 0 0 1\r\n1\r\n", "STORED\r\n")

	if out, _ := order(exitOK, "drain", other, number[lead]); !strings.Contains(out, "drained") {
		t.Errorf("the answer does not say that the node is drained: %s", out)
	}
	isDrained := func() bool {
		code, body := httpGet(t, "http://"+drained.http+"/readyz")
		return code == 503 && strings.Contains(body, `["drained"]`)
	}
	awaitTrue(t, "the node says that it is drained, and another leads", isDrained)
	awaitTrue(t, "another node leads", func() bool { return !status(drained).Groups[0].Leads && status(other).Groups[0].Leader != number[lead] })
	conn.ask("get k\r\n", "VALUE k 0 1\r\n1\r\nEND\r\n")
	conn.ask("set k 0 0 1\r\n2\r\n", "STORED\r\n")
	if code, _ := httpGet(t, "http://"+third.http+"/readyz"); code != 200 {
		t.Errorf("another node's /readyz is %d", code)
	}

	drained.kill()
	drained.launch()
	drained.serves()
	awaitTrue(t, "the node is drained after a restart", isDrained)
	order(exitOK, "drain", third, number[(lead+1)%3])
	if _, text := order(exitFailure, "drain", other, number[(lead+2)%3]); !strings.Contains(text, "is the last that should lead") {
		t.Errorf("the last one is refused with %s", text)
	}
	if _, text := order(exitFailure, "drain", other, "00000000000000ab"); !strings.Contains(text, "is not a member") {
		t.Errorf("an unknown one is refused with %s", text)
	}
	order(exitOK, "drain --undo", drained, number[lead])
	awaitTrue(t, "the node is ready", func() bool {
		code, _ := httpGet(t, "http://"+drained.http+"/readyz")
		return code == 200
	})
	if out, _ := order(exitOK, "status", drained); strings.Count(out, "drained") != 1 {
		t.Errorf("one node is drained: %s", out)
	}
}

// TestClusterBackup takes a backup of a cluster and makes a single server of it.
func TestClusterBackup(t *testing.T) {
	http, node := freeAddress(t), freeAddress(t)
	one := start(t, filepath.Join(t.TempDir(), "data"), "--http-listen", http, "--cluster-listen", node, "--bootstrap-expect", "1")
	client := memcache.New(one.addr)
	client.Timeout = patience
	if err := client.Set(&memcache.Item{Key: "k", Value: []byte("v"), Expiration: 3600}); err != nil {
		t.Fatal(err)
	}
	archive, dir := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "single")
	for _, args := range []string{"backup " + archive + " --url http://" + http, "restore " + archive + " --data-dir " + dir} {
		if code, stdout, stderr := cairn(args); code != exitOK {
			t.Fatalf("%s: exit code %d, %s%s", args, code, stdout, stderr)
		}
	}
	single := start(t, dir)
	client = memcache.New(single.addr)
	it, err := client.Get("k")
	if err != nil || string(it.Value) != "v" {
		t.Fatalf("%v, %v", it, err)
	}
	if err := client.CompareAndSwap(it); err != nil { // versions go on
		t.Error(err)
	}
}

// TestDoctorOfCluster asks the nodes of a cluster, one of which is gone then; and looks
// at a node's directory without knowing where the others are.
func TestDoctorOfCluster(t *testing.T) {
	c := startTrio(t)
	examine := func(args ...string) (found map[string]doctor.Finding) {
		t.Helper()
		_, out, stderr := cairn(strings.Join(append([]string{"doctor --output json"}, args...), " "))
		var all []doctor.Finding
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatalf("%v: %s%s", err, out, stderr)
		}
		found = map[string]doctor.Finding{}
		for _, f := range all {
			found[f.Check] = f
		}
		return found
	}
	flags := []string{"--data-dir", c.nodes[0].dir, "--cluster-listen", c.join[0], "--join", strings.Join(c.join, ",")}
	found := examine(flags...)
	for check, want := range map[string]string{
		"cluster": "node ", "cluster-listen": "reached at " + c.join[0], "quorum": "3 of 3", "leader": "127.0.0.1:", "clocks of nodes": "apart",
	} {
		if f := found[check]; f.Grade != doctor.OK || !strings.Contains(f.Found, want) {
			t.Errorf("%s: %+v", check, f)
		}
	}
	if f := found["machines"]; f.Grade != doctor.Warn {
		t.Errorf("three nodes on one machine: %+v", f)
	}
	if f := examine("--role=proxy --join", c.join[1])["quorum"]; f.Grade != doctor.OK {
		t.Errorf("for a proxy: %+v", f)
	}
	c.nodes[2].kill()
	found = examine(flags...)
	if f := found["quorum"]; f.Grade != doctor.Warn || !strings.Contains(f.Found, "2 of 3") {
		t.Errorf("one is gone: %+v", f)
	}
	if f := found["node "+c.join[2]]; f.Grade != doctor.Warn {
		t.Errorf("the one that is gone: %+v", f)
	}
	if f := examine("--data-dir", c.nodes[2].dir)["cluster"]; f.Grade != doctor.Warn || !strings.Contains(f.Found, "not asked") {
		t.Errorf("without flags: %+v", f)
	}
}
