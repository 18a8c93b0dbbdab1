package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/adminapi"
	"cairn/engine"
	"cairn/figures"
	"cairn/locks"
	"cairn/memcachedfront"
	"cairn/memory"
	"cairn/owners"
	"cairn/policy"
	sockets "cairn/serve"
	"cairn/session"
	"cairn/upstream"
)

// startWhole is a server with a real store and a real front end, and something
// to count in both: one session stored, one get that found it and one that did
// not.
func startWhole(t *testing.T) (*harness, *engine.Store) {
	t.Helper()
	store := openEngine(t, t.TempDir())
	rules, err := policy.Open([]string{"php"}, "")
	if err != nil {
		t.Fatal(err)
	}
	front, err := memcachedfront.Listen(memcachedfront.Options{Options: sockets.Options{
		Store: store, Clock: store, Addresses: []sockets.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		Logger: slog.New(slog.DiscardHandler),
	}, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { front.Serve(context.Background()) })
	t.Cleanup(func() {
		if err := front.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	client, err := net.Dial("tcp", front.Places()[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "set key 0 60 5\r\nvalue\r\nget key\r\nget other\r\n")
	answers := make([]byte, len("STORED\r\nVALUE key 0 5\r\nvalue\r\nEND\r\nEND\r\n"))
	if _, err := io.ReadFull(client, answers); err != nil {
		t.Fatal(err)
	}
	// Commands are counted once their answers are sent, and before the next are read.
	io.WriteString(client, "quit\r\n")
	if _, err := io.ReadAll(client); err != nil {
		t.Fatal(err)
	}
	h := start(t, Options{Engine: store, Version: "1.2.3", Figures: []prometheus.Collector{
		store, front, locks.New(locks.Options{Clock: store}), upstream.New(upstream.Options{Clock: store}), memory.NewPlan(memory.Wishes{Limit: 1 << 30}),
		owners.New(owners.Options{Store: store, Rules: new(policy.Rules)}),
	}})
	return h, store
}

func TestMetrics(t *testing.T) {
	h, _ := startWhole(t)
	h.do("GET", "/v1/sessions/missing", nil).want(t, 404)
	text := string(h.do("GET", "/metrics", nil).want(t, 200).body)
	for _, line := range []string{
		"cairn_sessions 1", "cairn_session_bytes 8", "cairn_sessions_stored_total 1", "cairn_commits_total 1",
		`cairn_commit_duration_seconds_bucket{le="+Inf"} 1`, "cairn_commit_duration_seconds_count 1",
		"cairn_wal_fsync_duration_seconds_count ", `cairn_disk_written_bytes_total{purpose="wal"} `,
		"cairn_buckets 1", `cairn_bucket_disk_bytes{deadline="`,
		`cairn_commands_total{command="get",outcome="hit"} 1`, `cairn_commands_total{command="get",outcome="miss"} 1`,
		`cairn_commands_total{command="set",outcome=""} 1`, "cairn_connections_opened_total 1",
		`cairn_request_duration_seconds_bucket{verb="get",le="+Inf"} 2`,
		`cairn_http_requests_total{code="404",operation="get-session"} 1`,
		"cairn_ready 1", `cairn_build_info{goversion="go1.`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no line %s", line)
		}
	}
}

// TestStatsShowTheFigures compares the statistics with what was counted.
func TestStatsShowTheFigures(t *testing.T) {
	h, store := startWhole(t)
	samples, err := figures.Gather(h.server.figures)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range figures.Tags(reflect.TypeFor[adminapi.Stats]()) {
		if !samples.Has(path) {
			t.Errorf("adminapi.Stats shows %s, which nobody counts", path)
		}
	}
	got, want := as[adminapi.Stats](t, h.do("GET", "/v1/stats", nil).want(t, 200)), store.Figures()
	if want := (adminapi.SessionStats{Items: 1, Bytes: 8, Stored: 1}); got.Sessions != want {
		t.Errorf("sessions: %+v", got.Sessions)
	}
	if got.Cache.Capacity != want.Hot.Capacity || got.Cache.Items != want.Hot.Items {
		t.Errorf("cache: %+v, want %+v", got.Cache, want.Hot)
	}
	if c := got.Commits; c.Commits != 1 || c.P50 <= 0 || c.P99 < c.P50 || c.Syncs == 0 || c.SyncSeconds <= 0 || c.SyncP99 < c.SyncP50 {
		t.Errorf("commits: %+v", c)
	}
	if d := got.Disk; d.TotalBytes != want.Disk.Total || d.UserWritten != 8 || d.WALWritten == 0 || d.WriteAmplification < 1 {
		t.Errorf("disk: %+v", d)
	}
	if len(got.Buckets) != 1 || got.Buckets[0].Deadline == nil {
		t.Errorf("buckets: %+v", got.Buckets)
	}
	if got.Process.Goroutines == 0 || got.Process.HeapBytes == 0 {
		t.Errorf("process: %+v", got.Process)
	}
	verbs := map[string]uint64{}
	for _, l := range got.Latencies {
		verbs[l.Verb] = l.Count
		if n := len(l.Buckets); n == 0 || l.Buckets[n-1].Count != l.Count || l.P50 <= 0 || l.P999 < l.P50 || l.Seconds <= 0 {
			t.Errorf("latencies: %+v", l)
		}
	}
	if verbs["get"] != 2 || verbs["set"] != 1 {
		t.Errorf("verbs: %v", verbs)
	}
}

// Buckets come in the order in which they leave the disk.
func TestBucketsAscend(t *testing.T) {
	var samples []figures.Sample
	for _, deadline := range []string{"never", "1800000060", "900"} {
		samples = append(samples, figures.Sample{Labels: map[string]string{"deadline": deadline}, Value: float64(len(deadline))})
	}
	list := bucketStats(figures.Samples{"cairn_bucket_disk_bytes": samples})
	if len(list) != 3 || list[0].Bytes != 3 || session.FromTime(*list[1].Deadline) != testStart+minute || list[2].Deadline != nil {
		t.Errorf("%+v", list)
	}
}

// TestPromtoolAcceptsTheMetrics lints names, units and help texts.
func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	h, _ := startWhole(t)
	h.do("GET", "/livez", nil)
	cmd := exec.Command(path, "check", "metrics")
	cmd.Stdin = bytes.NewReader(h.do("GET", "/metrics", nil).want(t, 200).body)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
