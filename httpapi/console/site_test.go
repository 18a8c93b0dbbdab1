package console_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/engine"
	"cairn/figures"
	"cairn/httpapi"
	"cairn/httpapi/console"
	"cairn/session"
)

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

// newSiteOn opens the store with options, but for its directory and logger.
func newSiteOn(t *testing.T, auth httpapi.AuthOptions, o engine.Options) *site {
	t.Helper()
	o.Dir, o.Logger = t.TempDir(), slog.New(slog.DiscardHandler)
	store, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: store, front: newFront(), level: new(slog.LevelVar)}
	api, err := httpapi.New(httpapi.Options{
		Engine: store, Memcached: s.front, Figures: []prometheus.Collector{store, s.front}, Console: console.Handler(), Version: "1.2.3", Level: s.level,
		Config:     func() map[string]string { return map[string]string{"memory": "64m", "auth-password": "secret"} },
		ScratchDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Auth: auth,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.Handler())
	s.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
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

// get gives a session as the store has it.
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

// count gives the number of live sessions under a prefix.
func (s *site) count(prefix string) (n int) {
	s.t.Helper()
	err := s.store.Scan(s.t.Context(), []byte(prefix), nil, func(*session.Item) bool { n++; return true })
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// names gives n keys that begin with prefix, in ascending order.
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

var durationDesc = prometheus.NewDesc("cairn_request_duration_seconds", "Time.", []string{"verb"}, nil)

func (f *front) Describe(ch chan<- *prometheus.Desc) { ch <- durationDesc }

func (f *front) Collect(ch chan<- prometheus.Metric) {
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
