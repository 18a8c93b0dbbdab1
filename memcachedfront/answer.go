package memcachedfront

import (
	"errors"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// answer is the plan for the reply to one request.
type answer struct {
	verb      protocol.Verb
	fault     protocol.Fault // with Invalid
	meta      protocol.MetaFlags
	quiet     bool
	last      bool // the retrieval ends here, not in a later burst
	base64Key bool

	// first and count say which commands of the burst are the request's.
	first, count int32

	// line is the whole answer, if it is known already.
	line string

	// args are the request's; they alias the input.
	args []byte

	// Of binary requests.
	opcode byte
	opaque uint32
}

// refuse makes a the answer to a request that cannot be carried out.
func (a *answer) refuse(f protocol.Fault) { a.verb, a.fault = protocol.Invalid, f }

// answer appends one reply to dst. If done is false there is more of it.
func (c *conn) answer(dst []byte, a *answer, b *session.Burst) (_ []byte, done bool) {
	if c.dialect == binary {
		return c.answerBinary(dst, a, b), true
	}
	return c.answerText(dst, a, b)
}

// answerers has one function per verb of the text and meta protocols that needs
// results. It appends the answer in the text or
// meta protocol, as if the client wanted one.
var answerers = [protocol.NumVerbs]func(*conn, []byte, *answer, *session.Burst) []byte{
	protocol.Set:     (*conn).answerStorage,
	protocol.Add:     (*conn).answerStorage,
	protocol.Replace: (*conn).answerStorage,
	protocol.Append:  (*conn).answerStorage,
	protocol.Prepend: (*conn).answerStorage,
	protocol.CAS:     (*conn).answerStorage,
	protocol.Incr:    (*conn).answerArithmetic,
	protocol.Decr:    (*conn).answerArithmetic,
	protocol.Delete:  (*conn).answerDelete,
	protocol.Touch:   (*conn).answerTouch,

	protocol.MetaGet:        (*conn).answerMetaGet,
	protocol.MetaSet:        (*conn).answerMetaSet,
	protocol.MetaDelete:     (*conn).answerMetaDelete,
	protocol.MetaArithmetic: (*conn).answerMetaArithmetic,
	protocol.MetaDebug:      (*conn).answerMetaDebug,

	protocol.FlushAll: (*conn).answerFlush,
	protocol.Stats:    (*conn).answerStats,
}

// answerText appends the answer to a text or meta request to dst. If done is
// false there is more of it.
func (c *conn) answerText(dst []byte, a *answer, b *session.Burst) (_ []byte, done bool) {
	start := len(dst)
	switch {
	case a.fault != protocol.NoFault:
		dst = append(dst, a.fault.Line()...)
	case a.line != "":
		dst = append(dst, a.line...)
	case a.verb <= protocol.Gats:
		return c.answerRetrieval(dst, a, b)
	case a.verb >= protocol.MetaGet && a.verb <= protocol.MetaDebug:
		return answerers[a.verb](c, dst, a, b), true
	default:
		dst = answerers[a.verb](c, dst, a, b)
	}
	if a.quiet {
		dst = dst[:start]
	}
	return dst, true
}

// answerRetrieval answers get, gets, gat and gats.
func (c *conn) answerRetrieval(dst []byte, a *answer, b *session.Burst) (_ []byte, done bool) {
	touching := a.verb == protocol.Gat || a.verb == protocol.Gats
	withCAS := a.verb == protocol.Gets || a.verb == protocol.Gats
	for ; a.count > 0; a.count-- {
		if c.out.Enough(dst) {
			return dst, false
		}
		result := &b.Results[a.first]
		a.first++
		c.countRetrieval(result.Status, touching)
		switch result.Status {
		case session.OK:
			dst = protocol.AppendValueLine(dst, &result.Item, withCAS)
			dst = c.out.AppendValue(dst, result.Item.Value)
			dst = append(dst, "\r\n"...)
		case session.Failed:
			c.retrievalFault = faultOf(result)
		}
	}
	if !a.last {
		return dst, true
	}
	if c.retrievalFault != protocol.NoFault {
		dst = append(dst, c.retrievalFault.Line()...)
		c.retrievalFault = protocol.NoFault
		return dst, true
	}
	return append(dst, protocol.End...), true
}

func (c *conn) countRetrieval(status session.Status, touching bool) {
	switch {
	case touching && status == session.OK:
		c.counters.add(touchHits, 1)
	case touching:
		c.counters.add(touchMisses, 1)
	case status == session.OK:
		c.counters.add(getHits, 1)
	default:
		c.counters.add(getMisses, 1)
	}
}

func (c *conn) answerStorage(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if a.verb == protocol.CAS {
		c.countCAS(result.Status)
	}
	switch result.Status {
	case session.OK:
		return append(dst, protocol.Stored...)
	case session.NotStored:
		return append(dst, protocol.NotStored...)
	case session.Exists:
		return append(dst, protocol.Exists...)
	case session.NotFound:
		return append(dst, protocol.NotFound...)
	case session.TooLarge:
		if a.verb == protocol.Append || a.verb == protocol.Prepend {
			return append(dst, protocol.NotStored...) // the sum is too large
		}
	}
	return c.appendFault(dst, result)
}

func (c *conn) countCAS(status session.Status) {
	switch status {
	case session.OK:
		c.counters.add(casHits, 1)
	case session.NotFound:
		c.counters.add(casMisses, 1)
	case session.Exists:
		c.counters.add(casBadval, 1)
	}
}

func (c *conn) answerArithmetic(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countArithmetic(result.Status, a.verb == protocol.Incr)
	switch result.Status {
	case session.OK:
		return protocol.AppendNumber(dst, result.Number)
	case session.NotFound:
		return append(dst, protocol.NotFound...)
	}
	return c.appendFault(dst, result)
}

func (c *conn) countArithmetic(status session.Status, incr bool) {
	switch {
	case incr && status == session.OK:
		c.counters.add(incrHits, 1)
	case incr && status == session.NotFound:
		c.counters.add(incrMisses, 1)
	case status == session.OK:
		c.counters.add(decrHits, 1)
	case status == session.NotFound:
		c.counters.add(decrMisses, 1)
	}
}

func (c *conn) answerDelete(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countDelete(result.Status)
	switch result.Status {
	case session.OK:
		return append(dst, protocol.Deleted...)
	case session.NotFound:
		return append(dst, protocol.NotFound...)
	}
	return c.appendFault(dst, result)
}

func (c *conn) countDelete(status session.Status) {
	if status == session.OK {
		c.counters.add(deleteHits, 1)
	} else {
		c.counters.add(deleteMisses, 1)
	}
}

func (c *conn) answerTouch(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countRetrieval(result.Status, true)
	switch result.Status {
	case session.OK:
		return append(dst, protocol.Touched...)
	case session.NotFound:
		return append(dst, protocol.NotFound...)
	}
	return c.appendFault(dst, result)
}

func (c *conn) answerFlush(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if result.Status == session.OK {
		return append(dst, protocol.OK...)
	}
	return c.appendFault(dst, result)
}

// appendFault appends the line for a result that is an error.
func (c *conn) appendFault(dst []byte, result *session.Result) []byte {
	fault := faultOf(result)
	c.countFault(fault)
	return append(dst, fault.Line()...)
}

func (c *conn) countFault(fault protocol.Fault) {
	switch fault {
	case protocol.TooLarge:
		c.counters.add(storeTooLarge, 1)
	case protocol.OutOfSpace:
		c.counters.add(storeNoMemory, 1)
	}
}

// faultOf tells clients why a command was not carried out. It is the only place
// that maps the store's errors to the protocols.
func faultOf(result *session.Result) protocol.Fault {
	switch {
	case result.Status == session.NotNumeric:
		return protocol.NotNumeric
	case result.Status == session.TooLarge:
		return protocol.TooLarge
	case errors.Is(result.Err, session.ErrNoSpace):
		return protocol.OutOfSpace
	}
	return protocol.StoreFailed
}
