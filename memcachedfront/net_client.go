package memcachedfront

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"cairn/session"
)

// netClient is a connection that a goroutine of its own serves, by blocking
// reads and writes. It works on every platform and with TLS.
type netClient struct {
	link
	nc     net.Conn
	reader reader
}

func newNetClient(s *Server, l *listener, nc net.Conn) *netClient {
	cl := &netClient{nc: nc}
	cl.link.init(s, l, nc.RemoteAddr())
	_, cl.secure = nc.(*tls.Conn)
	cl.reader.init(nc)
	return cl
}

func (cl *netClient) about() *link { return &cl.link }
func (cl *netClient) wake()        { cl.nc.SetReadDeadline(time.Unix(1, 0)) }
func (cl *netClient) hangUp()      { cl.nc.Close() }

// serve serves the client until it goes, misbehaves, or the server stops.
func (cl *netClient) serve() {
	defer cl.nc.Close()
	cl.server.watchers.connected(&cl.link)
	err := cl.handshake()
	if err == nil {
		err = cl.loop()
	}
	cl.server.watchers.disconnected(&cl.link, err)
}

func (cl *netClient) loop() error {
	defer cl.reader.release()
	for {
		if err := cl.fill(); err != nil {
			return err
		}
		arrived := time.Now()
		for {
			progress, err := cl.burst(arrived)
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
func (cl *netClient) fill() error {
	if idle := cl.server.options.IdleTimeout; idle > 0 {
		cl.nc.SetReadDeadline(time.Now().Add(idle))
	}
	if cl.server.isStopping() || cl.server.isFrozen() {
		return net.ErrClosed
	}
	n, err := cl.reader.read(cl.conn.need)
	cl.link.read(n)
	if errors.Is(err, os.ErrDeadlineExceeded) && !cl.server.isStopping() && !cl.server.isFrozen() {
		cl.server.clients.kicked.Add(1)
		return errIdle
	}
	return err
}

// burst carries out what the input holds, as far as one burst takes it, and
// answers. progress says that there was something.
func (cl *netClient) burst(arrived time.Time) (progress bool, err error) {
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
	cl.began(r.burst.Now)
	if len(r.burst.Commands) > 0 {
		session.Do(cl.server.options.Store, &r.burst)
		cl.server.observe(&cl.link, r.burst.Commands, r.burst.Results, r.burst.Now)
	}
	r.tally.add(c.plan)
	err = cl.answer(r)
	c.counters.latencies.record(&r.tally, time.Since(arrived))
	cl.reader.discard(n)
	if err == nil && c.errand != nil {
		err = cl.run()
	}
	cl.state.Store(int32(waiting))
	return true, err
}

// answer sends the answers of the round.
func (cl *netClient) answer(r *round) error {
	cl.state.Store(int32(writing))
	for done := false; !done; {
		done = cl.conn.reply(&r.out, &r.burst)
		if err := cl.send(&r.out); err != nil {
			return err
		}
	}
	return nil
}

// send sends all of o.
func (cl *netClient) send(o *output) error {
	if o.len() == 0 {
		return nil
	}
	if len(o.lent) == 0 {
		_, err := cl.Write(o.text)
		return err
	}
	rest := net.Buffers(o.pieces())
	n, err := rest.WriteTo(cl.nc)
	cl.wrote(int(n))
	return err
}

// run runs the connection's errand.
func (cl *netClient) run() error {
	cl.state.Store(int32(streaming))
	errand := cl.conn.errand
	cl.conn.errand = nil
	return errand(cl.server.endErrands.Load().ctx, cl)
}

// Write sends p. It is how errands talk to the client.
func (cl *netClient) Write(p []byte) (int, error) {
	n, err := cl.nc.Write(p)
	cl.wrote(n)
	return n, err
}

func (cl *netClient) Gone() bool { return cl.reader.gone() }
