package tlsconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	t           testing.TB
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	serial      int64
}

func newAuthority(t testing.TB, name string) *authority {
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue signs a certificate for name and gives it with its key, both in PEM.
func (a *authority) issue(name string) (certificate, key []byte) {
	a.serial++
	own := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 + a.serial),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, own.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	ownDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", ownDER)
}

func (a *authority) pem() []byte { return encode("CERTIFICATE", a.certificate.Raw) }

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// files are the files a Source reads.
type files struct {
	t   testing.TB
	dir string
}

func (f files) path(name string) string { return filepath.Join(f.dir, name) }

func (f files) write(name string, content []byte) string {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), content, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return f.path(name)
}

func (f files) serverCertificate(a *authority, name string) {
	certificate, key := a.issue(name)
	f.write("cert", certificate)
	f.write("key", key)
}

func (f files) options(clients ClientVerification) Options {
	return Options{CertFile: f.path("cert"), KeyFile: f.path("key"), CAFile: f.path("ca"), Clients: clients}
}

func setUp(t testing.TB) (files, *authority) {
	f := files{t: t, dir: t.TempDir()}
	a := newAuthority(t, "first authority")
	f.serverCertificate(a, "cairn.test")
	f.write("ca", a.pem())
	return f, a
}

func load(t testing.TB, o Options) *Source {
	t.Helper()
	s, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// echo serves connections that say back what they hear, until the test ends.
func echo(t testing.TB, s *Source) (address string) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return listener.Addr().String()
}

// speak says something and expects to hear it back.
func speak(c net.Conn) error {
	if _, err := io.WriteString(c, "hello"); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 5))
	return err
}

// call connects, speaks and gives the connection's state.
func call(t testing.TB, address string, config *tls.Config) (state tls.ConnectionState, err error) {
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return state, err
	}
	defer c.Close()
	err = speak(c)
	return c.ConnectionState(), err
}

func client(a *authority) *tls.Config {
	return &tls.Config{RootCAs: a.pool(), ServerName: "cairn.test"}
}

func withCertificate(c *tls.Config, a *authority) *tls.Config {
	certificate, key := a.issue("client")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		a.t.Fatal(err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c
}

func TestClientVerification(t *testing.T) {
	f, a := setUp(t)
	other := newAuthority(t, "unknown authority")
	for _, c := range []struct {
		clients               ClientVerification
		without, right, wrong bool
	}{
		{NoClients, true, true, true},
		{RequestClients, true, true, false},
		{RequireClients, false, true, false},
	} {
		t.Run(c.clients.String(), func(t *testing.T) {
			address := echo(t, load(t, f.options(c.clients)))
			check := func(what string, config *tls.Config, want bool) {
				if _, err := call(t, address, config); (err == nil) != want {
					t.Errorf("%s: %v", what, err)
				}
			}
			check("no certificate", client(a), c.without)
			check("a certificate of the authority", withCertificate(client(a), a), c.right)
			check("a certificate of another authority", withOffered(client(a), other), c.wrong)
		})
	}
}

// withOffered makes the client send a certificate of an authority that the
// server did not ask for.
func withOffered(c *tls.Config, a *authority) *tls.Config {
	pair := withCertificate(&tls.Config{}, a).Certificates[0]
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return c
}

func TestMinVersion(t *testing.T) {
	f, a := setUp(t)
	for _, c := range []struct {
		least uint16
		most  uint16
		want  bool
	}{
		{0, tls.VersionTLS11, false},
		{0, tls.VersionTLS12, true},
		{0, tls.VersionTLS13, true},
		{tls.VersionTLS13, tls.VersionTLS12, false},
		{tls.VersionTLS13, tls.VersionTLS13, true},
	} {
		o := f.options(NoClients)
		o.MinVersion = c.least
		config := client(a)
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, c.most
		if _, err := call(t, echo(t, load(t, o)), config); (err == nil) != c.want {
			t.Errorf("least %s, client at most %s: %v", tls.VersionName(o.MinVersion), tls.VersionName(c.most), err)
		}
	}
}

func TestReloadServesTheNewCertificateAndKeepsConnections(t *testing.T) {
	f, a := setUp(t)
	s := load(t, f.options(NoClients))
	address := echo(t, s)
	old, err := tls.Dial("tcp", address, client(a))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	second := newAuthority(t, "second authority")
	f.serverCertificate(second, "cairn.test")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := speak(old); err != nil {
		t.Errorf("the open connection broke: %v", err)
	}
	if _, err := call(t, address, client(second)); err != nil {
		t.Errorf("the new certificate is not served: %v", err)
	}
	if _, err := call(t, address, client(a)); err == nil {
		t.Error("the old certificate is still served")
	}
}

func TestReloadThatFailsChangesNothing(t *testing.T) {
	f, a := setUp(t)
	s := load(t, f.options(RequestClients))
	address := echo(t, s)
	for name, content := range map[string]string{"cert": "not a certificate", "ca": "", "key": "not a key"} {
		before, err := os.ReadFile(f.path(name))
		if err != nil {
			t.Fatal(err)
		}
		f.write(name, []byte(content))
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), f.path(name)) {
			t.Errorf("a broken %s gave %v, want an error that names the file", name, err)
		}
		if _, err := call(t, address, client(a)); err != nil {
			t.Errorf("after a broken %s: %v", name, err)
		}
		f.write(name, before)
	}
}

func TestResumedSessionIsCheckedAgainstTheNewAuthority(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f, a := setUp(t)
		s := load(t, f.options(RequireClients))
		address := echo(t, s)
		config := withCertificate(client(a), a)
		config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		config.MaxVersion = version
		for _, resumed := range []bool{false, true} {
			if state, err := call(t, address, config); err != nil || state.DidResume != resumed {
				t.Fatalf("before the reload: resumed %v, %v; want %v", state.DidResume, err, resumed)
			}
		}
		f.write("ca", newAuthority(t, "second authority").pem())
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if state, err := call(t, address, config); err == nil {
			t.Errorf("%s: a client of the authority that is gone was served, resumed %v",
				tls.VersionName(version), state.DidResume)
		}
	}
}

func TestLoadRefusesWhatCannotWork(t *testing.T) {
	f, a := setUp(t)
	_, strangeKey := a.issue("strange")
	for _, c := range []struct {
		change  func(*Options)
		problem string
	}{
		{func(o *Options) { o.CertFile = "" }, "no certificate file"},
		{func(o *Options) { o.KeyFile = "" }, "no key file"},
		{func(o *Options) { o.CAFile = "" }, "require client certificates"},
		{func(o *Options) { o.CertFile = f.path("missing") }, "missing"},
		{func(o *Options) { o.KeyFile = f.write("strange", strangeKey) }, "strange"},
		{func(o *Options) { o.MinVersion = tls.VersionTLS11 }, "minimum version"},
	} {
		o := f.options(RequireClients)
		c.change(&o)
		if _, err := Load(o); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("Load gave %v, want an error that says %q", err, c.problem)
		}
	}
}

func TestNotAfter(t *testing.T) {
	f, _ := setUp(t)
	if left := time.Until(load(t, f.options(NoClients)).NotAfter()); left <= 0 || left > time.Hour {
		t.Errorf("the certificate expires in %v", left)
	}
}

func TestParse(t *testing.T) {
	for _, word := range []string{"none", "request", "require"} {
		if v, err := ParseClientVerification(word); err != nil || v.String() != word {
			t.Errorf("ParseClientVerification(%q) = %v, %v", word, v, err)
		}
	}
	if _, err := ParseClientVerification("once"); err == nil {
		t.Error("once was accepted")
	}
	for word, want := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		if v, err := ParseVersion(word); err != nil || v != want {
			t.Errorf("ParseVersion(%q) = %x, %v", word, v, err)
		}
	}
	if _, err := ParseVersion("1.1"); err == nil {
		t.Error("1.1 was accepted")
	}
}
