package memcachedfront_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/memcachedfront"
	"cairn/serve"
)

// serverTLS makes settings with a certificate for 127.0.0.1, and those of a
// client that trusts it.
func serverTLS(t testing.TB) (server, client *tls.Config) {
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

// startMixed serves TLS, plain TCP and a Unix socket side by side.
func startMixed(t testing.TB, change func(*memcachedfront.Options)) (secure, plain, socket string, client *tls.Config) {
	t.Helper()
	server, client := serverTLS(t)
	socket = filepath.Join(t.TempDir(), "cairn.sock")
	addresses := startServerOn(t, func(o *memcachedfront.Options) {
		o.TLS = server
		o.Addresses = []serve.Address{
			{Network: "tcp", Addr: "127.0.0.1:0"},
			{Network: "tcp", Addr: "127.0.0.1:0", Plain: true},
			{Network: "unix", Addr: socket, Mode: 0o770},
		}
		if change != nil {
			change(o)
		}
	})
	return addresses[0], addresses[1], socket, client
}

func dialTLS(t testing.TB, address string, config *tls.Config) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a request and expects that answer.
func ask(t testing.TB, c net.Conn, says, want string) {
	t.Helper()
	if _, err := io.WriteString(c, says); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(want))
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != want {
		t.Fatalf("%.40q answered %.40q (%v), want %.40q", says, answer, err, want)
	}
}

func TestTLSPlainAndUnixSideBySide(t *testing.T) {
	secure, plain, socket, config := startMixed(t, nil)
	large := strings.Repeat("large ", 50_000)
	ask(t, dialTLS(t, secure, config), "set k 0 0 300000\r\n"+large+"\r\n", "STORED\r\n")
	for _, c := range []net.Conn{dialTLS(t, secure, config), dial(t, "tcp", plain), dial(t, "unix", socket)} {
		ask(t, c, "get k\r\n", "VALUE k 0 300000\r\n"+large+"\r\nEND\r\n")
		ask(t, c, "mn\r\nget none\r\nmn\r\n", "MN\r\nEND\r\nMN\r\n")
	}
	binary := dialTLS(t, secure, config)
	ask(t, binary, saslPacket(opNoop, "", ""), "\x81\x0a"+strings.Repeat("\x00", 13)+"\x07"+strings.Repeat("\x00", 8))
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("the socket's mode is %v (%v)", info.Mode(), err)
	}
}

func TestPlainClientOnTLSPortIsClosed(t *testing.T) {
	secure, _, _, _ := startMixed(t, nil)
	if got := converse(t, secure, "get k\r\nget k\r\n"); strings.Contains(got, "END") {
		t.Errorf("answered %q", got)
	}
}

func TestTLSClientsBeyondTheLimit(t *testing.T) {
	secure, _, _, config := startMixed(t, func(o *memcachedfront.Options) { o.ConnLimit, o.ReservedConns = 1, -1 })
	ask(t, dialTLS(t, secure, config), "mn\r\n", "MN\r\n")
	second, err := tls.Dial("tcp", secure, config)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, _ := io.ReadAll(second); string(got) != "ERROR Too many open connections\r\n" {
		t.Errorf("answered %q", got)
	}
}

// TestSilentTLSClientsDoNotHoldUpOthers has more clients than the limit that
// never begin their handshake.
func TestSilentTLSClientsDoNotHoldUpOthers(t *testing.T) {
	secure, plain, _, _ := startMixed(t, func(o *memcachedfront.Options) { o.ConnLimit, o.ReservedConns = 4, -1 })
	first := dial(t, "tcp", plain)
	ask(t, first, "mn\r\n", "MN\r\n")
	for range 10 {
		dial(t, "tcp", secure)
	}
	ask(t, first, "mn\r\n", "MN\r\n")
	late := dial(t, "tcp", plain)
	io.WriteString(late, "quit\r\n")
	if _, err := io.ReadAll(late); errors.Is(err, os.ErrDeadlineExceeded) { // served or rejected, but not ignored
		t.Error(err)
	}
}

func TestShutdownWithTLSClients(t *testing.T) {
	secure, _, _, config := startMixed(t, nil)
	ask(t, dialTLS(t, secure, config), "mn\r\n", "MN\r\n")
	dial(t, "tcp", secure) // in the middle of its handshake
	// startServerOn fails the test if the server cannot stop.
}
