package memcachedfront_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
	"cairn/memcachedfront"
	"cairn/serve"
	"cairn/session/sessiontest"
)

// serverWith serves until the test ends, for tests that ask the Server itself.
func serverWith(t testing.TB, change func(*memcachedfront.Options)) (s *memcachedfront.Server, address string) {
	t.Helper()
	o := memcachedfront.Options{Options: serve.Options{
		Store: sessiontest.NewModel(0), Clock: wallClock{}, Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		Blocking: blocking,
	}}
	if change != nil {
		change(&o)
	}
	s, err := memcachedfront.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(context.Background()) })
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return s, s.Addrs()[0].String()
}

func TestConnections(t *testing.T) {
	guard, _ := guardOf(t, "alice:secret\n")
	s, address := serverWith(t, func(o *memcachedfront.Options) { o.Guard = guard })
	before := time.Now()
	c := dial(t, "tcp", address)
	send(t, c, textGood+"mg key v\r\n")
	expect(t, c, "STORED\r\nEN\r\n")
	silent := dial(t, "tcp", address)
	await(t, "two connections", func() bool { return len(s.Connections()) == 2 })
	connections := s.Connections()
	got := connections[slices.IndexFunc(connections, func(c memcachedfront.Connection) bool { return c.Requests > 0 })]
	if got.User != "alice" || got.Protocol != "meta" || got.LastVerb != "mg" || got.Client != c.LocalAddr().String() ||
		got.Listener != address || got.TLS || got.BytesIn != uint64(len(textGood)+10) || got.BytesOut != 12 {
		t.Errorf("%+v", got)
	}
	if got.Since.Before(before) || time.Since(got.LastActive) > time.Minute {
		t.Errorf("since %v, last active %v", got.Since, got.LastActive)
	}
	if !s.CloseConnection(got.ID) {
		t.Error("the connection was not found")
	}
	if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
		t.Errorf("closed by an operator: %q, %v", rest, err)
	}
	if s.CloseConnection(1 << 60) {
		t.Error("a connection that is not there was closed")
	}
	send(t, silent, "version\r\n")
	expect(t, silent, "VERSION ")
}

func TestLatencies(t *testing.T) {
	s, address := serverWith(t, nil)
	converse(t, address, "set a 0 0 1\r\nx\r\nget a\r\nget a\r\nmg a v\r\nnonsense\r\n")
	got := map[string]uint64{}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	samples, err := figures.Gather(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples["cairn_request_duration_seconds"] {
		verb, times := sample.Labels["verb"], sample.Times
		got[verb] = times.Count
		if times.Sum <= 0 || times.Quantile(1) <= 0 {
			t.Errorf("%s: %+v", verb, times)
		}
	}
	for _, sample := range samples["cairn_commands_total"] {
		kind := sample.Labels["command"] + " " + sample.Labels["outcome"]
		if want := map[string]float64{"get hit": 3, "set ": 1, "meta ": 1}[kind]; sample.Value != want {
			t.Errorf("%s: %v, want %v", kind, sample.Value, want)
		}
	}
	if open := samples["cairn_connections_opened_total"]; len(open) != 1 || open[0].Value != 1 {
		t.Errorf("connections: %+v", open)
	}
	for verb, want := range map[string]uint64{"set": 1, "get": 2, "mg": 1, "invalid": 1, "incr": 0} {
		if got[verb] != want {
			t.Errorf("%d of %s, want %d", got[verb], verb, want)
		}
	}
}

func TestEachStat(t *testing.T) {
	s, _ := serverWith(t, nil)
	stats := map[string]string{}
	s.EachStat(func(name, value string) { stats[name] = value })
	if stats["version"] != "1.6.45" || stats["cmd_get"] != "0" {
		t.Errorf("%v", stats)
	}
}
