package migrate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cairn/freeport"
)

// startServer runs a real server on a free loopback port until the test ends.
func startServer(t *testing.T, name string, args func(port string) []string) (addr string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	addr = freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, args(port)...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	await(t, "tcp", addr)
	return addr
}

// await waits until somebody listens.
func await(t *testing.T, network, addr string) {
	t.Helper()
	for range 6000 {
		nc, err := net.Dial(network, addr)
		if err == nil {
			nc.Close()
			return
		}
		time.Sleep(10 * time.Millisecond) // until the other process listens
	}
	t.Fatalf("nobody listens on %s", addr)
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func startMemcached(t *testing.T, more ...string) string {
	return startServer(t, "memcached", func(port string) []string {
		return append([]string{"-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "256"}, more...)
	})
}

// startOnSocket runs a server that listens on a Unix socket until the test ends.
func startOnSocket(t *testing.T, socket, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	await(t, "unix", socket)
}

// writeCertificate writes a certificate for 127.0.0.1 and its key into dir.
func writeCertificate(t *testing.T, dir string) (certificate, key string, authorities *x509.CertPool) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	secretDER, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certificate, chain, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secretDER}), 0o644); err != nil {
		t.Fatal(err)
	}
	authorities = x509.NewCertPool()
	authorities.AppendCertsFromPEM(chain)
	return certificate, key, authorities
}
