// Package serve serves clients of a request-reply protocol: listeners, event
// loops, TLS, limits on who may connect, idle clients, clean stops, and handing
// open connections over to another process. It knows no protocol.
//
// A Protocol makes a Conn per connection, which turns bytes that arrived into
// the commands of a session.Burst and the results of that into bytes. It does
// no IO. The Server owns the sockets, applies the bursts to the Store, and lets
// no answer out before its results are final.
package serve

import (
	"context"
	"io"
	"time"

	"cairn/session"
)

// Protocol is what the clients of a Server speak.
type Protocol interface {
	// NewConn makes the state of a new connection. It may be called by several
	// goroutines at once.
	NewConn(l *Link) Conn
}

// Conn is the protocol state of one connection. The Server calls its methods
// one at a time.
type Conn interface {
	// Opened says that the connection is being served from now on, and Closed
	// that it has ended: nil says that the client or the Conn wanted that.
	Opened()
	Closed(err error)

	// Consume parses the requests at the front of in, and adds their commands to
	// b, which is empty. It returns how many bytes it is done with: those stay
	// unchanged until Reply is done; the rest is given again with more behind it.
	// It stops at a request that is not complete, when the burst has enough, at
	// an errand, and when the connection is to be closed. need is how much of the
	// rest must have arrived, in bytes, before it makes sense to call again; 0 if
	// that is not known.
	Consume(in []byte, b *session.Burst) (used, need int)

	// Reply appends answers to out, in the order of the requests. b has only
	// what the last Consume added, with results that are final. It stops when
	// the answers are long enough to be sent (see Output.Enough), and is then
	// called again with out empty; done reports that there are no more of them,
	// and that those in out need neither b nor the input any longer.
	Reply(out *Output, b *session.Burst) (done bool)

	// Replied says how long it took from the arrival of what Consume used until
	// the answers were handed to the operating system.
	Replied(took time.Duration)

	// Errand returns what the connection must be used for when the answers are
	// out, before more input is consumed, and forgets it. Nil: nothing.
	Errand() Errand

	// Closing reports whether the connection is to be closed when the answers
	// are out.
	Closing() bool

	// State returns what another process needs to go on with the connection
	// besides the input that was not consumed and the output that was not sent:
	// a JSON object. Nothing is under way then except answers to be sent. An
	// errand that has not begun ends the connection there.
	State() ([]byte, error)

	// Restore makes a new Conn go on where State was taken. It ignores names
	// that it does not know: those of the Server's own state are there too.
	Restore(state []byte) error
}

// An Errand takes a connection over for something that no burst expresses and
// that may take long. It writes to the client with p. It ends early when ctx
// does. On an error the connection is closed.
type Errand func(ctx context.Context, p Peer) error

// Peer is the client as an Errand sees it. Write waits as long as the client
// reads slowly.
type Peer interface {
	io.Writer

	// Gone reports whether the client has closed the connection, as far as that
	// is known without a write.
	Gone() bool
}
