package memcachedfront

import (
	bytesof "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cairn/memcachedfront/protocol"
)

// connStateVersion is the version of connState. A process that is given a later
// one than it knows refuses it.
const connStateVersion = 1

// connState is what another process needs to go on with a connection. It is
// written as the length of its JSON in four bytes, the JSON, and the bytes of
// input and output as they are: those can be many.
type connState struct {
	Version       int
	ID            uint64
	Since         time.Time
	Listener      string `json:",omitempty"` // Address.String()
	User          string `json:",omitempty"`
	Dialect       dialect
	LoggedIn      bool   `json:",omitempty"`
	SASLStarted   bool   `json:",omitempty"`
	Closing       bool   `json:",omitempty"` // when output is out
	Swallow       int    `json:",omitempty"`
	Resume        string `json:",omitempty"` // a verb
	ResumeExptime int64  `json:",omitempty"`
	InputLength   int    `json:",omitempty"`

	input  []byte // not consumed
	output []byte // not sent
}

// connState gives what is to be known of a connection that no burst is under
// way for. An errand that would begin when the output is out is not known
// elsewhere: the connection ends there.
func (l *link) connState(input, output []byte) ([]byte, error) {
	c := l.conn
	s := connState{
		Version:       connStateVersion,
		ID:            l.id,
		Since:         l.since,
		Listener:      l.listener.address.String(),
		Dialect:       c.dialect,
		LoggedIn:      c.authenticated && l.server.options.Guard != nil,
		SASLStarted:   c.saslStarted,
		Closing:       c.closing || c.errand != nil,
		Swallow:       c.swallow,
		ResumeExptime: c.resumeExptime,
		InputLength:   len(input),
	}
	if user := l.user.Load(); user != nil {
		s.User = *user
	}
	if c.resume != protocol.Invalid {
		s.Resume = c.resume.String()
	}
	facts, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	state := make([]byte, 0, 4+len(facts)+len(input)+len(output))
	state = bytesof.BigEndian.AppendUint32(state, uint32(len(facts)))
	state = append(state, facts...)
	state = append(state, input...)
	return append(state, output...), nil
}

var errCutState = errors.New("memcachedfront: the state of a connection ends too early")

// parseConnState reads what connState gave. The result aliases state.
func parseConnState(state []byte) (s connState, err error) {
	if len(state) < 4 {
		return s, errCutState
	}
	length, state := uint64(bytesof.BigEndian.Uint32(state)), state[4:]
	if length > uint64(len(state)) {
		return s, errCutState
	}
	if err := json.Unmarshal(state[:length], &s); err != nil {
		return s, fmt.Errorf("memcachedfront: the state of a connection: %w", err)
	}
	if s.Version < 1 || s.Version > connStateVersion {
		return s, fmt.Errorf("memcachedfront: the state of a connection has version %d, not up to %d", s.Version, connStateVersion)
	}
	rest := state[length:]
	if s.InputLength < 0 || s.InputLength > len(rest) {
		return s, errCutState
	}
	s.input, s.output = rest[:s.InputLength:s.InputLength], rest[s.InputLength:]
	return s, nil
}

// restore makes l go on where the connection stood. One that needed no login
// there does here, if clients must log in here.
func (l *link) restore(s *connState) {
	c := l.conn
	l.id, l.since = s.ID, s.Since
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
		l.user.Store(&s.User)
	}
	l.dialect.Store(uint32(s.Dialect))
}
