package serve

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"cairn/processors"
	"cairn/session"
)

// netClient is a connection that a goroutine of its own serves, by blocking
// reads and writes. It works on every platform and with TLS.
type netClient struct {
	Link
	nc     net.Conn
	reader reader
	need   int // as Conn.Consume said

	expects int64         // bytes that the answers to the last burst were
	granted chan struct{} // has an element when the claim was granted
	cutOnce sync.Once
	cut     chan struct{} // closed when the connection is to end
}

func newNetClient(s *Server, l *listener, nc net.Conn) *netClient {
	cl := &netClient{nc: nc, granted: make(chan struct{}, 1), cut: make(chan struct{})}
	cl.Link.init(s, l, nc.RemoteAddr(), originOf(nc), s.shard())
	cl.claim.granted = func() { cl.granted <- struct{}{} }
	_, cl.secure = nc.(*tls.Conn)
	cl.reader.init(nc)
	return cl
}

func (cl *netClient) about() *Link { return &cl.Link }
func (cl *netClient) wake()        { cl.nc.SetReadDeadline(time.Unix(1, 0)) }

func (cl *netClient) hangUp() {
	cl.cutOnce.Do(func() { close(cl.cut) })
	cl.nc.Close()
}

// serve serves the client until it goes, misbehaves, or the server stops.
func (cl *netClient) serve() {
	defer cl.hangUp()
	defer cl.claim.end()
	cl.conn.Opened()
	err := cl.handshake()
	if err == nil {
		err = cl.loop()
	}
	cl.conn.Closed(err)
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
			if cl.conn.Closing() {
				return nil
			}
			if !progress {
				break
			}
		}
	}
}

// ErrIdle is what a connection is closed with that was silent for too long.
var ErrIdle = errors.New("serve: idle for too long")

// fill reads more input. It gives the buffer back while there is none.
func (cl *netClient) fill() error {
	if idle := cl.server.options.IdleTimeout; idle > 0 {
		cl.nc.SetReadDeadline(time.Now().Add(idle))
	}
	if cl.server.isStopping() || cl.server.isFrozen() {
		return net.ErrClosed
	}
	if err := cl.await(int64(cl.need)); err != nil {
		return err
	}
	n, err := cl.reader.read(cl.need)
	cl.Link.read(n)
	if errors.Is(err, os.ErrDeadlineExceeded) && !cl.server.isStopping() && !cl.server.isFrozen() {
		cl.server.clients.kicked.Add(1)
		return ErrIdle
	}
	return err
}

// burst carries out what the input holds, as far as one burst takes it, and
// answers. progress says that there was something.
func (cl *netClient) burst(arrived time.Time) (progress bool, err error) {
	if len(cl.reader.unread()) < max(cl.need, 1) {
		return false, nil
	}
	if cl.expects > freeBuffer {
		if err := cl.await(cl.expects + int64(cl.reader.size())); err != nil {
			return false, err
		}
	}
	r := newRound()
	defer r.release()
	defer func() { cl.count(int64(cl.reader.size())) }()
	r.burst.Reset(cl.server.options.Clock.Now())
	r.burst.Room = cl
	var n int
	if n, cl.need = cl.conn.Consume(cl.reader.unread(), &r.burst); n == 0 {
		return false, nil
	}
	processors.Look(arrived)
	r.burst.Patient = false // nobody would notice that the client sends more
	cl.began(r.burst.Now)
	if len(r.burst.Commands) > 0 {
		o := &cl.server.options
		session.DoPatiently(o.Store, &r.burst, o.Clock, o.Patience, cl.server.life.Done())
	}
	cl.count(max(cl.claim.has, int64(cl.reader.size())+valuesIn(&r.burst)))
	err = cl.answer(r)
	cl.conn.Replied(time.Since(arrived))
	cl.reader.discard(n)
	if err == nil {
		err = cl.run()
	}
	cl.be(Waiting)
	return true, err
}

// await waits until the connection may hold n bytes, if that is much.
func (cl *netClient) await(n int64) error {
	if n <= freeBuffer || cl.claim.holds || cl.claim.ask(n) {
		return nil
	}
	select {
	case <-cl.granted:
		return nil
	case <-cl.cut:
	case <-cl.server.life.Done():
	}
	return net.ErrClosed
}

// Take makes cl the session.Room of its bursts.
func (cl *netClient) Take(n int64, then func()) bool {
	return cl.claim.take(int64(cl.reader.size())+n, then)
}

// count makes the claim what the connection holds, if that is much.
func (cl *netClient) count(n int64) {
	if n <= freeBuffer {
		n = 0
	}
	if n != cl.claim.has {
		cl.claim.set(n)
	}
}

// answer sends the answers of the round.
func (cl *netClient) answer(r *round) error {
	cl.be(Writing)
	cl.expects = 0
	for done := false; !done; {
		r.out.Reset()
		done = cl.conn.Reply(&r.out, &r.burst)
		cl.expects += int64(r.out.Len())
		if err := cl.send(&r.out); err != nil {
			return err
		}
	}
	return nil
}

// send sends all of o.
func (cl *netClient) send(o *Output) error {
	if o.Len() == 0 {
		return nil
	}
	if !o.Lends() {
		_, err := cl.Write(o.Text)
		return err
	}
	rest := net.Buffers(o.pieces())
	n, err := rest.WriteTo(cl.nc)
	cl.wrote(int(n))
	return err
}

// run runs the connection's errand, if there is one.
func (cl *netClient) run() error {
	errand := cl.conn.Errand()
	if errand == nil {
		return nil
	}
	cl.be(Streaming)
	return errand(cl.server.endErrands.Load().ctx, cl)
}

// Write sends p. It is how errands talk to the client.
func (cl *netClient) Write(p []byte) (int, error) {
	n, err := cl.nc.Write(p)
	cl.wrote(n)
	return n, err
}

func (cl *netClient) Gone() bool { return cl.reader.gone() }
