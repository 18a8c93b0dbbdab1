package memcachedfront

import (
	"context"
	"io"
	"net"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// Bounds of one burst, so that a greedy client neither starves the others nor
// fills the memory.
const (
	maxBurstCommands = 1024
	maxBurstBytes    = 1 << 20
)

// dialect is what a client speaks. Its first byte decides.
type dialect uint8

const (
	undecided dialect = iota
	text
	binary
)

// conn is the protocol state of one client connection. It does no IO and is
// not safe for concurrent use. What it needs to be continued elsewhere is in
// its fields down to plan, together with the input not consumed and the output
// not sent.
type conn struct {
	server   *Server
	counters *counters
	remote   net.Addr

	dialect       dialect
	authenticated bool // or no authentication is needed
	saslStarted   bool // the client said how it logs in, not yet with what
	closing       bool // close when the answers are out

	// swallow is how many bytes of a refused request are still to be thrown
	// away.
	swallow int

	// resume is the verb of a retrieval whose line was begun in an earlier
	// burst, so that the input begins with further keys; else Invalid. With
	// resumeExptime in Gat and Gats.
	resume        protocol.Verb
	resumeExptime int64

	// plan holds one answer per request of the present burst.
	plan []answer

	// errand is what the loop must run when the answers are out, before it
	// consumes more input. Nil: nothing.
	errand errand

	// need is the number of bytes that must have arrived before it makes sense
	// to consume again.
	need int

	// scanned bytes at the front of the input are known to hold no line end.
	scanned int

	request protocol.Request
}

// An errand takes the connection over for something that no burst expresses
// and that may take long. It writes to the client with w. It ends early when
// ctx does. On an error the connection is closed.
type errand func(ctx context.Context, w io.Writer) error

func newConn(s *Server, remote net.Addr) *conn {
	return &conn{server: s, counters: s.counters.shard(), remote: remote, authenticated: s.options.Guard == nil}
}

// consume parses the requests at the front of in, adds their commands to b and
// plans their answers. It returns how many bytes it is done with. Those must
// stay unchanged until reply has been called; the rest is to be given again
// with more behind it. It stops at a request that is not complete, when the
// burst is full, at an errand, and when the connection is to be closed.
func (c *conn) consume(in []byte, b *session.Burst) (n int) {
	c.need = 0
	for n < len(in) && n < maxBurstBytes && c.errand == nil && !c.closing {
		if c.swallow > 0 {
			k := min(c.swallow, len(in)-n)
			c.swallow -= k
			n += k
			continue
		}
		k := c.consumeOne(in[n:], b)
		if k == 0 {
			break
		}
		n += k
	}
	return n
}

// consumeOne consumes the first request of in. It returns 0 if there is none
// or no room for it in the burst.
func (c *conn) consumeOne(in []byte, b *session.Burst) (n int) {
	if len(b.Commands) >= maxBurstCommands {
		return 0
	}
	if c.dialect == undecided {
		c.dialect = text
		if in[0] == protocol.BinaryMagic {
			c.dialect = binary
		}
	}
	parse := protocol.ParseText
	if c.dialect == binary {
		parse = protocol.ParseBinary
	}
	limits := &c.server.limits
	if !c.authenticated {
		limits = &loginLimits
	}
	n, err := parse(in, limits, &c.request)
	switch err {
	case nil:
		c.dispatch(&c.request, b)
		c.swallow = c.request.Swallow
	case protocol.ErrIncomplete:
		c.need = c.request.Need
	default:
		c.closing = true
	}
	return n
}

// reply appends the answers of the burst to dst, in the order of the requests,
// and forgets them. The results of b must be final.
func (c *conn) reply(dst []byte, b *session.Burst) []byte {
	for i := range c.plan {
		dst = c.answer(dst, &c.plan[i], b)
	}
	clear(c.plan)
	c.plan = c.plan[:0]
	return dst
}
