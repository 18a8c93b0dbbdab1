package console_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/adminapi"
	"cairn/engine"
	"cairn/figures"
	"cairn/history"
	"cairn/httpapi"
	"cairn/httpapi/console"
	"cairn/owners"
	"cairn/policy"
	"cairn/session"
	"cairn/undo"
)

// shared is the server that all sites are at, one after the other: so the browser has
// the page's files already.
var shared = newShared()

type sharedServer struct {
	*httptest.Server

	serving sync.RWMutex // held while a request is served
	handler http.Handler // nil: no site is open
}

func newShared() *sharedServer {
	s := &sharedServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serving.RLock()
		defer s.serving.RUnlock()
		if s.handler == nil {
			http.NotFound(w, r)
			return
		}
		s.handler.ServeHTTP(w, r)
	}))
	return s
}

// serve waits for the requests to the last handler.
func (s *sharedServer) serve(h http.Handler) {
	s.serving.Lock()
	defer s.serving.Unlock()
	s.handler = h
}

// site is a console on a real store, with a front whose clients are made up.
type site struct {
	t     *testing.T
	store *engine.Store
	front *front
	url   string
	level *slog.LevelVar
}

func newSite(t *testing.T, auth httpapi.AuthOptions) *site {
	t.Helper()
	return newSiteOn(t, auth, engine.Options{})
}

// newClusterSite is the site of a node of a cluster with three members, of which one is
// away.
func newClusterSite(t *testing.T) *site {
	t.Helper()
	nodes := adminapi.Cluster{
		Name: "shop", Node: "1f3870be274f6c49",
		Nodes: []adminapi.ClusterNode{
			{Node: "1f3870be274f6c49", Address: "10.0.0.1:7000", Self: true, Member: true, Lag: new(int64(7)), DiskFree: 12 << 30, DiskTotal: 20 << 30},
			{Node: "72b302bf297a228a", Address: "10.0.0.2:7000", Zone: "hall-2", Connected: true, Member: true, Leads: 1, Lag: new(int64), RoundTrip: 0.00042, DiskFull: true, DiskTotal: 20 << 30},
			{Node: "fa00fdc1a31d1b0c", Address: "10.0.0.3:7000", Member: true, Lag: new(int64(54_321))},
			{Node: "03c7c0ace395d801", Address: "10.0.0.4:7000", Connected: true, Learner: true},
		},
		Groups: []adminapi.ClusterGroup{{Group: 0, Leader: "72b302bf297a228a", Term: 7, Committed: 1_234_567, Applied: 1_234_560, Elections: []adminapi.ClusterElection{
			{At: time.Date(2026, 11, 28, 12, 0, 3, 0, time.Local), Term: 7, Leader: "72b302bf297a228a"},
			{At: time.Date(2026, 11, 28, 12, 0, 2, 0, time.Local), Term: 6},
			{At: time.Date(2026, 11, 27, 9, 30, 0, 0, time.Local), Term: 5, Leader: "fa00fdc1a31d1b0c"},
		}}},
	}
	var mu sync.Mutex
	return openSite(t, httpapi.AuthOptions{}, engine.Options{}, func(o *httpapi.Options) {
		o.Cluster = func() adminapi.Cluster {
			mu.Lock()
			defer mu.Unlock()
			now := nodes
			now.Nodes = slices.Clone(nodes.Nodes)
			return now
		}
		o.ChangeCluster = func(_ context.Context, c adminapi.ClusterChange) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Op == "drain" && c.Node == nodes.Nodes[0].Node {
				return &httpapi.Refusal{Text: "it is the last that should lead"}
			}
			for i := range nodes.Nodes {
				n := &nodes.Nodes[i]
				if c.Op == "transfer" {
					n.Leads = 0
				}
				if n.Node != c.Node {
					continue
				}
				switch c.Op {
				case "transfer":
					n.Leads = 1
				case "remove":
					n.Member = false
				default:
					n.Drained = c.Op == "drain"
				}
			}
			return nil
		}
	})
}

// newSiteOn opens the store with options, but for its directory and logger.
func newSiteOn(t *testing.T, auth httpapi.AuthOptions, o engine.Options) *site {
	t.Helper()
	return openSite(t, auth, o, func(*httpapi.Options) {})
}

// openSite is newSiteOn, with the options of the HTTP API changed.
func openSite(t *testing.T, auth httpapi.AuthOptions, o engine.Options, change func(*httpapi.Options)) *site {
	t.Helper()
	o.Dir, o.Logger = t.TempDir(), slog.New(slog.DiscardHandler)
	store, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: store, front: newFront(), level: new(slog.LevelVar)}
	points := undo.New(undo.Options{Store: store, Dir: t.TempDir(), For: time.Hour, Logger: slog.New(slog.DiscardHandler), Open: func(dir string) (undo.Reader, error) {
		return engine.Open(engine.Options{Dir: dir, ReadOnly: true, DiskReserve: -1, Logger: slog.New(slog.DiscardHandler)})
	}})
	points.Start()
	directory := owners.New(owners.Options{Store: store, Rules: new(policy.Rules), Dir: t.TempDir(), Undo: points})
	directory.Start()
	options := httpapi.Options{
		Engine: store, Owners: directory, Undo: points, Memcached: s.front, Figures: []prometheus.Collector{store, s.front}, Console: console.Handler(), History: pastFigures{},
		Listening: func() []adminapi.Listening { return []adminapi.Listening{{Network: "tcp", Address: "0.0.0.0:22122"}} },
		Settings: func() []adminapi.Setting {
			return []adminapi.Setting{{Name: "memory", Value: "64m", Default: "0", Source: "flag", Meaning: "memory for hot sessions"}, {Name: "idle-timeout", Value: "0s", Default: "0s", Source: "default", Meaning: "close idle connections"}, {Name: "auth-password", Value: "secret", Source: "flag"}}
		},
		Version: "1.2.3", Level: s.level,
		Config:     func() map[string]string { return map[string]string{"memory": "64m", "auth-password": "secret"} },
		ScratchDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Auth: auth,
	}
	change(&options)
	api, err := httpapi.New(options)
	if err != nil {
		t.Fatal(err)
	}
	shared.serve(api.Handler())
	s.url = shared.URL
	t.Cleanup(func() {
		shared.CloseClientConnections()
		shared.serve(nil)
		directory.Stop()
		points.Stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put stores sessions; the value and the time to live are the same for all.
func (s *site) put(value []byte, flags uint32, ttl time.Duration, keys ...string) {
	s.t.Helper()
	for len(keys) > 0 {
		n := min(len(keys), 500)
		var b session.Burst
		b.Reset(s.store.Now())
		for _, key := range keys[:n] {
			c := b.Add()
			c.Op, c.Key, c.Value, c.Flags, c.Expiry = session.OpSet, []byte(key), value, flags, b.Now.Add(ttl)
		}
		session.Do(s.store, &b)
		for i := range b.Results {
			if b.Results[i].Status != session.OK {
				s.t.Fatal("set:", b.Results[i].Err)
			}
		}
		keys = keys[n:]
	}
}

// own stores sessions of a user.
func (s *site) own(owner string, value string, keys ...string) {
	s.t.Helper()
	var b session.Burst
	b.Reset(s.store.Now())
	for _, key := range keys {
		*b.Add() = session.Command{
			Op: session.OpSet, Mods: session.Tracked, Key: []byte(key), Value: []byte(value), Owner: []byte(owner), Expiry: b.Now.Add(time.Hour),
		}
	}
	session.Do(s.store, &b)
	for i := range b.Results {
		if b.Results[i].Status != session.OK {
			s.t.Fatal("set:", b.Results[i].Err)
		}
	}
}

// get returns a session as the store has it.
func (s *site) get(key string) (item session.Item, ok bool) {
	s.t.Helper()
	var b session.Burst
	b.Reset(s.store.Now())
	c := b.Add()
	c.Op, c.Key, c.Mods = session.OpGet, []byte(key), session.Peek
	session.Do(s.store, &b)
	item = b.Results[0].Item
	item.Value = bytes.Clone(item.Value)
	return item, b.Results[0].Status == session.OK
}

// count returns the number of live sessions under a prefix.
func (s *site) count(prefix string) (n int) {
	s.t.Helper()
	err := s.store.Scan(s.t.Context(), []byte(prefix), nil, func(*session.Item) bool { n++; return true })
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// names returns n keys that begin with prefix, in ascending order.
func names(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	return keys
}

// front stands for the memcached front: 600 requests a second that take a
// while each, and two clients.
type front struct {
	begun time.Time

	mu          sync.Mutex
	connections []httpapi.Connection
}

func newFront() *front {
	now := time.Now()
	f := &front{begun: now}
	for i, client := range []string{"192.0.2.17:40112", "192.0.2.18:51820"} {
		f.connections = append(f.connections, httpapi.Connection{
			ID: uint64(i + 1), Client: client, Listener: "127.0.0.1:11211", Protocol: []string{"text", "binary"}[i], TLS: i == 1,
			User: []string{"", "shop"}[i], Since: now.Add(-time.Hour), LastActive: now, LastVerb: "get", Requests: 1_234_567, BytesIn: 5 << 20, BytesOut: 900 << 20,
		})
	}
	return f
}

// requests is the number of requests so far.
func (f *front) requests() uint64 { return uint64(600 * time.Since(f.begun).Seconds()) }

func (f *front) EachStat(fn func(name, value string)) {
	n := f.requests()
	for name, share := range map[string]uint64{
		"cmd_get": 60, "get_hits": 57, "get_misses": 3, "cmd_set": 28, "cmd_touch": 10, "delete_hits": 2,
	} {
		fn(name, fmt.Sprint(n*share/100))
	}
}

// pastFigures are two hours before the page is opened: 400 sessions all the time, a load
// that comes and goes, a restart, a minute of slow fsyncs, and an election.
type pastFigures struct{}

func (pastFigures) Query(q history.Query) history.Answer {
	now := time.Now()
	a := history.Answer{From: q.From, To: now, Step: time.Minute}
	for ago := 2 * time.Hour; ago > 0; ago -= time.Minute {
		if at := now.Add(-ago); at.After(q.From) {
			a.Points = append(a.Points, history.Point{At: at, Values: figuresAgo(ago)})
		}
	}
	a.Events = []history.Event{
		{At: now.Add(-80 * time.Minute), Until: now.Add(-80 * time.Minute), Kind: history.Restart, Detail: "After an orderly stop."},
		{At: now.Add(-40 * time.Minute), Until: now.Add(-39 * time.Minute), Kind: history.SlowFsync, Detail: "7 fsyncs."},
		{At: now.Add(-20 * time.Minute), Until: now.Add(-20 * time.Minute), Kind: history.Election, Detail: "2 times."},
	}
	return a
}

// figuresAgo are the values of a point so long ago, in the order of history.Figures.
func figuresAgo(ago time.Duration) []float64 {
	load := 1 + 0.4*math.Sin(ago.Minutes()/9) + 0.1*math.Sin(ago.Minutes()*2)
	slow := 1.0
	if ago == 40*time.Minute {
		slow = 30
	}
	known := map[string]float64{
		"sessions": 400, "session_bytes": 1 << 20, "disk_bytes": 3<<20 + load*1e5, "wal_bytes": 1 << 20, "free_bytes": 50 << 30,
		"gets": 360 * load, "sets": 168 * load, "touches": 60 * load, "deletes": 12 * load, "others": 2,
		"hit_ratio": 0.97 - 0.02*load, "hot_ratio": 0.9 - 0.05*load,
		"latency_p50": 90e-6 * load, "latency_p90": 250e-6 * load, "latency_p99": 1.2e-3 * load * slow, "latency_p999": 4e-3 * load * slow,
		"received_bytes": 300e3 * load, "written_bytes": 650e3 * load, "commits": 150 * load, "fsync_mean": 1e-3 * slow, "fsync_p99": 2e-3 * slow,
		"connections": 40 + 10*math.Round(load), "memory_bytes": 90<<20 + load*8e6, "cpu": 0.2 * load,
	}
	values := make([]float64, len(history.Figures()))
	for i, f := range history.Figures() {
		values[i] = known[f.Name]
	}
	return values
}

var durationDesc = prometheus.NewDesc("cairn_request_duration_seconds", "Time.", []string{"verb"}, nil)

// limits are what the server may take at most, and what of it is taken.
var limits = figures.Set[*front]{
	figures.Gauge("cairn_connections", "Open.", func(f *front) int { return len(f.Connections()) }),
	figures.Gauge("cairn_connections_limit", "Most.", func(*front) int { return 1024 }),
	figures.Gauge("cairn_memory_plan_bytes", "Planned.", func(*front) int { return 512 << 20 }).With("part", "total"),
}

func (f *front) Describe(ch chan<- *prometheus.Desc) {
	ch <- durationDesc
	limits.Describe(ch)
}

func (f *front) Collect(ch chan<- prometheus.Metric) {
	limits.Collect(ch, f)
	for _, verb := range []struct {
		name   string
		share  uint64
		slower time.Duration
	}{{"get", 60, 1}, {"set", 28, 8}, {"touch", 10, 4}, {"delete", 2, 8}} {
		n := f.requests() * verb.share / 100
		l := figures.Times{Count: n, Sum: time.Duration(n) * 200 * time.Microsecond}
		for bound, share := 50*time.Microsecond, n/2; bound < 100*time.Millisecond; bound, share = 2*bound, share/2 {
			l.Bounds = append(l.Bounds, bound*verb.slower)
			l.Counts = append(l.Counts, share)
		}
		ch <- l.Metric(durationDesc, verb.name)
	}
}

func (f *front) Connections() []httpapi.Connection {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]httpapi.Connection(nil), f.connections...)
}

func (f *front) CloseConnection(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, c := range f.connections {
		if c.ID == id {
			f.connections = append(f.connections[:i], f.connections[i+1:]...)
			return true
		}
	}
	return false
}
