package serve_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/serve"
	"cairn/session"
	"cairn/session/sessiontest"
)

// wallClock is the time of the machine.
type wallClock struct{}

func (wallClock) Now() session.Time { return session.FromTime(time.Now()) }

// start serves the toy protocol until the test ends.
func start(t testing.TB, change func(*serve.Options)) (*serve.Server, *toy) {
	t.Helper()
	p := new(toy)
	o := serve.Options{
		Protocol: p, Store: sessiontest.NewModel(0), Clock: wallClock{}, Threads: 1,
		Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		Rejection: []byte("full\n"),
	}
	if change != nil {
		change(&o)
	}
	s, err := serve.Listen(o)
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
		if opened, closed := p.opened.Load(), p.closed.Load(); opened != closed {
			t.Errorf("%d connections were opened and %d closed", opened, closed)
		}
	})
	return s, p
}

func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return kept(t, c)
}

// kept bounds what a test waits for on c, and closes c behind it.
func kept(t testing.TB, c net.Conn) net.Conn {
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t testing.TB, to io.Writer, what string) {
	t.Helper()
	if _, err := io.WriteString(to, what); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(from, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %.80q (%v), want %.80q", got[:n], err, want)
	}
}

func expectEnd(t testing.TB, from io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(from); len(rest) > 0 || err != nil {
		t.Fatalf("got %.80q (%v), want the end", rest, err)
	}
}

// certificate makes settings with a certificate for 127.0.0.1, and those of a
// client that trusts it.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: pool}
}

// onEveryPath runs a test for every way in which a connection can be served.
func onEveryPath(t *testing.T, test func(t *testing.T, s *serve.Server, connect func() net.Conn)) {
	plain := func(t *testing.T, s *serve.Server) func() net.Conn {
		a := s.Addrs()[0]
		return func() net.Conn { return dial(t, a.Network(), a.String()) }
	}
	t.Run("loop", func(t *testing.T) {
		s, _ := start(t, nil)
		test(t, s, plain(t, s))
	})
	t.Run("goroutine", func(t *testing.T) {
		s, _ := start(t, func(o *serve.Options) { o.Blocking = true })
		test(t, s, plain(t, s))
	})
	t.Run("unix socket", func(t *testing.T) {
		s, _ := start(t, func(o *serve.Options) {
			o.Addresses = []serve.Address{{Network: "unix", Addr: filepath.Join(t.TempDir(), "s")}}
		})
		test(t, s, plain(t, s))
	})
	t.Run("TLS", func(t *testing.T) {
		server, client := certificate(t)
		s, _ := start(t, func(o *serve.Options) { o.TLS = server })
		test(t, s, func() net.Conn {
			c, err := tls.Dial("tcp", s.Addrs()[0].String(), client)
			if err != nil {
				t.Fatal(err)
			}
			return kept(t, c)
		})
	})
}

// Requests are answered in their order, however they arrive and however long the
// answers are.
func TestRequests(t *testing.T) {
	onEveryPath(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		c, other := connect(), connect()
		send(t, c, "hello\nput a 1\nget a\nget none\n")
		expect(t, c, "hello\nok\n1\nnone\n")
		for _, piece := range strings.Split("put torn xyz\nget torn\n", "") {
			send(t, c, piece)
		}
		expect(t, c, "ok\nxyz\n")
		send(t, c, "blob 100000\n"+strings.Repeat("xy", 20_000))
		send(t, other, "get a\n")
		expect(t, other, "1\n")
		send(t, c, strings.Repeat("xy", 30_000)+"after\n")
		expect(t, c, "50000\nafter\n")
		large := strings.Repeat("x", 1_000_000) + "\n"
		go io.WriteString(c, "fill big 1000000\n"+strings.Repeat("get big\nget a\n", 12)+"bye\n")
		expect(t, c, "ok\n"+strings.Repeat(large+"1\n", 12))
		expectEnd(t, c)
	})
}

// An errand comes when everything before it is answered, and what is behind it
// waits for its end.
func TestErrands(t *testing.T) {
	onEveryPath(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		c := connect()
		lines := ""
		for i := range 2000 {
			lines += fmt.Sprintln(i)
		}
		send(t, c, "before\nstream 2000\nafter\n")
		expect(t, c, "before\n"+lines+"after\n")
	})
}

// Whoever is beyond the limit hears so; who is on this machine may use the
// reserve.
func TestLimits(t *testing.T) {
	server, client := certificate(t)
	for name, change := range map[string]func(*serve.Options){
		"loop":      func(o *serve.Options) {},
		"goroutine": func(o *serve.Options) { o.Blocking = true },
		"TLS":       func(o *serve.Options) { o.TLS = server },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, func(o *serve.Options) {
				o.ConnLimit, o.ReservedConns = 2, 1
				change(o)
			})
			connect := func() net.Conn {
				c := dial(t, "tcp", s.Addrs()[0].String())
				if name == "TLS" {
					c = kept(t, tls.Client(c, &tls.Config{RootCAs: client.RootCAs, ServerName: "127.0.0.1"}))
				}
				return c
			}
			for range 3 {
				c := connect()
				send(t, c, "in\n")
				expect(t, c, "in\n")
			}
			beyond := connect()
			expect(t, beyond, "full\n")
			if f := s.Figures(); s.Connected() != 3 || f.Connected != 3 || f.Rejected != 1 {
				t.Errorf("%d connected, figures %+v", s.Connected(), f)
			}
			s.CloseConnection(s.Links()[0].ID())
			for s.Connected() == 3 {
				time.Sleep(time.Millisecond)
			}
			again := connect()
			send(t, again, "in\n")
			expect(t, again, "in\n")
		})
	}
}

// A silent client is closed, one that speaks is not.
func TestIdle(t *testing.T) {
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, func(o *serve.Options) { o.IdleTimeout, o.Blocking = 30*time.Millisecond, blocking })
			silent := dial(t, "tcp", s.Addrs()[0].String())
			expectEnd(t, silent)
			if n := s.Figures().Idle; n != 1 {
				t.Errorf("%d were idle", n)
			}
		})
	}
}

// An operator sees a connection and can close it.
func TestCloseConnection(t *testing.T) {
	onEveryPath(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		c := connect()
		send(t, c, "hi\nhal")
		expect(t, c, "hi\n")
		links := s.Links()
		if len(links) != 1 || !s.CloseConnection(links[0].ID()) {
			t.Fatalf("%d connections", len(links))
		}
		for s.Connected() > 0 {
			time.Sleep(time.Millisecond)
		}
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Error("the connection is open")
		}
		if s.CloseConnection(links[0].ID()) {
			t.Error("it was closed twice")
		}
	})
}

// A stop ends errands and idle connections, and lets nobody in.
func TestShutdown(t *testing.T) {
	onEveryPath(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		idle, errand, torn := connect(), connect(), connect()
		send(t, idle, "in\n")
		expect(t, idle, "in\n")
		send(t, errand, "in\nwait\n")
		expect(t, errand, "in\n")
		send(t, torn, "in\nhal")
		expect(t, torn, "in\n")
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		a := s.Addrs()[0]
		if c, err := net.Dial(a.Network(), a.String()); err == nil {
			c.Close()
			t.Error("somebody was let in")
		}
	})
}
