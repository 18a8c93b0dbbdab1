package serve

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// StateFormat names the form of FrozenConn.State. It changes when a server of
// the form before could not go on with it.
const StateFormat = "cairn-connection/1"

// connStateVersion is the version of connState. A process that is given a later
// one than it knows refuses it.
const connStateVersion = 1

// connState is what another process needs to go on with a connection. It is
// written as a length in four bytes, a JSON object of that length, which has
// these names and those of Conn.State, and the bytes of input and output as they
// are: those can be many.
type connState struct {
	Version     int
	ID          uint64
	Since       time.Time
	Listener    string `json:",omitempty"` // Address.String()
	InputLength int    `json:",omitempty"`

	facts  []byte // the JSON object
	input  []byte // not consumed
	output []byte // not sent
}

// connState returns what is to be known of a connection that no burst is under
// way for.
func (l *Link) connState(input, output []byte) ([]byte, error) {
	facts, err := json.Marshal(connState{
		Version:     connStateVersion,
		ID:          l.id,
		Since:       l.since,
		Listener:    l.listener.address.String(),
		InputLength: len(input),
	})
	if err != nil {
		return nil, err
	}
	protocols, err := l.conn.State()
	if err != nil {
		return nil, err
	}
	facts = mergeObjects(facts, protocols)
	state := make([]byte, 0, 4+len(facts)+len(input)+len(output))
	state = binary.BigEndian.AppendUint32(state, uint32(len(facts)))
	state = append(state, facts...)
	state = append(state, input...)
	return append(state, output...), nil
}

// mergeObjects returns a JSON object with the members of a, of which there are
// some, and those of b.
func mergeObjects(a, b []byte) []byte {
	if len(b) <= len("{}") {
		return a
	}
	return append(append(a[:len(a)-1], ','), b[1:]...)
}

var errCutState = errors.New("serve: the state of a connection ends too early")

// parseConnState reads what connState gave. The result aliases state.
func parseConnState(state []byte) (s connState, err error) {
	if len(state) < 4 {
		return s, errCutState
	}
	length, state := uint64(binary.BigEndian.Uint32(state)), state[4:]
	if length > uint64(len(state)) {
		return s, errCutState
	}
	if err := json.Unmarshal(state[:length], &s); err != nil {
		return s, fmt.Errorf("serve: the state of a connection: %w", err)
	}
	if s.Version < 1 || s.Version > connStateVersion {
		return s, fmt.Errorf("serve: the state of a connection has version %d, not up to %d", s.Version, connStateVersion)
	}
	rest := state[length:]
	if s.InputLength < 0 || s.InputLength > len(rest) {
		return s, errCutState
	}
	s.facts = state[:length]
	s.input, s.output = rest[:s.InputLength:s.InputLength], rest[s.InputLength:]
	return s, nil
}

// restore makes l go on where the connection stood.
func (l *Link) restore(s *connState) error {
	l.id, l.since = s.ID, s.Since
	return l.conn.Restore(s.facts)
}
