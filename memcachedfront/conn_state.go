package memcachedfront

import (
	"encoding/json"
	"fmt"

	"cairn/memcachedfront/protocol"
)

// connState is what another process needs to go on with a connection besides
// what serve knows.
type connState struct {
	User          string `json:",omitempty"`
	Dialect       dialect
	LoggedIn      bool   `json:",omitempty"`
	SASLStarted   bool   `json:",omitempty"`
	Closing       bool   `json:",omitempty"` // when the answers are out
	Swallow       int    `json:",omitempty"`
	Resume        string `json:",omitempty"` // a verb
	ResumeExptime int64  `json:",omitempty"`
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
	}
	if user := c.known.user.Load(); user != nil {
		s.User = *user
	}
	if c.resume != protocol.Invalid {
		s.Resume = c.resume.String()
	}
	return json.Marshal(s)
}

// Restore implements serve.Conn. A client that needed no login where it was does
// here, if clients must log in here.
func (c *conn) Restore(state []byte) error {
	var s connState
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("memcachedfront: the state of a connection: %w", err)
	}
	c.dialect = s.Dialect
	c.authenticated = c.authenticated || s.LoggedIn
	c.saslStarted = s.SASLStarted
	c.closing = s.Closing
	c.swallow = s.Swallow
	c.resumeExptime = s.ResumeExptime
	for _, verb := range []protocol.Verb{protocol.Get, protocol.Gets, protocol.Gat, protocol.Gats} {
		if s.Resume == verb.String() {
			c.resume = verb
		}
	}
	if s.User != "" {
		c.known.user.Store(&s.User)
	}
	c.known.dialect.Store(uint32(s.Dialect))
	return nil
}
