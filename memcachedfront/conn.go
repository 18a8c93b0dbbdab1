package memcachedfront

import (
	"bytes"
	"context"
	"io"
	"net"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// Bounds of what one connection may put into a burst, so that a greedy client
// neither starves the others nor fills the memory.
const (
	maxBurstBytes    = 1 << 20
	maxBurstCommands = 1024
	minBurstCommands = 1

	// A connection begins with room for firstBurstCommands and gets more while
	// its answers are short: a client that reads large values must not make
	// the server hold a thousand of them.
	firstBurstCommands = 8
	longAnswers        = 1 << 20 // bytes

	// maxKeptPlan is the number of answers that a connection keeps memory for.
	maxKeptPlan = 64

	// replyChunk is the number of bytes of answers after which they are sent,
	// though there may be more.
	replyChunk = 256 << 10
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

	// loggedIn is told who has logged in.
	loggedIn func(user string)

	// swallow is how many bytes of a refused request are still to be thrown
	// away.
	swallow int

	// resume is the verb of a retrieval whose line was begun in an earlier
	// burst, so that the input begins with further keys; else Invalid. With
	// resumeExptime in Gat and Gats.
	resume        protocol.Verb
	resumeExptime int64

	// plan holds one answer per request of the present burst, the first
	// answered of which are out, which took replied bytes.
	plan     []answer
	answered int
	replied  int

	// out is what answers go to while reply runs.
	out *output

	// full says that no further request may join the burst.
	full bool

	// limit is how many commands the connection may have in a burst; start is
	// where its own begin in the present one.
	limit, start int

	// retrievalFault is what went wrong in the retrieval being answered.
	retrievalFault protocol.Fault

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
type errand func(ctx context.Context, w peer) error

// peer is the client as an errand sees it.
type peer interface {
	io.Writer

	// Gone reports whether the client has closed the connection, as far as
	// that is known without a write.
	Gone() bool
}

func newConn(s *Server, remote net.Addr) *conn {
	return &conn{
		server:        s,
		counters:      s.counters.shard(),
		remote:        remote,
		authenticated: s.options.Guard == nil,
		limit:         firstBurstCommands,
		loggedIn:      func(string) {},
	}
}

// consume parses the requests at the front of in, adds their commands to b and
// plans their answers. It returns how many bytes it is done with. Those must
// stay unchanged until reply has been called; the rest is to be given again
// with more behind it. It stops at a request that is not complete, when the
// burst is full, at an errand, and when the connection is to be closed.
func (c *conn) consume(in []byte, b *session.Burst) (n int) {
	c.need = 0
	c.start = len(b.Commands)
	c.full = false
	for n < len(in) && n < maxBurstBytes && c.errand == nil && !c.closing && !c.full {
		k := 0
		switch {
		case c.swallow > 0:
			k = min(c.swallow, len(in)-n)
			c.swallow -= k
		case c.resume != protocol.Invalid:
			k = c.resumeRetrieval(in[n:], b)
		default:
			k = c.consumeOne(in[n:], b)
		}
		if k == 0 {
			c.closing = c.closing || !c.authenticated && len(in)-n > maxLoginInput
			break
		}
		n += k
		c.scanned = 0
	}
	return n
}

// room reports whether another command of the connection fits into the burst.
func (c *conn) room(b *session.Burst) bool { return len(b.Commands)-c.start < c.limit }

// consumeOne consumes the first request of in. It returns 0 if there is none
// or no room for it in the burst.
func (c *conn) consumeOne(in []byte, b *session.Burst) (n int) {
	if !c.room(b) || !c.mayBeComplete(in) {
		return 0
	}
	n, err := c.parse(in)
	switch err {
	case nil:
		if c.request.Verb == protocol.Stats {
			// Statistics tell what came before them and nothing else, so they
			// have a burst of their own.
			if c.full = true; len(c.plan) > 0 {
				return 0
			}
		}
		c.dispatch(&c.request, b)
		c.swallow = c.request.Swallow
		if c.resume != protocol.Invalid {
			n -= unread(in[:n], &c.request)
		}
	case protocol.ErrIncomplete:
		if c.need = c.request.Need; c.need == 0 {
			c.scanned = len(in)
		}
	default:
		c.closing = true
	}
	return n
}

func (c *conn) parse(in []byte) (n int, err error) {
	limits := &c.server.limits
	if !c.authenticated {
		limits = &loginLimits
	}
	if c.dialect == undecided {
		c.dialect = text
		if in[0] == protocol.BinaryMagic {
			c.dialect = binary
		}
	}
	if c.dialect == binary {
		return protocol.ParseBinary(in, limits, &c.request)
	}
	return protocol.ParseText(in, limits, &c.request)
}

// mayBeComplete spares a client that sends a long line in many pieces, and the
// server, from looking for the line's end in all of it each time. Its answer
// is true when in doubt.
func (c *conn) mayBeComplete(in []byte) bool {
	if c.scanned == 0 || bytes.IndexByte(in[c.scanned:], '\n') >= 0 {
		return true
	}
	undecided := c.scanned <= protocol.MaxLine || len(in) > protocol.MaxRetrievalLine
	c.scanned = len(in)
	return undecided
}

// unread gives how many bytes at the end of line belong to keys that the burst
// had no room for, with the line's end.
func unread(line []byte, r *protocol.Request) int {
	end := 1
	if bytes.HasSuffix(line, []byte("\r\n")) {
		end = 2
	}
	return len(r.Keys) + end
}

// resumeRetrieval goes on with the keys of a retrieval begun earlier. Its line
// is known to be complete.
func (c *conn) resumeRetrieval(in []byte, b *session.Burst) (n int) {
	if !c.room(b) {
		return 0
	}
	r := &c.request
	r.Reset()
	r.Verb, r.Exptime = c.resume, c.resumeExptime
	n, _ = protocol.ParseKeys(in, r)
	c.retrieve(r, b)
	if c.resume != protocol.Invalid {
		n -= unread(in[:n], r)
	}
	return n
}

// reply replaces what is in out by answers to the burst's requests, in the
// order of the requests. It stops when they are long enough to be sent; done
// reports that there are no more of them, and that those in out need neither b
// nor the input any longer. The results of b must be final.
func (c *conn) reply(out *output, b *session.Burst) (done bool) {
	out.reset()
	c.out = out
	for c.answered < len(c.plan) && !c.enough(out.text) {
		if out.text, done = c.answer(out.text, &c.plan[c.answered], b); !done {
			break
		}
		c.answered++
	}
	c.out = nil
	c.replied += out.len()
	if c.answered < len(c.plan) || len(out.lent) > 0 {
		return false
	}
	c.forget()
	return true
}

// enough reports whether the answers in dst are worth sending before more of
// them are made.
func (c *conn) enough(dst []byte) bool { return len(dst)+c.out.size >= replyChunk }

// appendValue appends a value of the burst's results to dst, or lends it to the
// output.
func (c *conn) appendValue(dst, value []byte) []byte {
	if len(value) < minLent {
		return append(dst, value...)
	}
	c.out.lent = append(c.out.lent, lent{at: len(dst), value: value})
	c.out.size += len(value)
	return dst
}

// forget empties the plan and learns from how long the answers were.
func (c *conn) forget() {
	if c.replied > longAnswers {
		c.limit = max(c.limit/4, minBurstCommands)
	} else {
		c.limit = min(c.limit*2, maxBurstCommands)
	}
	clear(c.plan)
	c.plan = c.plan[:0]
	if cap(c.plan) > maxKeptPlan {
		c.plan = nil
	}
	c.answered, c.replied = 0, 0
}
