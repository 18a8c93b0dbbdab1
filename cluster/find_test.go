package cluster

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/cluster/peer"
	"cairn/cluster/seed"
	"cairn/cluster/seed/dnstest"
	"cairn/session"
)

// TestLookout looks for a node where there is none: that is reported after a while, and
// again later, with the reasons, until nothing lacks.
func TestLookout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	peers := peer.New(peer.Options{Self: peer.Hello{Cluster: "c", Node: 1}, Logger: slog.New(slog.DiscardHandler)})
	defer peers.Close()
	names := dnstest.New(t)
	names.SRV("_cluster._tcp.cairn.test", "0 0 7211 node1.cairn.test")
	addresses, unknown := seed.Resolve(t.Context(), names.Resolver(), []string{nobody, "nowhere.invalid:7211", "no-port", "_cluster._tcp.cairn.test", "_cluster._tcp.nowhere.invalid"})
	peers.Dial(addresses)
	for len(peers.Failures()) == 0 {
		time.Sleep(time.Millisecond)
	}

	var out bytes.Buffer
	lookout, now := NewLookout(slog.New(slog.NewTextHandler(&out, nil))), time.Now()
	for range 45 {
		lookout.Look(now, peers, 2, unknown)
		now = now.Add(time.Second)
	}
	text := out.String()
	if n := strings.Count(text, "too few other nodes can be reached"); n != 2 {
		t.Errorf("%d lines in 45 s: %s", n, text)
	}
	for _, want := range []string{"connected=0 needed=2", nobody + ": dial tcp", "nowhere.invalid:7211: lookup", "no-port: address no-port: missing port", "_cluster._tcp.cairn.test: lookup node1.cairn.test.", "_cluster._tcp.nowhere.invalid: lookup _cluster._tcp.nowhere.invalid"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	out.Reset()
	lookout.Look(now, peers, 0, nil)
	lookout.Look(now.Add(time.Hour), peers, 2, nil) // it begins to lack
	if out.Len() > 0 {
		t.Errorf("nothing lacked for long: %s", &out)
	}
}

// TestFoundBySRV starts nodes with one command line, before there are the SRV records that it
// names. They find each other once there are.
func TestFoundBySRV(t *testing.T) {
	const entry = "_cluster._tcp.cairn.test"
	names := dnstest.New(t)
	c := newTown(t, 3)
	c.join, c.resolver = []string{entry}, names.Resolver()
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for names.Asked(entry) < len(c.nodes) && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		names.Addresses("node.cairn.test", "127.0.0.1")
		names.SRV(entry, dnstest.Records("node.cairn.test", c.addresses...)...)
	})
	c.start(0, 1, 2)
	publishing.Wait()
	c.set(0, "key", "value")
	if r := c.do(1, session.Command{Op: session.OpGet, Key: []byte("key")}); string(r.Item.Value) != "value" {
		t.Errorf("the value is %q, with status %d", r.Item.Value, r.Status)
	}
}
