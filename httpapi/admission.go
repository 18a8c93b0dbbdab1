package httpapi

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"cairn/origin"
)

// admission bounds the connections of all listeners. Where all places are taken, a
// newcomer gets that of a connection on which no request is under way: of the
// origin that has most of those, the one that has rested longest. If requests are
// under way on all, newcomers wait. So whoever opens connections and asks nothing
// keeps nobody out.
type admission struct {
	limit int

	mu      sync.Mutex
	changed sync.Cond // on mu: a place is free, a request has ended, a listener was closed
	open    map[*admittedConn]struct{}
	clock   uint64 // counts what happened
}

func newAdmission(limit int) *admission {
	a := &admission{limit: limit, open: make(map[*admittedConn]struct{})}
	a.changed.L = &a.mu
	return a
}

// admittedConn is a connection that has a place until it is closed.
type admittedConn struct {
	net.Conn
	admission *admission
	origin    origin.Origin

	// Guarded by admission.mu.
	busy    bool   // a request is under way
	resting uint64 // since when not, by admission.clock
}

// Close is net.Conn's.
func (c *admittedConn) Close() error {
	err := c.Conn.Close()
	c.admission.leave(c)
	return err
}

// take lets c in, as soon as there is a place. It returns false if the listener
// was closed meanwhile.
func (a *admission) take(c *admittedConn, l *admittingListener) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.open) >= a.limit && !l.closed {
		if idle := a.idlest(); idle != nil {
			delete(a.open, idle)
			idle.Conn.Close()
		} else {
			a.changed.Wait()
		}
	}
	if l.closed {
		return false
	}
	a.clock++
	c.resting = a.clock
	a.open[c] = struct{}{}
	return true
}

// idlest is the connection that has to go for a newcomer; nil: there is none. a.mu
// is held.
func (a *admission) idlest() (least *admittedConn) {
	idle := make(map[origin.Origin]int)
	for c := range a.open {
		if !c.busy {
			idle[c.origin]++
		}
	}
	for c := range a.open {
		if c.busy {
			continue
		}
		if least == nil || idle[c.origin] > idle[least.origin] ||
			idle[c.origin] == idle[least.origin] && c.resting < least.resting {
			least = c
		}
	}
	return least
}

func (a *admission) leave(c *admittedConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c)
	a.changed.Signal()
}

// note learns from the server whether a request is under way on a connection.
func (a *admission) note(conn net.Conn, state http.ConnState) {
	c := admitted(conn)
	if c == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clock++
	c.busy, c.resting = state == http.StateActive, a.clock
	if !c.busy {
		a.changed.Signal()
	}
}

// admitted is the connection below conn that has the place; nil: none has.
func admitted(conn net.Conn) *admittedConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*admittedConn)
	return c
}

// admittingListener accepts the connections that there is a place for.
type admittingListener struct {
	net.Listener
	admission *admission
	closed    bool // guarded by admission.mu
}

// Accept is net.Listener's.
func (l *admittingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &admittedConn{Conn: conn, admission: l.admission, origin: origin.OfConn(conn)}
	if !l.admission.take(c, l) {
		conn.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close is net.Listener's.
func (l *admittingListener) Close() error {
	l.admission.mu.Lock()
	l.closed = true
	l.admission.changed.Broadcast()
	l.admission.mu.Unlock()
	return l.Listener.Close()
}
