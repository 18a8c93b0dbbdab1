package serve_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cairn/serve"
	"cairn/session"
	"cairn/session/sessiontest"
)

// handOver freezes a server, and gives its connections and its listener to
// another one, as if that were in another process.
func handOver(t *testing.T, from *serve.Server, store session.Store, l net.Listener) (*serve.Server, net.Listener) {
	t.Helper()
	conns, err := from.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	bound, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range conns {
		if conns[i].FD, err = unix.Dup(conns[i].FD); err != nil {
			t.Fatal(err)
		}
	}
	from.Release()
	if err := from.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	to := listen(t, store, bound)
	if err := to.Resume(conns); err != nil {
		t.Fatal(err)
	}
	run(t, to)
	return to, bound
}

func listen(t *testing.T, store session.Store, l net.Listener) *serve.Server {
	t.Helper()
	a := serve.Address{Network: "tcp", Addr: "127.0.0.1:0"}
	s, err := serve.Listen(serve.Options{
		Protocol: new(toy), Store: store, Clock: wallClock{}, Threads: 2,
		Addresses: []serve.Address{a}, Bound: map[string]net.Listener{a.String(): l},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, s *serve.Server) {
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(context.Background()) })
	t.Cleanup(func() {
		s.Shutdown(context.Background())
		serving.Wait()
	})
}

// Connections go on elsewhere where they stood: idle, in the middle of a request
// or of an answer, with what the protocol knows of them.
func TestHandover(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	store := sessiontest.NewModel(0)
	s := listen(t, store, l)
	run(t, s)
	address := l.Addr().String()
	named, torn, slow, errand := dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address)
	send(t, named, "name ann\n")
	expect(t, named, "ok\n")
	send(t, torn, "hi\nblob 10\nxxx")
	expect(t, torn, "hi\n")
	send(t, slow, "fill v 1000000\n")
	expect(t, slow, "ok\n")
	send(t, slow, strings.Repeat("get v\n", 12)+"whoami\n") // nobody reads
	send(t, errand, "hi\nwait\n")
	expect(t, errand, "hi\n")
	for range 2 {
		s, l = handOver(t, s, store, l)
	}
	expectEnd(t, errand)
	send(t, named, "whoami\n")
	expect(t, named, "ann\n")
	send(t, torn, "xxxxxxx\n")
	expect(t, torn, "10\n")
	expect(t, slow, strings.Repeat(strings.Repeat("x", 1_000_000)+"\n", 12)+"\n")
	if n := s.Connected(); n != 3 {
		t.Errorf("%d connections went on", n)
	}
}

// A hand-over that is given up leaves everything as it was.
func TestThaw(t *testing.T) {
	s, _ := start(t, nil)
	c := dial(t, "tcp", s.Addrs()[0].String())
	send(t, c, "hi\nhal")
	expect(t, c, "hi\n")
	conns, err := s.Freeze(t.Context())
	if err != nil || len(conns) != 1 {
		t.Fatalf("%d connections, %v", len(conns), err)
	}
	newcomer := dial(t, "tcp", s.Addrs()[0].String())
	send(t, newcomer, "new\n")
	send(t, c, "f\n")
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, _ := c.Read(make([]byte, 1)); n > 0 {
		t.Fatal("a frozen server answered")
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	s.Thaw()
	expect(t, c, "half\n")
	expect(t, newcomer, "new\n")
}
