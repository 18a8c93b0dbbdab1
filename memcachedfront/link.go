package memcachedfront

import (
	"net"
	"sync/atomic"
	"time"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// client is a connected client, whichever way it is served.
type client interface {
	about() *link

	// wake makes a client that waits for input notice that the server stops.
	wake()

	// hangUp closes the connection, whatever it is doing.
	hangUp()
}

// link is what is known of a client. Others than those who serve it read the
// atomic fields and those that do not change.
type link struct {
	conn     *conn
	server   *Server
	listener *listener
	id       uint64
	since    time.Time
	secure   bool // TLS

	active   atomic.Int64 // session.Time of the last burst
	requests atomic.Uint64
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	lastVerb atomic.Uint32 // a protocol.Verb
	dialect  atomic.Uint32
	state    atomic.Int32 // a linkState
	user     atomic.Pointer[string]
}

// linkState says what a connection is busy with.
type linkState int32

const (
	waiting linkState = iota
	working
	writing
	streaming
)

// String names the state as memcached's "stats conns" does.
func (st linkState) String() string {
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

func (l *link) init(s *Server, on *listener, remote net.Addr) {
	l.conn = newConn(s, remote)
	l.conn.loggedIn = func(user string) { l.user.Store(&user) }
	l.server = s
	l.listener = on
	l.id = s.clients.lastID.Add(1)
	l.since = time.Now()
	l.active.Store(int64(s.options.Clock.Now()))
}

// describe tells operators about the client.
func (l *link) describe() Connection {
	c := Connection{
		ID:         l.id,
		Listener:   l.listener.Addr().String(),
		Protocol:   l.protocolName(),
		TLS:        l.secure,
		Since:      l.since,
		LastActive: session.Time(l.active.Load()).Time(),
		Requests:   l.requests.Load(),
		BytesIn:    l.bytesIn.Load(),
		BytesOut:   l.bytesOut.Load(),
	}
	if tcp, ok := l.conn.remote.(*net.TCPAddr); ok {
		c.Client = tcp.String()
	}
	if user := l.user.Load(); user != nil {
		c.User = *user
	}
	if c.Requests > 0 {
		c.LastVerb = protocol.Verb(l.lastVerb.Load()).String()
	}
	return c
}

// began notes that the planned requests were taken from the input at now.
func (l *link) began(now session.Time) {
	plan := l.conn.plan
	l.active.Store(int64(now))
	l.state.Store(int32(working))
	if len(plan) > 0 {
		l.requests.Add(uint64(len(plan)))
		l.lastVerb.Store(uint32(plan[len(plan)-1].verb))
		l.dialect.Store(uint32(l.conn.dialect))
	}
}

func (l *link) read(n int) {
	l.bytesIn.Add(uint64(n))
	l.conn.counters.add(bytesRead, uint64(n))
}

func (l *link) wrote(n int) {
	l.bytesOut.Add(uint64(n))
	l.conn.counters.add(bytesWritten, uint64(n))
}

// protocolName tells what the client speaks. One that has sent a meta command
// last counts as speaking meta.
func (l *link) protocolName() string {
	verb := protocol.Verb(l.lastVerb.Load())
	switch {
	case dialect(l.dialect.Load()) == binary:
		return "binary"
	case verb >= protocol.MetaGet && verb <= protocol.MetaDebug:
		return "meta"
	case dialect(l.dialect.Load()) == text:
		return "text"
	}
	return ""
}
