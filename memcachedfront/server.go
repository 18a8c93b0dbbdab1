package memcachedfront

import (
	"context"
	"net"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// Server serves memcached clients.
type Server struct {
	options  Options
	limits   protocol.Limits
	counters counterShards
}

// Listen opens the listeners of a Server. Clients may connect from then on;
// they are served once Serve runs.
func Listen(o Options) (*Server, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Server{
		options:  o,
		limits:   protocol.Limits{MaxKeyLen: session.MaxKeyLen, MaxValueSize: o.MaxItemSize},
		counters: counterShards{shards: make([]counters, o.Threads)},
	}
	return s, nil
}

// Addrs gives the addresses the server listens on, in the order of the options.
func (s *Server) Addrs() []net.Addr { return nil }

// Serve serves clients until ctx ends or Shutdown is called, and returns when
// every connection is closed. It is called once.
func (s *Server) Serve(ctx context.Context) error { return nil }

// Shutdown stops the server: it accepts nobody any more, lets every burst in
// flight finish and its answers go out, and closes the connections. When ctx
// ends first they are closed as they are, and its error is returned.
func (s *Server) Shutdown(ctx context.Context) error { return nil }
