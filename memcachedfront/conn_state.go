package memcachedfront

import (
	"encoding/json"
	"fmt"

	"cairn/auth"
	"cairn/memcachedfront/protocol"
)

// connState is what another process needs to go on with a connection besides
// what serve knows.
type connState struct {
	User          string `json:",omitempty"`
	Proof         []byte `json:",omitempty"` // of the login, see auth.Ticket
	Dialect       dialect
	LoggedIn      bool          `json:",omitempty"`
	SASLStarted   bool          `json:",omitempty"`
	Closing       bool          `json:",omitempty"` // when the answers are out
	Swallow       int           `json:",omitempty"`
	Refused       *refusedState `json:",omitempty"` // what Swallow belongs to; nil: answered
	Resume        string        `json:",omitempty"` // a verb
	ResumeExptime int64         `json:",omitempty"`
	Seen          []byte        `json:",omitempty"` // see seen.Table.Append
}

// refusedState is a refused request whose body is being thrown away.
type refusedState struct {
	Fault  string // its line
	Quiet  bool   `json:",omitempty"`
	Opcode byte   `json:",omitempty"`
	Opaque uint32 `json:",omitempty"`
}

// State implements serve.Conn.
func (c *conn) State() ([]byte, error) {
	s := connState{
		Dialect:       c.dialect,
		LoggedIn:      c.authenticated && c.server.options.Guard != nil,
		SASLStarted:   c.saslStarted,
		Closing:       c.closing || c.errand != nil,
		Swallow:       c.swallow,
		ResumeExptime: c.resumeExptime,
		Seen:          c.fenced.table.Append(nil, c.server.options.Clock.Now()),
	}
	if ticket := c.known.ticket.Load(); ticket != nil {
		s.User, s.Proof = ticket.User, ticket.Proof
	}
	if r := &c.request; c.swallow > 0 {
		s.Refused = &refusedState{Fault: r.Fault.Line(), Quiet: r.Quiet, Opcode: r.Opcode, Opaque: r.Opaque}
	}
	if c.resume != protocol.Invalid {
		s.Resume = c.resume.String()
	}
	return json.Marshal(s)
}

// Restore implements serve.Conn. A client that needed no login where it was does
// here, if clients must log in here, and so does one whose credentials are not
// right any more.
func (c *conn) Restore(state []byte) error {
	var s connState
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("memcachedfront: the state of a connection: %w", err)
	}
	c.dialect = s.Dialect
	c.saslStarted = s.SASLStarted
	c.closing = s.Closing
	c.restoreRefused(s.Swallow, s.Refused)
	c.resumeExptime = s.ResumeExptime
	for _, verb := range []protocol.Verb{protocol.Get, protocol.Gets, protocol.Gat, protocol.Gats} {
		if s.Resume == verb.String() {
			c.resume = verb
		}
	}
	if s.LoggedIn {
		c.restoreLogin(auth.Ticket{User: s.User, Proof: s.Proof})
	}
	c.known.dialect.Store(uint32(s.Dialect))
	c.fenced.table.Restore(s.Seen, c.server.options.Clock.Now())
	return nil
}

func (c *conn) restoreLogin(t auth.Ticket) {
	if c.server.options.Guard != nil {
		c.loggedIn(t)
	}
}

// restoreRefused goes on with throwing away n bytes of a refused request. A
// server of an earlier version has answered it already.
func (c *conn) restoreRefused(n int, refused *refusedState) {
	c.swallow = n
	if refused == nil {
		c.request.Verb = protocol.Noop
		return
	}
	c.request = protocol.Request{
		Verb: protocol.Invalid, Fault: protocol.FaultOf(refused.Fault), Quiet: refused.Quiet,
		Opcode: refused.Opcode, Opaque: refused.Opaque,
	}
}
