package history

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bench is a recorder with a clock and figures that a test moves.
type bench struct {
	t   *testing.T
	dir string
	now time.Time
	log bytes.Buffer

	sessions prometheus.Gauge
	full     prometheus.Gauge
	commands *prometheus.CounterVec
	requests *prometheus.HistogramVec
	fsyncs   prometheus.Histogram
	cluster  clusterFigures
	*Recorder
}

// clusterFigures are those that a node of a cluster has besides.
type clusterFigures struct {
	changes    prometheus.Counter
	leaderless prometheus.Gauge
	syncs      prometheus.Histogram
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "history"), now: time.Unix(1_800_000_000, 0)}
	b.process()
	return b
}

// process is another process on the same files.
func (b *bench) process() {
	b.t.Helper()
	gauge := func(name string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name})
	}
	b.sessions, b.full = gauge("cairn_sessions"), gauge("cairn_out_of_space")
	b.commands = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cairn_commands_total"}, []string{"command", "outcome"})
	b.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cairn_request_duration_seconds", Buckets: []float64{.001, .01, .1, 1}}, []string{"verb"})
	b.fsyncs = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cairn_wal_fsync_duration_seconds", Buckets: []float64{.001, .1, 1}})
	b.cluster = clusterFigures{
		changes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_cluster_leader_changes_total"}),
		leaderless: gauge("cairn_cluster_groups_without_leader"),
		syncs:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cairn_log_sync_seconds", Buckets: []float64{.001, .1, 1}}),
	}
	var err error
	b.Recorder, err = New(Options{
		Dir: b.dir, Figures: []prometheus.Collector{b.sessions, b.full, b.commands, b.requests, b.fsyncs, b.cluster.changes, b.cluster.leaderless, b.cluster.syncs},
		Now: func() time.Time { return b.now }, Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// pass lets time pass, with a sample every ten seconds.
func (b *bench) pass(d time.Duration) {
	for end := b.now.Add(d); b.now.Before(end); {
		b.now = b.now.Add(fineStep)
		b.tick()
	}
}

// last asks for the samples of so long until now.
func (b *bench) last(d time.Duration, points int) Answer {
	return b.Query(Query{From: b.now.Add(-d), To: b.now, Points: points})
}

func value(p Point, name string) float64 {
	return p.Values[slices.IndexFunc(columns, func(c column) bool { return c.Name == name })]
}

func (b *bench) kinds() (kinds []string) {
	for _, e := range b.last(coarseKeep, 1).Events {
		kinds = append(kinds, string(e.Kind))
	}
	return kinds
}

func (b *bench) wantKinds(want ...string) {
	b.t.Helper()
	if got := b.kinds(); !slices.Equal(got, want) {
		b.t.Errorf("events %v, want %v", got, want)
	}
}

func TestSamples(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	for i := range 12 {
		b.sessions.Set(float64(100 + i))
		b.commands.WithLabelValues("get", "hit").Add(90)
		b.commands.WithLabelValues("get", "miss").Add(10)
		b.commands.WithLabelValues("set", "").Add(20)
		for range 99 {
			b.requests.WithLabelValues("get").Observe(.0005)
		}
		b.requests.WithLabelValues("set").Observe(.5)
		b.pass(fineStep)
	}
	a := b.last(2*time.Minute, 12)
	if len(a.Points) != 12 || a.Step != fineStep {
		t.Fatalf("%d points, %v apart", len(a.Points), a.Step)
	}
	p := a.Points[11]
	for name, want := range map[string]float64{"sessions": 111, "gets": 10, "sets": 2, "hit_ratio": 0.9} {
		if got := value(p, name); math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if p50, p999 := value(p, "latency_p50"), value(p, "latency_p999"); p50 > .001 || p999 < .1 {
		t.Errorf("p50 %v, p99.9 %v", p50, p999)
	}
	if got := value(p, "memory_bytes"); !math.IsNaN(got) {
		t.Errorf("what nobody counts is %v", got)
	}
	// Joined: gauges by their mean, latencies by their largest.
	a = b.last(2*time.Minute, 2)
	if len(a.Points) != 2 || a.Step != time.Minute || value(a.Points[0], "sessions") != 102.5 || value(a.Points[0], "latency_p999") < .1 {
		t.Errorf("joined: %+v", a)
	}
	// By the minute, of what the minute had.
	a = b.last(coarseKeep, 2000)
	if len(a.Points) == 0 || math.Abs(value(a.Points[0], "gets")-10) > 1e-6 {
		t.Errorf("minutes: %+v", a)
	}
	if len(b.coarse.times) != 2 {
		t.Errorf("%d minutes", len(b.coarse.times))
	}
}

// Counters that begin anew are no rate.
func TestReset(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.commands.WithLabelValues("set", "").Add(500)
	b.pass(fineStep)
	b.commands.Reset()
	b.commands.WithLabelValues("set", "").Add(5)
	b.pass(fineStep)
	points := b.last(time.Minute, 10).Points
	if got := value(points[1], "sets"); !math.IsNaN(got) {
		t.Errorf("sets are %v", got)
	}
}

func TestProcesses(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.sessions.Set(7)
	b.pass(time.Minute)
	b.end(true)
	b.process()
	b.now = b.now.Add(time.Hour)
	b.begin(Started)
	b.wantKinds("start", "stop", "restart")
	b.pass(30 * time.Second) // and killed
	b.process()
	b.begin(Started)
	b.wantKinds("start", "stop", "restart", "restart")
	events := b.last(coarseKeep, 1).Events
	if !strings.Contains(events[2].Detail, "After an orderly stop") || !strings.Contains(events[3].Detail, "did not stop") {
		t.Errorf("events %+v", events)
	}
	b.end(false)
	giver := b.Recorder
	b.process()
	b.begin(TookOver)
	b.wantKinds("start", "stop", "restart", "restart", "takeover")
	b.end(false)
	b.Recorder = giver // nobody took its place for good
	b.begin(WentOn)
	b.wantKinds("start", "stop", "restart", "restart", "takeover")
	if n := len(b.last(2*time.Hour, 1000).Points); n < 9 {
		t.Errorf("%d samples of all processes", n)
	}
	if got := value(b.last(2*time.Hour, 1000).Points[0], "sessions"); got != 7 {
		t.Errorf("sessions %v", got)
	}
}

func TestConditions(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.pass(fineStep)
	b.full.Set(1)
	b.fsyncs.Observe(.05)
	b.pass(30 * time.Second)
	b.wantKinds("start", "out_of_space") // goes on
	b.full.Set(0)
	b.fsyncs.Observe(.5)
	b.fsyncs.Observe(2)
	b.pass(fineStep)
	b.fsyncs.Observe(.5)
	b.pass(20 * time.Second)
	b.process()
	b.begin(Started)
	b.wantKinds("start", "out_of_space", "slow_fsync", "restart")
	events := b.last(time.Hour, 1).Events
	if e := events[1]; e.Until.Sub(e.At) != 30*time.Second {
		t.Errorf("the disk was full from %v to %v", e.At, e.Until)
	}
	if e := events[2]; e.Detail != "3 fsyncs of the log took more than 100ms." || e.Until.Sub(e.At) != 20*time.Second {
		t.Errorf("slow fsyncs: %+v", e)
	}
}

// A node of a cluster syncs the cluster's log, and marks elections.
func TestClusterConditions(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.pass(fineStep)
	b.cluster.changes.Inc()
	b.cluster.leaderless.Set(1)
	b.pass(fineStep)
	b.cluster.changes.Inc()
	b.cluster.leaderless.Set(0)
	b.cluster.syncs.Observe(.5)
	b.pass(20 * time.Second)
	b.process()
	b.begin(Started)
	b.wantKinds("start", "no_leader", "election", "slow_fsync", "restart")
	events := b.last(time.Hour, 1).Events
	if e := events[1]; e.Until.Sub(e.At) != fineStep {
		t.Errorf("there was no leader from %v to %v", e.At, e.Until)
	}
	if e := events[2]; e.Detail != "2 times this node learned of another leader, or of none." || e.Until.Sub(e.At) != 20*time.Second {
		t.Errorf("elections: %+v", e)
	}
	if got := value(b.last(time.Minute, 6).Points[2], "fsync_mean"); got != .5 {
		t.Errorf("the mean of fsyncs is %v", got)
	}
}

// What is kept has bounds, in memory and on disk.
func TestBounds(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.end(false)
	row := make([]float32, len(columns))
	for i := range 2 * b.coarse.most() {
		b.coarse.add(b.now.Add(time.Duration(i)*coarseStep).UnixMilli(), row)
		if i%1000 == 0 {
			if err := b.coarse.save(b.dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(b.coarse.times); n < b.coarse.most() || n > b.coarse.most()*5/4 {
		t.Errorf("%d samples are kept", n)
	}
	info, err := os.Stat(filepath.Join(b.dir, b.coarse.name))
	if err != nil || info.Size() > 8<<20 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	for i := range 10 * maxEvents {
		b.events.add(Event{At: b.now.Add(time.Duration(i)), Kind: Stall})
	}
	if n := len(b.events.list); n > maxEvents*5/4 {
		t.Errorf("%d events are kept", n)
	}
}

// A file that is torn anywhere has what was whole before, and takes more.
func TestTornTail(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.pass(time.Minute)
	b.end(false)
	name := filepath.Join(b.dir, b.fine.name)
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	frame := frameHead + 8 + 4*len(columns)
	first := len(content) - 6*frame
	for cut := 0; cut < len(content); cut += 5 {
		if err := os.WriteFile(name, content[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b.process()
		b.begin(WentOn)
		want := max(0, (cut-first)/frame)
		if got := len(b.last(24*time.Hour, 10_000).Points); got != want {
			t.Fatalf("cut at %d of %d: %d samples, want %d", cut, len(content), got, want)
		}
		b.now = b.now.Add(fineStep)
		b.tick()
		b.end(false)
		b.begin(WentOn)
		if got := len(b.last(24*time.Hour, 10_000).Points); got != want+1 {
			t.Fatalf("cut at %d: then %d samples, want %d", cut, got, want+1)
		}
		b.end(false)
	}
}

// A damaged frame is left out, whatever is in it.
func TestDamage(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.pass(time.Minute)
	b.end(true)
	for _, s := range []string{"samples-10s", "samples-1min", "events"} {
		name := filepath.Join(b.dir, s)
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(content); i += 7 {
			damaged := slices.Clone(content)
			damaged[i] ^= 0xff
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			b.process()
			b.begin(WentOn)
			if n := len(b.last(time.Hour, 1000).Points); n > 6 {
				t.Fatalf("%s damaged at %d: %d samples", s, i, n)
			}
			b.end(false)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A file of a later version is kept beside the new one.
func TestLaterVersion(t *testing.T) {
	b := newBench(t)
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(b.dir, b.fine.name)
	if err := os.WriteFile(name, []byte("cairnhs\x02 something"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.begin(Started)
	b.pass(fineStep)
	if kept, err := os.ReadFile(name + ".unreadable"); err != nil || string(kept) != "cairnhs\x02 something" {
		t.Errorf("kept %q, %v", kept, err)
	}
	if n := len(b.last(time.Hour, 10).Points); n != 1 {
		t.Errorf("%d samples", n)
	}
}

// A file of a version with other columns has those that both know.
func TestOtherColumns(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.sessions.Set(3)
	b.pass(fineStep)
	b.end(false)
	all := columns
	defer func() { columns = all }()
	columns = append([]column{gauge("later", "", "", "cairn_later")}, all[:3]...)
	b.process()
	b.begin(TookOver)
	p := b.last(time.Hour, 10).Points
	if len(p) != 1 || value(p[0], "sessions") != 3 || !math.IsNaN(value(p[0], "later")) {
		t.Errorf("points %+v", p)
	}
}

// Samples of a clock that was ahead go when it is right again.
func TestClockBack(t *testing.T) {
	b := newBench(t)
	b.begin(Started)
	b.pass(time.Minute)
	b.now = b.now.Add(1000 * time.Hour)
	b.pass(time.Minute)
	b.now = b.now.Add(-1000 * time.Hour)
	b.pass(time.Minute)
	if n := len(b.last(time.Hour, 1000).Points); n < 11 {
		t.Errorf("%d samples", n)
	}
}

// Without room on the disk samples are in memory, and later in the files.
func TestUnwritable(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(b.dir, nil, 0o600); err != nil { // where the directory should be
		t.Fatal(err)
	}
	b.begin(Started)
	b.pass(time.Minute)
	if n := len(b.last(time.Hour, 1000).Points); n != 6 {
		t.Errorf("%d samples in memory", n)
	}
	if n := strings.Count(b.log.String(), "the history of figures is not written"); n != 1 {
		t.Errorf("logged %d times: %s", n, b.log.String())
	}
	if err := errors.Join(os.Remove(b.dir), os.Mkdir(b.dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	b.pass(fineStep)
	b.process()
	b.begin(Started)
	if n := len(b.last(time.Hour, 1000).Points); n != 7 {
		t.Errorf("%d samples in the files", n)
	}
}

// The goroutine ends, and what it sampled is in the files.
func TestStartAndStop(t *testing.T) {
	b := newBench(t)
	b.Start(Started)
	b.Stop()
	b.Stop()
	b.wantKinds("start", "stop")
}
