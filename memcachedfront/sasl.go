package memcachedfront

import (
	"strings"

	"cairn/auth"
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// saslMechanism is the only one there is; see RFC 4616.
const saslMechanism = "PLAIN"

func (c *conn) saslList(a *answer, r *protocol.Request, b *session.Burst) {
	if c.server.options.Guard == nil {
		a.refuse(protocol.UnknownCommand)
	}
}

func (c *conn) saslAuth(a *answer, r *protocol.Request, b *session.Burst) {
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

func (c *conn) saslStep(a *answer, r *protocol.Request, b *session.Burst) {
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

// saslLogin takes an earlier login back and tries that of message.
func (c *conn) saslLogin(a *answer, message []byte) {
	c.authenticated = false
	user, password, err := auth.ParsePlain(message)
	if err != nil {
		user, password = nil, nil // which are never right
	}
	c.login(a, user, password)
}

func (c *conn) answerSASLList(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	return protocol.AppendBinary(dst, h, nil, saslMechanism)
}

// answerSASLAuth is the answer to a login that succeeded, in one step or two.
func (c *conn) answerSASLAuth(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	return protocol.AppendBinary(dst, h, nil, "Authenticated")
}

// answerSASLStep asks the client for its message.
func (c *conn) answerSASLStep(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	h.Status = protocol.StatusAuthContinue
	return protocol.AppendBinary(dst, h, nil, "")
}
