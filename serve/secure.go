package serve

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"cairn/origin"
)

// handshakeTimeout is how long a client may take to begin TLS, and
// rejectionTimeout how long to hear that there is no room for it.
const (
	handshakeTimeout = 10 * time.Second
	rejectionTimeout = time.Second
)

// secure puts TLS over a connection to l if its clients must speak that. It
// neither reads nor writes.
func (s *Server) secure(l *listener, nc net.Conn) net.Conn {
	if !s.isSecure(l) {
		return nc
	}
	return tls.Server(nc, s.options.TLS)
}

// isSecure reports whether the clients of l must speak TLS.
func (s *Server) isSecure(l *listener) bool {
	return s.options.TLS != nil && !l.address.Plain && l.address.Network != "unix"
}

// originOf is where a client comes from, also one that speaks TLS.
func originOf(nc net.Conn) origin.Origin {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	return origin.OfConn(nc)
}

// handshake begins TLS if the client must speak it.
func (cl *netClient) handshake() error {
	secure, ok := cl.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(cl.server.life, handshakeTimeout)
	defer cancel()
	return secure.HandshakeContext(ctx)
}
