package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

func (s *Server) newHTTPServer() *http.Server {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ConnContext:       withOrigin,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	if s.options.TLS != nil {
		server.TLSConfig = s.options.TLS.Config()
	}
	return server
}

// Serve answers requests on ln until Shutdown, and returns nil then. It
// refuses to serve on an address that others can reach while the API is open
// to everyone, or while tokens would cross the network unencrypted. It may be
// called for several listeners.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.CheckExposure(ln.Addr()); err != nil {
		return err
	}
	ln = &limitedListener{Listener: ln, open: make(semaphore, s.options.Limits.Connections), closed: make(chan struct{})}
	var err error
	if s.options.TLS != nil && ln.Addr().Network() != "unix" {
		err = s.http.Load().ServeTLS(ln, "", "")
	} else {
		err = s.http.Load().Serve(ln)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// CheckExposure gives the reason why Serve would refuse an address.
func (s *Server) CheckExposure(addr net.Addr) error {
	if isPrivate(addr) {
		return nil
	}
	if s.isOpen() {
		return fmt.Errorf("httpapi: %s is not a loopback address: configure tokens or client certificates", addr)
	}
	if s.options.TLS == nil && !s.options.AllowPlaintext {
		return fmt.Errorf("httpapi: %s is not a loopback address: configure a TLS certificate, or allow plaintext if something in front encrypts", addr)
	}
	return nil
}

// isPrivate reports whether only this machine can reach addr.
func isPrivate(addr net.Addr) bool {
	if addr.Network() == "unix" {
		return true
	}
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// limitedListener accepts no more connections than open has room for; the
// others wait in the kernel's queue.
type limitedListener struct {
	net.Listener
	open   semaphore
	once   sync.Once
	closed chan struct{}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		l.open.release()
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(l.open.release)}, nil
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
