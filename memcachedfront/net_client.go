package memcachedfront

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"cairn/session"
)

// client is a connection that a goroutine of its own serves, by blocking reads
// and writes. It works on every platform and with TLS.
type client struct {
	conn     *conn
	server   *Server
	listener *listener
	nc       net.Conn
	id       uint64
	reader   reader

	// lastCommand is the session.Time of the last burst.
	lastCommand atomic.Int64
	state       atomic.Int32 // a clientState
}

type clientState int32

const (
	waiting clientState = iota
	working
	writing
	streaming
)

// String names the state as memcached's "stats conns" does.
func (st clientState) String() string {
	switch st {
	case working:
		return "conn_parse_cmd"
	case writing:
		return "conn_mwrite"
	case streaming:
		return "conn_watch"
	}
	return "conn_read"
}

func newClient(s *Server, l *listener, nc net.Conn) *client {
	cl := &client{
		conn:     newConn(s, nc.RemoteAddr()),
		server:   s,
		listener: l,
		nc:       nc,
		id:       s.clients.total.Load() + 1,
	}
	cl.reader.init(nc)
	cl.lastCommand.Store(int64(s.options.Clock.Now()))
	return cl
}

// wake makes a client that waits for input notice that the server stops.
func (cl *client) wake() { cl.nc.SetReadDeadline(time.Unix(1, 0)) }

// serve serves the client until it goes, misbehaves, or the server stops.
func (cl *client) serve() {
	defer cl.nc.Close()
	cl.server.watchers.connected(cl)
	err := cl.handshake()
	if err == nil {
		err = cl.loop()
	}
	cl.server.watchers.disconnected(cl, err)
}

func (cl *client) loop() error {
	defer cl.reader.release()
	for {
		if err := cl.fill(); err != nil {
			return err
		}
		for {
			progress, err := cl.burst()
			if err != nil {
				return err
			}
			if cl.conn.closing {
				return nil
			}
			if !progress {
				break
			}
		}
	}
}

var errIdle = errors.New("memcachedfront: idle for too long")

// fill reads more input. It gives the buffer back while there is none.
func (cl *client) fill() error {
	if idle := cl.server.options.IdleTimeout; idle > 0 {
		cl.nc.SetReadDeadline(time.Now().Add(idle))
	}
	if cl.server.isStopping() {
		return net.ErrClosed
	}
	n, err := cl.reader.read(cl.conn.need)
	cl.conn.counters.add(bytesRead, uint64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) && !cl.server.isStopping() {
		cl.server.clients.kicked.Add(1)
		return errIdle
	}
	return err
}

// burst carries out what the input holds, as far as one burst takes it, and
// answers. progress says that there was something.
func (cl *client) burst() (progress bool, err error) {
	c := cl.conn
	if len(cl.reader.unread()) < max(c.need, 1) {
		return false, nil
	}
	r := newRound()
	defer r.release()
	r.burst.Reset(cl.server.options.Clock.Now())
	n := c.consume(cl.reader.unread(), &r.burst)
	if n == 0 {
		return false, nil
	}
	cl.lastCommand.Store(int64(r.burst.Now))
	cl.state.Store(int32(working))
	if len(r.burst.Commands) > 0 {
		session.Do(cl.server.options.Store, &r.burst)
	}
	cl.server.observe(cl, r)
	err = cl.write(r)
	cl.reader.discard(n)
	if err == nil && c.errand != nil {
		err = cl.run()
	}
	cl.state.Store(int32(waiting))
	return true, err
}

// write sends the answers of the round.
func (cl *client) write(r *round) error {
	cl.state.Store(int32(writing))
	for done := false; !done; {
		r.out, done = cl.conn.reply(r.out[:0], &r.burst)
		if len(r.out) == 0 {
			continue
		}
		if _, err := cl.Write(r.out); err != nil {
			return err
		}
	}
	return nil
}

// run runs the connection's errand.
func (cl *client) run() error {
	cl.state.Store(int32(streaming))
	errand := cl.conn.errand
	cl.conn.errand = nil
	return errand(cl.server.life, cl)
}

// Write sends p. It is how errands talk to the client.
func (cl *client) Write(p []byte) (int, error) {
	n, err := cl.nc.Write(p)
	cl.conn.counters.add(bytesWritten, uint64(n))
	return n, err
}

func (cl *client) Gone() bool { return cl.reader.gone() }
