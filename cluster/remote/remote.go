// Package remote is what a proxy asks of a node, and what the node answers, as bytes.
// A proxy has no replica: it lets nodes read for it, and forwards what has to go
// through a log.
//
// A call is its kind, 1 byte, and what belongs to it:
//
//	status:   nothing; the answer is a Status
//	forward:  a forward, as nodes send it to each other; so is the answer
//	relay:    the same, to a node that does not lead: it passes the forward on
//	read:     group, a burst of package codec; the answer is a Reading
//	scan:     a Scan; the answer is a page of items
//	owners:   a Scan; the answer is a page of owners
//
// The answer to all but forwards begins with a code, 1 byte.
package remote

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cairn/session"
	"cairn/session/codec"
)

// Kind says what a call asks for.
type Kind byte

// Kinds of calls.
const (
	KindStatus Kind = iota + 1
	KindForward
	KindRelay
	KindRead
	KindScan
	KindOwners
)

// Codes of answers.
const (
	codeDone byte = iota
	codeNeedsLog
	codeElsewhere
	codeFailed // and a text
)

var (
	// ErrElsewhere: the node cannot answer now. Another may.
	ErrElsewhere = errors.New("remote: the node cannot answer at the moment")

	// ErrMalformed is the error of bytes that no proxy and no node wrote.
	ErrMalformed = errors.New("remote: malformed bytes")
)

// failedError is why a node did not do what was asked; another will not, either.
type failedError struct{ text string }

func (e *failedError) Error() string { return "a node of the cluster says: " + e.text }

// AppendCall appends a call of a kind. What follows is appended by the caller.
func AppendCall(dst []byte, kind Kind) []byte { return append(dst, byte(kind)) }

// CutCall splits a call into its kind and the rest.
func CutCall(call []byte) (kind Kind, body []byte, err error) {
	if len(call) == 0 {
		return 0, nil, ErrMalformed
	}
	return Kind(call[0]), call[1:], nil
}

// Failure is an answer that says err: session.ErrNeedsLog and ErrElsewhere as
// themselves, and others as a text.
func Failure(err error) []byte {
	switch {
	case errors.Is(err, session.ErrNeedsLog):
		return []byte{codeNeedsLog}
	case errors.Is(err, ErrElsewhere):
		return []byte{codeElsewhere}
	}
	return append([]byte{codeFailed}, err.Error()...)
}

// Open returns what an answer holds, or its error.
func Open(answer []byte) ([]byte, error) {
	if len(answer) == 0 {
		return nil, ErrMalformed
	}
	switch answer[0] {
	case codeDone:
		return answer[1:], nil
	case codeNeedsLog:
		return nil, session.ErrNeedsLog
	case codeElsewhere:
		return nil, ErrElsewhere
	case codeFailed:
		return nil, &failedError{string(answer[1:])}
	}
	return nil, ErrMalformed
}

// Status is what a node knows of its cluster.
type Status struct {
	Node   uint64        `json:"node,string"`
	Nodes  []Node        `json:"nodes"`  // the members
	Groups []Group       `json:"groups"` // empty: the cluster has not begun
	Stats  session.Stats `json:"stats"`  // of the node's replicas
	Now    time.Time     `json:"now"`    // by the node's own clock; zero: the node does not say

	// Connected are the other nodes to which this one has a connection. A node that says
	// no Now says nothing of them either.
	Connected []uint64 `json:"connected,omitempty"`
}

// Node is a member of the cluster.
type Node struct {
	Node    uint64 `json:"node,string"`
	Address string `json:"address"`
	Zone    string `json:"zone,omitempty"`    // "": none is known
	Drained bool   `json:"drained,omitempty"` // it is to have no new clients
}

// Group is a group as its replica on the node sees it.
type Group struct {
	Term   uint64       `json:"term"`
	Leader uint64       `json:"leader,string"` // 0: none is known
	Clock  session.Time `json:"clock"`         // of the log

	Committed uint64 `json:"committed,omitempty"` // index of the log; 0: the node does not say
	Applied   uint64 `json:"applied,omitempty"`
}

// Scan asks for items or owners, in ascending order.
type Scan struct {
	Owner  []byte `json:"owner,omitempty"` // items of this owner only
	Prefix []byte `json:"prefix,omitempty"`
	After  []byte `json:"after,omitempty"` // nil: from the beginning
	Values bool   `json:"values,omitempty"`
}

// Owners is a page of owners.
type Owners struct {
	Owners []session.OwnerSummary `json:"owners"`
	More   bool                   `json:"more"`
}

// EncodeJSON makes an answer, or the body of a call, of v.
func EncodeJSON(dst []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers, strings and bytes
	}
	return append(dst, text...)
}

// ScanTime is how long a node looks for a page.
const ScanTime = 10 * time.Second

// Answer is an answer that holds v as JSON.
func Answer(v any) []byte { return EncodeJSON([]byte{codeDone}, v) }

// AppendRead appends what reads commands of a group: kind, group and burst.
func AppendRead(dst []byte, group uint64, b *session.Burst, level codec.Level) ([]byte, error) {
	return codec.AppendBurst(binary.AppendUvarint(AppendCall(dst, KindRead), group), b, level)
}

// DecodeRead makes b what a call asks to read. It aliases body.
func DecodeRead(body []byte, b *session.Burst) (group uint64, err error) {
	group, size := binary.Uvarint(body)
	if size <= 0 {
		return 0, ErrMalformed
	}
	if _, err := codec.DecodeBurst(body[size:], b); err != nil {
		return 0, err
	}
	for i := range b.Commands {
		if b.Commands[i].Writes() {
			return 0, fmt.Errorf("%w: a read that writes", ErrMalformed)
		}
	}
	if len(b.Frames) > 0 {
		return 0, ErrMalformed
	}
	return group, nil
}

// MaxPage is about how many bytes of values and keys an answer has, if that is more
// than one item.
const MaxPage = 4 << 20

// fits returns how many of the results, one at least, an answer has room for.
func fits(results []session.Result) int {
	size := 0
	for i := range results {
		if size += len(results[i].Item.Value); size > MaxPage && i > 0 {
			return i
		}
	}
	return len(results)
}

// AnswerRead is the answer that has the results of b: of its first commands, if those
// of all are too many bytes.
func AnswerRead(b *session.Burst, level codec.Level) []byte {
	n := fits(b.Results)
	some := session.Burst{Now: b.Now, Commands: b.Commands[:n], Results: b.Results[:n]}
	answer, err := codec.AppendResults(binary.AppendUvarint([]byte{codeDone}, uint64(n)), &some, level)
	if err != nil {
		return Failure(err)
	}
	return answer
}

// DecodeReading gives the first commands of b the results that an answer holds, and
// says how many these are. They alias answer.
func DecodeReading(answer []byte, b *session.Burst) (n int, err error) {
	body, err := Open(answer)
	if err != nil {
		return 0, err
	}
	count, size := binary.Uvarint(body)
	if size <= 0 || count == 0 || count > uint64(len(b.Commands)) {
		return 0, ErrMalformed
	}
	some := session.Burst{Commands: b.Commands[:count]}
	if _, err := codec.DecodeResults(body[size:], &some); err != nil {
		return 0, err
	}
	return copy(b.Results, some.Results), nil
}
