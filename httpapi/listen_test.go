package httpapi

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/session"
	"cairn/tlsconfig"
)

// serve runs a server on a loopback port until the test ends.
func serve(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	if o.Engine == nil {
		o.Engine = newModelEngine()
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, serveOn(t, s)
}

func serveOn(t *testing.T, s *Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is still open is cut
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.key, a.cert = a.sign("authority", 1, nil)
	return a
}

// sign makes a certificate and writes <name>.pem and <name>.key.
func (a *authority) sign(name string, serial int64, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", keyDER)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(a.path(name), data, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// client returns an HTTP client that trusts the authority and shows the named
// certificate.
func (a *authority) client(name string) *http.Client {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	config := &tls.Config{RootCAs: pool}
	if name != "" {
		cert, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTLSAndClientCertificates(t *testing.T) {
	a := newAuthority(t)
	a.sign("server", 2, a.cert)
	a.sign("boss", 3, a.cert)
	a.sign("watcher", 4, a.cert)
	source, err := tlsconfig.Load(tlsconfig.Options{
		CertFile: a.path("server.pem"), KeyFile: a.path("server.key"),
		CAFile: a.path("authority.pem"), Clients: tlsconfig.RequestClients,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, Options{
		TLS: source, ClientCertificates: true,
		Auth: AuthOptions{Tokens: "dash metrics cert:watcher"},
	})
	status := func(client *http.Client, path string) int {
		t.Helper()
		resp, err := client.Get("https://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		cert, path string
		want       int
	}{
		{"", "/livez", 200},
		{"", "/v1/stats", 401},
		{"watcher", "/v1/stats", 200},
		{"watcher", "/v1/sessions", 403},
		{"boss", "/v1/sessions", 200},
		{"boss", "/debug/pprof/", 200},
	} {
		if got := status(a.client(c.cert), c.path); got != c.want {
			t.Errorf("%s as %q: status %d, want %d", c.path, c.cert, got, c.want)
		}
	}

	a.sign("server", 99, a.cert) // a new certificate under the same name
	if err := source.Reload(); err != nil {
		t.Fatal(err)
	}
	resp, err := a.client("boss").Get("https://" + addr + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if serial := resp.TLS.PeerCertificates[0].SerialNumber.Int64(); serial != 99 {
		t.Errorf("after a reload the certificate has the serial %d", serial)
	}
}

func TestServeRefusesToBeOpenToAll(t *testing.T) {
	s, err := New(Options{Engine: newModelEngine()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := s.Serve(ln); err == nil || !strings.Contains(err.Error(), "tokens") {
		t.Errorf("Serve: %v", err)
	}
}

// TestSlowHeadersAreCut has a client that never ends its header.
func TestSlowHeadersAreCut(t *testing.T) {
	s, err := New(Options{Engine: newModelEngine()})
	if err != nil {
		t.Fatal(err)
	}
	s.http.Load().ReadHeaderTimeout = 20 * time.Millisecond
	conn, err := net.Dial("tcp", serveOn(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn) // ends when the server closes
}

// visitor is a connection from an address of this machine. Each of 127.0.0.0/8 is an
// origin of its own.
type visitor struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func visit(t *testing.T, from, addr string) *visitor {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &visitor{t, conn, bufio.NewReader(conn)}
}

func (c *visitor) ask(path string) {
	c.t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *visitor) hear() (status int, err error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Whoever holds connections and asks nothing makes room for others, from elsewhere
// and from the same place. The one that has rested longest goes first.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	for name, silent := range map[string]bool{"silent": true, "between requests": false} {
		t.Run(name, func(t *testing.T) {
			s, addr := serve(t, Options{Limits: Limits{Connections: 4}})
			var crowd []*visitor
			for range 4 {
				c := visit(t, "127.0.0.2", addr)
				if !silent {
					c.ask("/livez")
					if status, err := c.hear(); status != 200 {
						t.Fatal(status, err)
					}
					awaitRest(s)
				}
				crowd = append(crowd, c)
			}
			var guests []*visitor
			for range 3 {
				c := visit(t, "127.0.0.3", addr)
				c.ask("/livez")
				if status, err := c.hear(); status != 200 {
					t.Fatalf("a newcomer got %d, %v", status, err)
				}
				awaitRest(s)
				guests = append(guests, c)
			}
			closed := 0
			for round := 0; round < 1000 && closed < 3; round++ { // a look may find its deadline over
				closed = 0
				for _, c := range crowd {
					c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					if _, err := c.r.ReadByte(); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
						closed++
					}
				}
			}
			if closed != 3 {
				t.Errorf("%d of the crowd were closed for 3 newcomers", closed)
			}
			for _, c := range guests {
				c.ask("/livez")
				if status, err := c.hear(); status != 200 {
					t.Errorf("a newcomer's second request got %d, %v", status, err)
				}
			}
		})
	}
}

// awaitRest waits until no request is under way: the server learns that one has ended
// after the client has its answer.
func awaitRest(s *Server) {
	busy := func() bool {
		s.admission.mu.Lock()
		defer s.admission.mu.Unlock()
		for c := range s.admission.open {
			if c.busy {
				return true
			}
		}
		return false
	}
	for end := time.Now().Add(time.Minute); busy(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			panic("a request is under way for ever")
		}
	}
}

// While requests are under way on all connections, newcomers wait, and none is cut.
func TestBusyConnectionsStay(t *testing.T) {
	e := gatedEngine{newModelEngine(), make(chan struct{}), make(chan struct{})}
	_, addr := serve(t, Options{Engine: e, Limits: Limits{Connections: 1}})
	busy := visit(t, "127.0.0.2", addr)
	busy.ask("/v1/sessions")
	<-e.entered
	late := visit(t, "127.0.0.3", addr)
	late.ask("/livez")
	answered := make(chan error, 1)
	go func() {
		_, err := late.hear()
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatal("a newcomer was answered beside the only place: ", err)
	case <-time.After(20 * time.Millisecond): // it waits
	}
	close(e.gate)
	if status, err := busy.hear(); status != 200 {
		t.Errorf("the request under way got %d, %v", status, err)
	}
	if err := <-answered; err != nil {
		t.Error("the newcomer: ", err)
	}
}

// gatedEngine holds bulk deletes up until the gate opens.
type gatedEngine struct {
	*modelEngine
	entered, gate chan struct{}
}

func (e gatedEngine) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	close(e.entered)
	<-e.gate
	return ctx.Err()
}

func TestShutdownWaitsForRequestsInFlight(t *testing.T) {
	e := gatedEngine{newModelEngine(), make(chan struct{}), make(chan struct{})}
	s, err := New(Options{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served, answered, stopped := make(chan error, 1), make(chan int, 1), make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String() + "/v1/sessions")
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-e.entered
	go func() { stopped <- s.Shutdown(context.Background()) }()
	if err := <-served; err != nil { // the listener closes first
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("a draining server accepts connections")
	}
	close(e.gate)
	if status := <-answered; status != 200 {
		t.Errorf("the request in flight got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	e := gatedEngine{newModelEngine(), make(chan struct{}), make(chan struct{})}
	s, addr := serve(t, Options{Engine: e})
	defer close(e.gate)
	failed := make(chan error, 1)
	go func() {
		_, err := http.Get("http://" + addr + "/v1/sessions")
		failed <- err
	}()
	<-e.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the client got an answer")
	}
}
