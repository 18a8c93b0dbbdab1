package cluster

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"cairn/cluster/peer"
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
	addresses, unknown := Resolve(t.Context(), []string{nobody, "nowhere.invalid:7211", "no-port"})
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
	for _, want := range []string{"connected=0 needed=2", nobody + ": dial tcp", "nowhere.invalid:7211: lookup", "no-port: address no-port: missing port"} {
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
