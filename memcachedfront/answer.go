package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// answer is the plan for the reply to one request.
type answer struct {
	verb  protocol.Verb
	fault protocol.Fault // with Invalid
	quiet bool
	last  bool // the retrieval ends here, not in a later burst

	// first and count say which commands of the burst are the request's.
	first, count int32

	// args are the request's; they alias the input.
	args []byte

	// Of binary requests.
	opcode byte
	opaque uint32
}

// refuse makes a the answer to a request that cannot be carried out.
func (a *answer) refuse(f protocol.Fault) { a.verb, a.fault = protocol.Invalid, f }

// answer appends one reply to dst.
func (c *conn) answer(dst []byte, a *answer, b *session.Burst) []byte {
	if c.dialect == binary {
		return c.answerBinary(dst, a, b)
	}
	return dst
}
