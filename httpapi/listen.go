package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
)

func (s *Server) newHTTPServer() *http.Server {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ConnContext:       withOrigin,
		ConnState:         s.admission.note,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	serving, end := context.WithCancel(context.Background())
	server.RegisterOnShutdown(end)
	s.serving.Store(&serving)
	if s.options.TLS != nil {
		server.TLSConfig = s.options.TLS.Config()
	}
	return server
}

// whileServing returns ctx, which ends also when the server is shut down: for requests
// that would go on for ever.
func (s *Server) whileServing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(*s.serving.Load(), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// Serve answers requests on ln until Shutdown, and returns nil then. It
// refuses to serve on an address that others can reach while the API is open
// to everyone, or while tokens would cross the network unencrypted. It may be
// called for several listeners.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.CheckExposure(ln.Addr()); err != nil {
		return err
	}
	ln = &admittingListener{Listener: ln, admission: s.admission}
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

// CheckExposure returns the reason why Serve would refuse an address.
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
