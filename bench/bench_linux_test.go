package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/bench"
	"cairn/bench/peer"
	"cairn/bench/report"
	"cairn/built"
)

// Every workload must run through on every server and report something for
// each. What it reports is not looked at: figures prove nothing on a machine
// that tests share.
func TestEveryWorkloadRuns(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	c := tiny(t, "cairn", "redis-everysec")
	c.Out = out
	var progress bytes.Buffer
	c.Progress = &progress
	r, err := bench.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sections) != len(bench.Workloads()) || len(r.Servers) != 2 {
		t.Fatalf("%d sections, %d servers", len(r.Sections), len(r.Servers))
	}
	for i, section := range r.Sections {
		checkSection(t, section)
		if name := bench.Workloads()[i]; !strings.Contains(progress.String(), name) {
			t.Errorf("no progress was shown for %s", name)
		}
	}
	var back report.Report
	if data, err := os.ReadFile(filepath.Join(out, "results.json")); err != nil || json.Unmarshal(data, &back) != nil {
		t.Errorf("results.json: %v", err)
	}
	if leftovers, _ := filepath.Glob(filepath.Join(c.Dir, "*")); len(leftovers) > 0 {
		t.Errorf("files are left: %v", leftovers)
	}
}

func checkSection(t *testing.T, section report.Section) {
	t.Helper()
	servers := map[string]bool{}
	for _, table := range section.Tables {
		for _, row := range table.Rows {
			servers[row[0]] = true
			if len(row) != len(table.Columns) || strings.Contains(strings.Join(row, " "), "NaN") {
				t.Errorf("%s: %s: %v", section.Title, table.Title, row)
			}
		}
	}
	for _, server := range []string{"cairn", "redis-everysec"} {
		onlyCairn := section.Title == "Sessions on a slow disk" || section.Title == "Three nodes against one"
		if !servers[server] && (server == "cairn" || !onlyCairn) {
			t.Errorf("%s: nothing about %s", section.Title, server)
		}
	}
	for _, plot := range section.Plots {
		if len(plot.Lines) < 2 || len(plot.Lines[0].Points) == 0 {
			t.Errorf("%s: %s: %d lines", section.Title, plot.Title, len(plot.Lines))
		}
	}
}

// An open loop, the ordinary client and other protocols are ways to run too.
func TestWaysToRun(t *testing.T) {
	for name, change := range map[string]func(c *bench.Config){
		"rate":            func(c *bench.Config) { c.Rate = "500" },
		"part of peak":    func(c *bench.Config) { c.Rate = "20%" },
		"ordinary client": func(c *bench.Config) { c.Ordinary = true },
		"binary":          func(c *bench.Config) { c.Protocol = "binary" },
		"meta":            func(c *bench.Config) { c.Protocol = "meta" },
		"unpinned":        func(c *bench.Config) { c.Unpinned = true },
	} {
		t.Run(name, func(t *testing.T) {
			c := tiny(t, "memcached")
			c.Workloads = []string{"session"}
			change(&c)
			if _, err := bench.Run(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that keeps nothing has no space to measure.
func TestSpaceLeavesOutWhoKeepsNothing(t *testing.T) {
	c := tiny(t, "memcached", "redis-everysec")
	c.Workloads = []string{"space"}
	r, err := bench.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if rows := r.Sections[0].Tables[0].Rows; len(rows) != 1 || rows[0][0] != "redis-everysec" {
		t.Errorf("%v", rows)
	}
}

// A killed Cairn must have lost nothing that it acknowledged, and the suite
// must see that memcached lost all.
func TestRestartCountsLosses(t *testing.T) {
	c := tiny(t, "cairn", "memcached")
	c.Workloads = []string{"restart"}
	r, err := bench.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rows := r.Sections[0].Tables[0].Rows
	if rows[0][3] != "none" || rows[0][5] != "none" {
		t.Errorf("cairn: %v", rows[0])
	}
	if !strings.HasPrefix(rows[1][3], "200 missing") || !strings.HasPrefix(rows[1][5], "200 missing") {
		t.Errorf("memcached: %v", rows[1])
	}
}

// One process of Cairn after the other serves, and nothing is lost; memcached
// has no such thing.
func TestTakeoverIsMeasured(t *testing.T) {
	c := tiny(t, "cairn", "memcached")
	c.Workloads, c.Takeovers = []string{"takeover"}, 3
	r, err := bench.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rows := r.Sections[0].Tables[0].Rows
	if !strings.HasSuffix(rows[0][2], "s") || rows[0][7] != "none" || rows[1][2] != "cannot" {
		t.Errorf("%v", rows)
	}
	if !strings.Contains(r.Sections[0].Summary, "3 times") {
		t.Errorf("%s", r.Sections[0].Summary)
	}
}

// A cluster is measured at the node that leads and at another one, beside a Redis with
// replicas, and nothing else can be.
func TestClusterIsMeasured(t *testing.T) {
	c := tiny(t, "cairn", "redis-always", "redis-everysec")
	c.Workloads = []string{"cluster"}
	r, err := bench.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	throughput, written := r.Sections[0].Tables[0].Rows, r.Sections[0].Tables[1].Rows
	if len(throughput) != 4*4 || len(written) != 3 {
		t.Fatalf("%v\n%v", throughput, written)
	}
	for i, name := range []string{"cairn", "cairn, 3 nodes, leader", "cairn, 3 nodes, follower", "redis-always, 2 replicas, WAIT 1"} {
		if throughput[i][0] != name {
			t.Errorf("%v, want %s", throughput[i], name)
		}
	}
	for _, row := range written {
		if row[3] == "0" || strings.Contains(row[4], "Inf") {
			t.Errorf("nothing was written: %v", row)
		}
	}
	if leftovers, _ := filepath.Glob(filepath.Join(c.Dir, "*")); len(leftovers) > 0 {
		t.Errorf("files are left: %v", leftovers)
	}
	c = tiny(t, "memcached")
	c.Workloads = []string{"cluster"}
	if r, err = bench.Run(t.Context(), c); err != nil || len(r.Sections[0].Notes) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A server that ends by itself fails the run, which says what that server has said.
func TestClusterThatCannotStart(t *testing.T) {
	c := tiny(t, "cairn")
	c.Workloads = []string{"cluster"}
	c.Peers[0].Args = []string{"--durability", "interval:1s"}
	if r, err := bench.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "durability") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWrongSettings(t *testing.T) {
	for name, change := range map[string]func(c *bench.Config){
		"unknown workload":    func(c *bench.Config) { c.Workloads = []string{"gett"} },
		"unknown baseline":    func(c *bench.Config) { c.Baseline = "redis" },
		"no such rate":        func(c *bench.Config) { c.Rate = "-5%" },
		"no such core":        func(c *bench.Config) { c.ServerCPUs = []int{1000} },
		"too few sessions":    func(c *bench.Config) { c.Sessions = 1 },
		"the same name twice": func(c *bench.Config) { c.Peers = append(c.Peers, c.Peers[0]) },
		"no such program":     func(c *bench.Config) { c.Peers[0].Path = "/nonexistent" },
		"protocol":            func(c *bench.Config) { c.Protocol = "udp" },
		"pinned and unpinned": func(c *bench.Config) { c.Unpinned, c.ClientCPUs = true, []int{0} },
		"ordinary Redis": func(c *bench.Config) {
			c.Ordinary, c.Peers = true, []peer.Spec{{Name: "r", Base: "redis-always"}}
		},
	} {
		c := tiny(t, "memcached")
		change(&c)
		if _, err := bench.Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(err)
		}
	}
}

func TestCommand(t *testing.T) {
	requireInstalled(t, "memcached")
	var stdout, stderr bytes.Buffer
	execute := func(args ...string) error {
		cmd := bench.NewCommand("1.2.3")
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		cmd.SetArgs(args)
		return cmd.ExecuteContext(t.Context())
	}
	out := t.TempDir()
	err := execute("--quick", "--workload", "get", "--peers", "memcached", "--peer", "second=memcached -n 64",
		"--sessions", "100", "--duration", "20ms", "--warmup", "10ms", "--payload", "php,opaque:500", "--out", out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stdout.String(), "| second ") || !strings.Contains(stderr.String(), filepath.Join(out, "report.html")) {
		t.Errorf("%s\n%s", &stdout, &stderr)
	}
	for _, args := range [][]string{{"--payload", "xml"}, {"--server-cpus", "1-"}, {"--peers", "mongo"}, {"extra"}} {
		if err := execute(args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// tiny is a configuration that runs every workload in a moment.
func tiny(t *testing.T, servers ...string) bench.Config {
	t.Helper()
	c := bench.Config{
		Quick: true, Sessions: 200, Storm: 300, Growth: []int{100, 200}, Connections: 4,
		Rounds: 2, Duration: 30 * time.Millisecond, Warmup: 20 * time.Millisecond, Long: 100 * time.Millisecond,
		Dir: filepath.Join(t.TempDir(), "servers"),
	}
	c.Payload.Count = 50
	for _, name := range servers {
		spec := peer.Spec{Name: name, Base: name}
		if spec.IsCairn() {
			var err error
			if spec.Path, err = buildCairn(); err != nil {
				t.Fatal(err)
			}
		} else {
			requireInstalled(t, name)
		}
		c.Peers = append(c.Peers, spec)
	}
	return c
}

// buildCairn builds the program under test, once; TestMain deletes it.
var buildCairn = sync.OnceValues(func() (binary string, err error) {
	binary = filepath.Join(buildDir, "cairn")
	return binary, built.Program{Package: "cairn/cmd/cairn", Static: true}.To(binary)
})

var buildDir string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == peer.SlowCommand { // this program's own server
		if err := bench.NewCommand("").Execute(); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "cairn-bench-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// requireInstalled lets a server be missing except on CI.
func requireInstalled(t *testing.T, name string) {
	t.Helper()
	if _, err := (peer.Spec{Name: name, Base: name}).Find(); err == nil {
		return
	} else if os.Getenv("CI") != "" {
		t.Fatal(err)
	} else {
		t.Skip(err)
	}
}
