package tlsconfig

import (
	"crypto/tls"
	"fmt"
)

// ClientVerification says what is asked of a client's certificate.
type ClientVerification uint8

const (
	// NoClients asks for no certificate.
	NoClients ClientVerification = iota

	// RequestClients asks for one; a client without one is served, one whose
	// certificate does not verify is not.
	RequestClients

	// RequireClients serves only clients whose certificate verifies.
	RequireClients
)

var clientAuth = [...]tls.ClientAuthType{
	NoClients:      tls.NoClientCert,
	RequestClients: tls.VerifyClientCertIfGiven,
	RequireClients: tls.RequireAndVerifyClientCert,
}

var clientNames = [...]string{NoClients: "none", RequestClients: "request", RequireClients: "require"}

// String returns the word that ParseClientVerification reads.
func (v ClientVerification) String() string { return clientNames[v] }

// ParseClientVerification reads none, request or require.
func ParseClientVerification(word string) (ClientVerification, error) {
	for v, name := range clientNames {
		if word == name {
			return ClientVerification(v), nil
		}
	}
	return 0, fmt.Errorf("tlsconfig: %q is none of none, request and require", word)
}

// ParseVersion reads the TLS version 1.2 or 1.3.
func ParseVersion(word string) (uint16, error) {
	switch word {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("tlsconfig: %q is not a TLS version that is offered; 1.2 and 1.3 are", word)
}
