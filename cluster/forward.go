package cluster

import (
	"encoding/binary"
	"errors"

	"cairn/cluster/group"
	"cairn/session"
	"cairn/session/codec"
)

// A forward is a burst on its way to the node that leads its group:
//
//	kind, 1 byte    group    origin, 16 bytes
//	of a burst:     sequence    mark    the burst, as package codec has it
//
// The answer is a code, 1 byte, and what belongs to it: the results, or a text.
const (
	forwardBurst byte = iota + 1
	forwardRegister
	forwardBehind // group, first index of the log: the leader tells a replica that it needs a copy
	forwardOrder  // an Order as JSON
	forwardDrain  // draining as JSON: the leader tells a node
	forwardSick   // group, index, digest: the leader tells a replica that it differs from most
	forwardEcho   // nothing: it is answered at once
)

// Codes of answers.
const (
	answerResults byte = iota
	answerNotLeader
	answerLost
	answerStranger
	answerForgotten
	answerStopped
	answerRefused // the burst can never be carried out; the text says why
)

var answerCodes = map[byte]error{
	answerNotLeader: group.ErrNotLeader,
	answerLost:      group.ErrLost,
	answerStranger:  group.ErrStranger,
	answerForgotten: group.ErrForgotten,
	answerStopped:   group.ErrStopped,
}

var errForward = errors.New("cluster: malformed bytes from another node")

// refusedError is why the leader's node does not let a burst into the log.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return "cluster: the leader refuses the command: " + e.text }
func (e *refusedError) Unwrap() error { return session.ErrBadCommand }

// appendForward appends what asks another node to carry out w.
func appendForward(dst []byte, number uint64, w *group.Write, level codec.Level) ([]byte, error) {
	kind := forwardBurst
	if w.Register {
		kind = forwardRegister
	}
	dst = binary.AppendUvarint(append(dst, kind), number)
	dst = append(dst, w.Origin[:]...)
	if w.Register {
		return dst, nil
	}
	dst = binary.AppendUvarint(dst, w.Seq)
	dst = binary.AppendUvarint(dst, w.Mark)
	// What an earlier attempt to propose it here has added does not count there.
	w.Burst.Admission = session.Admission{}
	return codec.AppendBurst(dst, w.Burst, level)
}

// decodeForward is the reverse. The burst aliases body.
func decodeForward(body []byte) (number uint64, w *group.Write, err error) {
	if len(body) == 0 {
		return 0, nil, errForward
	}
	w = &group.Write{Register: body[0] == forwardRegister}
	if body[0] != forwardBurst && !w.Register {
		return 0, nil, errForward
	}
	number, body = cutNumber(body[1:])
	if len(body) < len(w.Origin) {
		return 0, nil, errForward
	}
	copy(w.Origin[:], body)
	body = body[len(w.Origin):]
	if w.Register {
		return number, w, nil
	}
	w.Seq, body = cutNumber(body)
	w.Mark, body = cutNumber(body)
	w.Burst = new(session.Burst)
	if _, err := codec.DecodeBurst(body, w.Burst); err != nil {
		return 0, nil, err
	}
	if len(w.Burst.Frames) > 0 || internal(w.Burst) {
		return 0, nil, errForward
	}
	return number, w, nil
}

// cutNumber takes a varint; without one, everything after it is empty.
func cutNumber(body []byte) (uint64, []byte) {
	n, size := binary.Uvarint(body)
	if size <= 0 {
		return 0, nil
	}
	return n, body[size:]
}

// encodeAnswer makes the answer to a forward.
func encodeAnswer(results []byte, err error) []byte {
	if err == nil {
		return append([]byte{answerResults}, results...)
	}
	for code, known := range answerCodes {
		if err == known {
			return []byte{code}
		}
	}
	return append([]byte{answerRefused}, err.Error()...)
}

// decodeAnswer is the reverse. The results alias body.
func decodeAnswer(body []byte) (results []byte, err error) {
	if len(body) == 0 {
		return nil, errForward
	}
	switch code := body[0]; {
	case code == answerResults:
		return body[1:], nil
	case answerCodes[code] != nil:
		return nil, answerCodes[code]
	case code == answerRefused:
		return nil, &refusedError{string(body[1:])}
	}
	return nil, errForward
}

// serve lets the group that leads here carry out what another node has forwarded.
func serve(replicas []Replica, body []byte, reply func(body []byte)) {
	number, w, err := decodeForward(body)
	if err == nil && number >= uint64(len(replicas)) {
		err = errForward
	}
	if err != nil {
		reply(encodeAnswer(nil, err))
		return
	}
	w.Done = func(results []byte, err error) { reply(encodeAnswer(results, err)) }
	replicas[number].Write(w)
}
