package memcachedfront

import (
	"bytes"
	"context"
	"time"

	"cairn/auth"
	"cairn/memcachedfront/protocol"
	"cairn/serve"
	"cairn/session"
)

// loginGrace is how long a login may still take when everything else ends: it
// suffices for a password that is right.
const loginGrace = 150 * time.Millisecond

// maxLoginInput is how long an incomplete request in bytes may be whose client
// has not logged in.
const maxLoginInput = 4096

// loginLimits bound the requests of clients that have not logged in.
var loginLimits = protocol.Limits{MaxKeyLen: session.MaxKeyLen, MaxValueSize: 2*auth.MaxFieldLen + 2}

// mustLogIn refuses r if its client has to log in first, which is what a text
// client does with its first set. It reports whether r needs nothing more.
func (c *conn) mustLogIn(r *protocol.Request) bool {
	if c.dialect == binary {
		return c.mustLogInBinary(r)
	}
	switch {
	case r.Verb == protocol.Set:
		c.textLogin(r)
	case r.Verb == protocol.Version, r.Verb == protocol.Quit:
		return false
	case r.Fault == protocol.BadChunk:
		c.planFault(protocol.BadAuthEnding)
	default:
		c.planFault(protocol.Unauthenticated)
	}
	return true
}

// mustLogInBinary lets everything pass that memcached does, and quit. The rest
// closes the connection.
func (c *conn) mustLogInBinary(r *protocol.Request) bool {
	switch protocol.BinaryVerb(r.Opcode) {
	case protocol.SASLList, protocol.SASLAuth, protocol.SASLStep, protocol.Version, protocol.Quit:
		return false
	}
	if r.Fatal && r.Fault == protocol.UnknownCommand {
		return false
	}
	r.Verb, r.Fault, r.Fatal, r.Swallow = protocol.Invalid, protocol.Unauthenticated, true, 0
	return false
}

func (c *conn) planFault(f protocol.Fault) {
	c.plan = append(c.plan, answer{verb: protocol.Invalid, fault: f})
}

func (c *conn) textLogin(r *protocol.Request) {
	user, password, err := auth.ParseToken(r.Value)
	if err != nil {
		c.planFault(protocol.BadAuthToken)
		return
	}
	c.plan = append(c.plan, answer{verb: protocol.SASLAuth, line: protocol.Stored})
	c.login(&c.plan[len(c.plan)-1], user, password)
}

// login answers with a if the credentials are known to be right. Otherwise it
// takes a off the plan again and leaves checking and answering to an errand,
// because that can take seconds.
func (c *conn) login(a *answer, user, password []byte) {
	guard := c.server.options.Guard
	c.counters.add(authCmds, 1)
	if ticket, ok := guard.Recall(c.link.Origin(), user, password); ok && c.loggedIn(ticket) {
		return
	}
	planned := *a
	c.plan = c.plan[:len(c.plan)-1]
	user, password = bytes.Clone(user), bytes.Clone(password)
	c.errand = func(ctx context.Context, w serve.Peer) error {
		ctx, done := outlive(ctx, loginGrace)
		defer done()
		ticket, right := guard.Check(ctx, c.link.Origin(), user, password)
		switch {
		case right && c.loggedIn(ticket):
		case ctx.Err() != nil:
			return ctx.Err() // nothing was found out
		default:
			c.counters.add(authErrors, 1)
			planned.refuse(protocol.AuthFailed)
		}
		reply, _ := c.answer(nil, &planned, nil)
		_, err := w.Write(reply)
		return err
	}
}

// loggedIn lets the client in, unless its credentials have been withdrawn: then
// LogOut may have looked before it could see this one.
func (c *conn) loggedIn(t auth.Ticket) bool {
	c.known.ticket.Store(&t)
	if c.authenticated = c.server.options.Guard.Valid(t); c.authenticated {
		c.link.Welcome()
	}
	return c.authenticated
}

// LogOut closes the connections of those whose credentials are not right any
// more. It is to be called when the users have changed.
func (s *Server) LogOut() {
	for _, l := range s.Links() {
		ticket := l.Conn().(*conn).known.ticket.Load()
		if ticket != nil && !s.options.Guard.Valid(*ticket) {
			s.CloseConnection(l.ID())
		}
	}
}

// outlive returns a context that ends d after ctx does, or when done is called.
func outlive(ctx context.Context, d time.Duration) (longer context.Context, done context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}
