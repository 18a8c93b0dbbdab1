package memcachedfront

import (
	"errors"
	"sync/atomic"

	"golang.org/x/time/rate"

	"cairn/memcachedfront/protocol"
	"cairn/serve"
	"cairn/session"
)

// tooManyConnections is what a client hears for whom there is no room.
const tooManyConnections = "ERROR Too many open connections\r\n"

// maxVerbosity is the highest level of the command verbosity.
const maxVerbosity = 2

// Server serves memcached clients.
type Server struct {
	*serve.Server

	options     Options
	limits      protocol.Limits
	versionLine string
	started     session.Time

	counters    counterShards
	verbosity   atomic.Int64
	memoryLimit atomic.Int64
	watchers    watchers
	prefixes    prefixes
	fences      fences
	effects     effects
	flushNotes  rate.Sometimes // bounds the log lines about ignored flushes
}

// Listen opens the listeners of a Server. Clients may connect from then on;
// they are served once Serve runs.
func Listen(o Options) (*Server, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	o = s.options
	o.Protocol, o.Rejection = s, []byte(tooManyConnections)
	o.Login = o.Guard != nil
	if s.Server, err = serve.Listen(o.Options); err != nil {
		return nil, err
	}
	return s, nil
}

// Resume is serve.Server's. The store is open by then, which it need not have been
// for Listen.
func (s *Server) Resume(conns []serve.FrozenConn) error {
	s.started = s.options.Clock.Now()
	return s.Server.Resume(conns)
}

// newServer makes a Server without sockets.
func newServer(o Options) (*Server, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Server{
		options:     o,
		limits:      protocol.Limits{MaxKeyLen: session.MaxKeyLen, MaxValueSize: o.MaxItemSize},
		versionLine: "VERSION " + o.Version + "\r\n",
		started:     o.Clock.Now(),
		counters:    counterShards{shards: make([]counters, o.Threads)},
	}
	s.memoryLimit.Store(o.MemoryLimit)
	return s, nil
}

// NewConn makes the protocol state of a connection; see serve.Protocol.
func (s *Server) NewConn(l *serve.Link) serve.Conn { return newConn(s, l) }

// idle returns the seconds since the item was last read or stored, as far as that
// is known: it is forgotten when the server stops or the item leaves memory.
func (s *Server) idle(it *session.Item, now session.Time) int64 {
	last := it.LastAccess
	if last == 0 {
		last = s.started
	}
	return max(now.Unix()-last.Unix(), 0)
}

func (s *Server) setVerbosity(level uint64) {
	level = min(level, maxVerbosity)
	s.verbosity.Store(int64(level))
	if set := s.options.Verbosity; set != nil {
		set(int(level))
	}
}

var errNoMemoryLimit = errors.New("memcachedfront: the memory limit cannot be changed")

func (s *Server) setMemoryLimit(bytes int64) error {
	set := s.options.SetMemoryLimit
	if set == nil {
		return errNoMemoryLimit
	}
	if err := set(bytes); err != nil {
		return err
	}
	s.memoryLimit.Store(bytes)
	return nil
}
