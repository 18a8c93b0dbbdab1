// Package tlsconfig keeps a server's TLS settings and reloads them while
// connections are open.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Options say where the certificates are and what is asked of clients. They
// are checked by Load.
type Options struct {
	CertFile string // PEM; the server's certificate, then its intermediates
	KeyFile  string // PEM; its private key, unencrypted

	// CAFile has the authorities, in PEM, that sign the clients' certificates.
	// It is needed unless Clients is NoClients.
	CAFile  string
	Clients ClientVerification

	// MinVersion is the lowest protocol version accepted, a constant of
	// crypto/tls. 0 means 1.2, and less is refused.
	MinVersion uint16
}

// Source holds the current settings. It is safe for concurrent use.
type Source struct {
	options Options
	current atomic.Pointer[tls.Config]
}

// Load reads the files that o names.
func Load(o Options) (*Source, error) {
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS12
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Source{options: o}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads the files again. Handshakes that begin afterwards use what it
// found; connections that are open stay as they are. If it fails, nothing
// changes.
func (s *Source) Reload() error {
	c, err := s.options.read()
	if err != nil {
		return err
	}
	s.current.Store(c)
	return nil
}

// Config returns settings for a listener. Every handshake on it uses what the
// latest Reload found. A resumed session is checked against that too.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion: s.options.MinVersion,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load(), nil
		},
	}
}

// NotAfter is the instant at which the server's certificate expires. An expired
// one is served all the same: whether to trust it is the client's decision.
func (s *Source) NotAfter() time.Time {
	return s.current.Load().Certificates[0].Leaf.NotAfter
}

func (o *Options) validate() error {
	switch {
	case o.CertFile == "":
		return errors.New("tlsconfig: no certificate file is set")
	case o.KeyFile == "":
		return errors.New("tlsconfig: no key file is set")
	case o.Clients != NoClients && o.CAFile == "":
		return fmt.Errorf("tlsconfig: to %s client certificates, a file of their authorities is needed", o.Clients)
	case o.MinVersion < tls.VersionTLS12 || o.MinVersion > tls.VersionTLS13:
		return errors.New("tlsconfig: the minimum version must be 1.2 or 1.3")
	}
	return nil
}

func (o *Options) read() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tlsconfig: certificate %s with key %s: %w", o.CertFile, o.KeyFile, err)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   o.MinVersion,
		ClientAuth:   clientAuth[o.Clients],
	}
	if o.CAFile != "" {
		if c.ClientCAs, err = readPool(o.CAFile); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func readPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tlsconfig: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tlsconfig: no certificate in %s", file)
	}
	return pool, nil
}
