package memcachedfront

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"

	"cairn/auth"
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

const (
	saslMechanism     = "PLAIN"
	authenticatedText = "Authenticated"

	// maxLoginInput is how many bytes a client may send without logging in.
	maxLoginInput = 4096
)

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

func (c *conn) saslList(a *answer) {
	if c.server.options.Guard == nil {
		a.refuse(protocol.UnknownCommand)
	}
}

func (c *conn) saslAuth(a *answer, r *protocol.Request) {
	switch {
	case c.server.options.Guard == nil:
		a.refuse(protocol.UnknownCommand)
	case !strings.EqualFold(string(r.Key), saslMechanism):
		a.refuse(protocol.AuthFailed)
	case len(r.Value) == 0:
		c.saslStarted = true
		a.verb = protocol.SASLStep // the client is to go on with one
	default:
		c.saslLogin(a, r.Value)
	}
}

func (c *conn) saslStep(a *answer, r *protocol.Request) {
	switch {
	case c.server.options.Guard == nil:
		a.refuse(protocol.UnknownCommand)
	case !c.saslStarted:
		a.refuse(protocol.AuthFailed)
	default:
		c.saslStarted = false
		a.verb = protocol.SASLAuth
		c.saslLogin(a, r.Value)
	}
}

func (c *conn) saslLogin(a *answer, message []byte) {
	c.authenticated = false
	user, password, err := auth.ParsePlain(message)
	if err != nil {
		user, password = nil, nil // which are never right
	}
	c.login(a, user, password)
}

// login answers with a if the credentials are known to be right. Otherwise it
// takes a off the plan again and leaves checking and answering to an errand,
// because that can take seconds.
func (c *conn) login(a *answer, user, password []byte) {
	guard := c.server.options.Guard
	if guard.Recall(c.address(), user, password) {
		c.authenticated = true
		return
	}
	planned := *a
	c.plan = c.plan[:len(c.plan)-1]
	user, password = bytes.Clone(user), bytes.Clone(password)
	c.errand = func(ctx context.Context, w peer) error {
		if c.authenticated = guard.Check(ctx, c.address(), user, password); !c.authenticated {
			planned.refuse(protocol.AuthFailed)
		}
		line, _ := c.answer(nil, &planned, nil)
		_, err := w.Write(line)
		return err
	}
}

// address is the client's address for the Guard; the zero one on a Unix
// socket.
func (c *conn) address() netip.Addr {
	if tcp, ok := c.remote.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}
