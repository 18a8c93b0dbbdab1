// Package takeover moves a running server into a new process without closing a
// client's connection, so that a restart or an upgrade logs nobody out.
//
// The running process (the giver) listens on a unix socket in its data
// directory. The new process (the taker) is started beside it and dials that
// socket. Then, in this order:
//
//	taker                                giver
//	hello: version, what it can resume
//	                                     vets the taker; welcome: its listening
//	                                     sockets and its service manager
//	prepares all it can do without
//	the store; "prepared"
//	                                     Prepare: flushes the store while it
//	                                     still serves
//	                                     Freeze: stops accepting, finishes the
//	                                     bursts in flight
//	receives every connection            sends every connection with its state
//	                                     CloseStore; "closed"
//	opens the store; "opened"
//	                                     Release; "go"; exits
//	resumes connections and listeners
//
// Descriptors travel by SCM_RIGHTS (unix(7)), so both processes hold them for a
// while; only the one that may use them does. Requests that arrive meanwhile
// wait in their sockets.
//
// # The point of no return
//
// It is the giver's receipt of "opened". Until then the giver can carry on:
// it aborts the hand-over, opens the store again if it had closed it, and
// thaws its connections. After it the giver never touches the store or a
// connection again. For each way in which one of the two can fail:
//
//   - The taker dies, refuses or gives up before "closed": the giver thaws.
//   - The taker dies or reports a failure after "closed": the giver reopens the
//     store and thaws.
//   - The taker hangs: the giver kills it (SIGKILL) when the step's time is up,
//     and goes on as if it had died.
//   - The giver gives up: it says so, or kills the taker, before it thaws. A
//     taker that was told gives up too.
//   - The giver dies, at any step: the taker sees the connection end without
//     having been told to give up, and goes on with what it has. A connection
//     that it did receive is whole, since connections are sent only when all
//     are frozen; the others died with the giver. The store's lock died with
//     it too, and what it had acknowledged is durable.
//   - The taker dies after "opened": that is the death of the running server,
//     and its supervisor's business.
package takeover

import (
	"context"
	"errors"
	"time"
)

// SocketName is the name of the giver's socket in its data directory.
const SocketName = "takeover.sock"

// Conn is an established client connection between two owners.
type Conn struct {
	// FD is the connection's socket. A giver's stays the giver's own; a
	// taker's belongs to whom Receive returned it.
	FD int

	// State is what else the new owner needs to go on exactly where the old
	// one stopped: dialect, authentication, unparsed input, unsent output. It
	// is opaque to this package.
	State []byte
}

// Listener is a listening socket.
type Listener struct {
	// Name says what it is for, in words that both processes derive from
	// their configuration, such as "memcached tcp 127.0.0.1:11211".
	Name string

	// FD is the socket; it is owned as that of a Conn is.
	FD int
}

// Server is a running server as far as it can be given away. A Giver calls one
// method at a time, in the order of a hand-over.
type Server interface {
	// Listeners gives all listening sockets that clients know.
	Listeners() []Listener

	// Prepare does, while the server still serves, what makes CloseStore and
	// the next opening quick. Freeze comes next; after an error nothing does.
	Prepare(ctx context.Context) error

	// Freeze stops accepting, finishes the bursts in flight and stops reading.
	// It closes what cannot be handed over, politely, and returns everything
	// else. The connections stay as they are until Thaw or Release. It may
	// block until ctx is done; on an error it has thawed by itself.
	Freeze(ctx context.Context) ([]Conn, error)

	// Thaw undoes Freeze: the frozen connections and the listeners go on.
	Thaw()

	// CloseStore closes the store and releases its lock.
	CloseStore() error

	// ReopenStore opens the store again after CloseStore, whether or not that
	// failed.
	ReopenStore() error

	// Release forgets the frozen connections and the listeners without
	// shutting them down; they are another process's now. pid is that process.
	Release(pid int)
}

// Timeouts bound the steps of a hand-over. A zero field stands for its default.
type Timeouts struct {
	// Prepare bounds what happens while the giver still serves. Default 60 s.
	Prepare time.Duration

	// Freeze bounds Server.Freeze. Default 2 s.
	Freeze time.Duration

	// Transfer bounds the sending of all connections. Default 5 s.
	Transfer time.Duration

	// Open bounds the taker's opening of the store, during which every client
	// waits. Default 10 s.
	Open time.Duration

	// GiveUp is how long a taker that was told to give up may take to end
	// before it is killed. Default 5 s.
	GiveUp time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	setDefault(&t.Prepare, 60*time.Second)
	setDefault(&t.Freeze, 2*time.Second)
	setDefault(&t.Transfer, 5*time.Second)
	setDefault(&t.Open, 10*time.Second)
	setDefault(&t.GiveUp, 5*time.Second)
	return t
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

var (
	// ErrNobody says that no process listens for a taker: there is nothing to
	// take over, and the new process can start in the ordinary way.
	ErrNobody = errors.New("takeover: no running server to take over from")

	// ErrAborted says that the giver carries on and the taker has to go.
	ErrAborted = errors.New("takeover: the running server goes on")

	// ErrUnsupported says that this operating system cannot do it.
	ErrUnsupported = errors.New("takeover: not supported on this operating system")
)
