package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
)

// Security are the certificates with which nodes prove to each other that they
// belong together. Both sides of a connection show one, and it counts if the
// cluster's own authority has issued it; the name in it does not matter, since nodes
// change their addresses.
type Security struct {
	certificate, key, authority string // files
	current                     atomic.Pointer[credentials]
}

type credentials struct {
	certificate tls.Certificate
	authorities *x509.CertPool
}

// LoadSecurity reads the files of a certificate, its key, and the authority.
func LoadSecurity(certificate, key, authority string) (*Security, error) {
	s := &Security{certificate: certificate, key: key, authority: authority}
	return s, s.Reload()
}

// Reload reads the files again. If there is an error, the former ones stay. It
// concerns connections that begin from now on.
func (s *Security) Reload() error {
	pair, err := tls.LoadX509KeyPair(s.certificate, s.key)
	if err != nil {
		return fmt.Errorf("peer: certificate %s: %w", s.certificate, err)
	}
	text, err := os.ReadFile(s.authority)
	if err != nil {
		return fmt.Errorf("peer: authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return fmt.Errorf("peer: authority %s: no certificate in it", s.authority)
	}
	s.current.Store(&credentials{pair, pool})
	return nil
}

// OnlyProxy is the organizational unit in certificates whose holders may be proxies
// and no nodes.
const OnlyProxy = "proxy"

var errOnlyProxy = errors.New("peer: the certificate is one of a proxy (OU=" + OnlyProxy + ")")

// mayBeNode reports why the holder of the certificate that c shows must not be what
// it says that it is.
func mayBeNode(c net.Conn, h Hello) error {
	t, ok := c.(*tls.Conn)
	if !ok || h.Proxy && h.Stream == "" {
		return nil
	}
	return notOnlyProxy(t.ConnectionState().PeerCertificates)
}

// notOnlyProxy refuses the certificates of proxies.
func notOnlyProxy(shown []*x509.Certificate) error {
	for _, certificate := range shown {
		if slices.Contains(certificate.Subject.OrganizationalUnit, OnlyProxy) {
			return errOnlyProxy
		}
	}
	return nil
}

// Check reports why nodes would refuse whoever shows this certificate: a node, or, if
// proxy is set, a proxy.
func (s *Security) Check(proxy bool) error {
	c := s.current.Load()
	var chain []*x509.Certificate
	between := x509.NewCertPool()
	for i, der := range c.certificate.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		chain = append(chain, certificate)
		if i > 0 {
			between.AddCert(certificate)
		}
	}
	uses := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	if proxy {
		uses = uses[:1] // nobody dials it
	}
	for _, use := range uses {
		if _, err := chain[0].Verify(x509.VerifyOptions{
			Roots: c.authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use},
		}); err != nil {
			return err
		}
	}
	if proxy {
		return nil
	}
	return notOnlyProxy(chain)
}

func (s *Security) server() *tls.Config {
	c := s.current.Load()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{c.certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              c.authorities,
		SessionTicketsDisabled: true,
	}
}

func (s *Security) client() *tls.Config {
	c := s.current.Load()
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{c.certificate},
		InsecureSkipVerify: true, // of the name; VerifyConnection looks at the rest
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("peer: the other node shows no certificate")
			}
			if err := notOnlyProxy(state.PeerCertificates); err != nil {
				return err // nobody dials a proxy
			}
			intermediates := x509.NewCertPool()
			for _, between := range state.PeerCertificates[1:] {
				intermediates.AddCert(between)
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: c.authorities, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			return err
		},
	}
}
