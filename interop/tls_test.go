package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// authority signs certificates for the tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test authority"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key, writePEM(t, "CERTIFICATE", der)}
}

// issue returns the files of a certificate for 127.0.0.1 and of its key.
func (a *authority) issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return writePEM(a.t, "CERTIFICATE", der), writePEM(a.t, "PRIVATE KEY", keyDER)
}

func writePEM(t *testing.T, kind string, der []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLSWithPymemcacheAndGomemcache(t *testing.T) {
	t.Parallel()
	needModule(t, "pymemcache")
	ca := newAuthority(t)
	cert, key := ca.issue("server")
	plain := freeAddress(t)
	srv := startServer(t, "-l", "127.0.0.1,notls:"+plain, "-Z", "-o", "ssl_chain_cert="+cert+",ssl_key="+key)
	python := startDialogue(t, nil, python, "python/tls_client.py", srv.addr, ca.file)
	if got := python.retry("set s 3600 3000"); got != "stored" {
		t.Errorf("pymemcache over TLS: %s", got)
	}

	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	encrypted := memcache.New(srv.addr)
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots}}
	encrypted.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}
	encrypted.Timeout = patience
	for name, client := range map[string]*memcache.Client{"over TLS": encrypted, "on the plain address": memcache.New(plain)} {
		client.Timeout = patience
		if item, err := client.Get("s"); err != nil || len(item.Value) != 3000 {
			t.Errorf("gomemcache %s: %v, %v", name, item, err)
		}
	}
	srv.restart()
	if got := python.retry("get s"); got != "3000" {
		t.Errorf("after kill -9: %s", got)
	}
}

func TestTLSClientCertificates(t *testing.T) {
	t.Parallel()
	needModule(t, "pymemcache")
	ca := newAuthority(t)
	cert, key := ca.issue("server")
	srv := startServer(t, "-Z", "--tls-cert", cert, "--tls-key", key, "--tls-ca", ca.file, "--tls-verify", "require")
	clientCert, clientKey := ca.issue("client")
	known := startDialogue(t, nil, python, "python/tls_client.py", srv.addr, ca.file, clientCert, clientKey)
	if got := known.retry("set s 3600 100"); got != "stored" {
		t.Errorf("with a certificate: %s", got)
	}
	unknown := startDialogue(t, nil, python, "python/tls_client.py", srv.addr, ca.file)
	if got := unknown.ask("get s"); !strings.HasPrefix(got, "error:") {
		t.Errorf("without a certificate: %s", got)
	}
}
