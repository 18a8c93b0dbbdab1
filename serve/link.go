package serve

import (
	"net"
	"sync/atomic"
	"time"

	"cairn/origin"
	"cairn/session"
)

// client is a connected client, whichever way it is served.
type client interface {
	about() *Link

	// wake makes a client that waits for input notice that the server stops.
	wake()

	// hangUp closes the connection, whatever it is doing.
	hangUp()
}

// Link is what is known of a connection whatever its protocol. Anybody may call
// its methods at any time. The zero Link is one that nothing is known of.
type Link struct {
	conn     Conn
	server   *Server
	listener *listener
	remote   net.Addr
	shard    int
	traffic  *traffic // of the shard
	claim    claim    // of the memory that all connections share
	stall    stall
	id       uint64
	since    time.Time
	secure   bool // TLS
	origin   origin.Origin
	welcome  atomic.Bool // the client has logged in

	active   atomic.Int64 // session.Time of the last burst
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	state    atomic.Int32 // a State
}

// State says what a connection is busy with.
type State int32

const (
	Waiting State = iota // for input
	Working
	Writing   // answers that the client has not taken yet
	Streaming // in an errand
)

func (l *Link) init(s *Server, on *listener, remote net.Addr, from origin.Origin, shard int) {
	l.server = s
	l.origin = from
	l.listener = on
	l.remote = remote
	l.shard = shard
	l.traffic = &s.traffic[shard]
	l.claim.budget = &s.budget
	l.id = s.clients.lastID.Add(1)
	l.since = time.Now()
	l.active.Store(int64(s.options.Clock.Now()))
	l.conn = s.options.Protocol.NewConn(l)
}

// Conn returns the protocol's part of the connection.
func (l *Link) Conn() Conn { return l.conn }

// ID returns the connection's number. It is the same in every process that serves
// the connection.
func (l *Link) ID() uint64 { return l.id }

// Since returns when the client connected.
func (l *Link) Since() time.Time { return l.since }

// Secure reports whether the client speaks TLS.
func (l *Link) Secure() bool { return l.secure }

// Origin returns where the client comes from, as far as limits are concerned.
func (l *Link) Origin() origin.Origin { return l.origin }

// Remote returns the client's address.
func (l *Link) Remote() net.Addr { return l.remote }

// Listener returns the place where the client connected.
func (l *Link) Listener() Place { return l.listener.place() }

// Shard says which of the Options.Threads shards the connection counts in. Those
// that an event loop serves have one of their own.
func (l *Link) Shard() int { return l.shard }

// LastActive returns when the last burst began.
func (l *Link) LastActive() session.Time { return session.Time(l.active.Load()) }

// State says what the connection is busy with.
func (l *Link) State() State { return State(l.state.Load()) }

// BytesIn and BytesOut count what was received and sent, without TLS.
func (l *Link) BytesIn() uint64  { return l.bytesIn.Load() }
func (l *Link) BytesOut() uint64 { return l.bytesOut.Load() }

func (l *Link) be(st State) { l.state.Store(int32(st)) }

// began notes that requests were taken from the input at now.
func (l *Link) began(now session.Time) {
	l.active.Store(int64(now))
	l.be(Working)
}

func (l *Link) read(n int) {
	l.bytesIn.Add(uint64(n))
	l.traffic.in.Add(uint64(n))
}

func (l *Link) wrote(n int) {
	l.bytesOut.Add(uint64(n))
	l.traffic.out.Add(uint64(n))
}
