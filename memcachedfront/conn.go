package memcachedfront

import (
	"bytes"
	"time"

	"cairn/memcachedfront/protocol"
	"cairn/serve"
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
	link     *serve.Link
	counters *counters
	known    known
	fenced   fenced

	dialect       dialect
	authenticated bool // or no authentication is needed
	saslStarted   bool // the client said how it logs in, not yet with what
	closing       bool // close when the answers are out

	// swallow is how many bytes of the request, which is refused, are still to
	// be thrown away before it is answered.
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
	out *serve.Output

	// full says that no further request may join the burst.
	full bool

	// limit is how many commands the connection may have in a burst; start is
	// where its own begin in the present one.
	limit, start int

	// tally counts the requests of the burst.
	tally tally

	// showing is what operators see of the requests that are being answered. Nil:
	// nobody watches.
	showing *showing

	// retrievalFault is what went wrong in the retrieval being answered.
	retrievalFault protocol.Fault

	// errand is what must be run when the answers are out, before more input is
	// consumed. Nil: nothing.
	errand serve.Errand

	// need is the number of bytes that must have arrived before it makes sense
	// to consume again.
	need int

	// scanned bytes at the front of the input are known to hold no line end.
	scanned int

	request protocol.Request
}

func newConn(s *Server, l *serve.Link) *conn {
	return &conn{
		server:        s,
		link:          l,
		counters:      &s.counters.shards[l.Shard()],
		authenticated: s.options.Guard == nil,
		limit:         firstBurstCommands,
	}
}

// Opened implements serve.Conn.
func (c *conn) Opened() { c.server.watchers.connected(c) }

// Closed implements serve.Conn.
func (c *conn) Closed(err error) {
	c.freeLocks(err)
	c.server.watchers.disconnected(c, err)
}

// Closing implements serve.Conn.
func (c *conn) Closing() bool { return c.closing }

// Errand implements serve.Conn.
func (c *conn) Errand() serve.Errand {
	errand := c.errand
	c.errand = nil
	return errand
}

// Consume implements serve.Conn: it plans the answers to what it consumes.
func (c *conn) Consume(in []byte, b *session.Burst) (used, need int) {
	b.Origin = c
	used = c.consume(in, b)
	if used > 0 {
		c.depend(b)
		c.patient(b, used < len(in))
		c.known.began(c.plan, c.dialect)
		c.tally.add(c.plan)
	}
	return used, c.need
}

func (c *conn) consume(in []byte, b *session.Burst) (n int) {
	c.need = 0
	c.start = len(b.Commands)
	c.full = false
	c.fenced.keys = c.fenced.keys[:0]
	for n < len(in) && n < maxBurstBytes && c.errand == nil && !c.closing && !c.full {
		k := 0
		switch {
		case c.swallow > 0:
			k = c.throwAway(len(in)-n, b)
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
		if c.waits(&c.request, b) {
			c.full = true
			return 0
		}
		if c.swallow = c.request.Swallow; c.swallow > 0 {
			break
		}
		c.dispatch(&c.request, b)
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
	c.request.Forget() // a connection must not keep a large value from one request to the next
	return n
}

// throwAway consumes what has arrived of the body of a refused request. Its
// client gets the answer behind the body, as from memcached: some do not read
// before they have sent everything.
func (c *conn) throwAway(arrived int, b *session.Burst) (n int) {
	n = min(c.swallow, arrived)
	if c.swallow -= n; c.swallow == 0 && c.request.Verb == protocol.Invalid {
		c.dispatch(&c.request, b)
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

// unread returns how many bytes at the end of line belong to keys that the burst
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

// Reply implements serve.Conn.
func (c *conn) Reply(out *serve.Output, b *session.Burst) (done bool) {
	if c.answered == 0 && c.replied == 0 {
		if len(b.Commands) > 0 {
			c.learn(b)
			c.server.answering(c, b)
		}
		if c.server.options.Live.Wanted() {
			c.show(b)
		}
	}
	c.out = out
	for c.answered < len(c.plan) && !out.Enough(out.Text) {
		if out.Text, done = c.answer(out.Text, &c.plan[c.answered], b); !done {
			break
		}
		c.answered++
	}
	c.out = nil
	c.replied += out.Len()
	if c.answered < len(c.plan) || out.Lends() {
		return false
	}
	c.forget()
	return true
}

// Replied implements serve.Conn.
func (c *conn) Replied(took time.Duration) {
	c.counters.latencies.record(&c.tally, took)
	c.tellShowing(took)
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
