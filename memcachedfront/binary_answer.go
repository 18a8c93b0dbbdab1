package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// binaryAnswerers has one function per verb whose answer in the binary protocol
// is more than a header. It appends that answer to a request that was carried
// out.
var binaryAnswerers = [protocol.NumVerbs]func(*conn, []byte, protocol.BinaryHeader, *answer, *session.Burst) []byte{
	protocol.Get:     (*conn).answerBinaryGet,
	protocol.Gat:     (*conn).answerBinaryGet,
	protocol.Touch:   (*conn).answerBinaryTouch,
	protocol.Set:     (*conn).answerBinaryStore,
	protocol.Add:     (*conn).answerBinaryStore,
	protocol.Replace: (*conn).answerBinaryStore,
	protocol.Append:  (*conn).answerBinaryStore,
	protocol.Prepend: (*conn).answerBinaryStore,
	protocol.Incr:    (*conn).answerBinaryArithmetic,
	protocol.Decr:    (*conn).answerBinaryArithmetic,
	protocol.Delete:  (*conn).answerBinaryDelete,

	protocol.FlushAll: (*conn).answerBinaryFlush,
	protocol.Version:  (*conn).answerBinaryVersion,
	protocol.Stats:    (*conn).answerBinaryStats,
	protocol.Config:   (*conn).answerBinaryConfig,

	protocol.SASLList: (*conn).answerSASLList,
	protocol.SASLAuth: (*conn).answerSASLAuth,
	protocol.SASLStep: (*conn).answerSASLStep,
}

// answerBinary appends the answer to a binary request to dst.
func (c *conn) answerBinary(dst []byte, a *answer, b *session.Burst) []byte {
	h := protocol.BinaryHeader{Opcode: a.opcode, Opaque: a.opaque}
	if a.fault != protocol.NoFault {
		return protocol.AppendBinaryStatus(dst, h, a.fault.Status())
	}
	if answer := binaryAnswerers[a.verb]; answer != nil {
		return answer(c, dst, h, a, b)
	}
	return appendBinaryDone(dst, h, a)
}

// appendBinaryDone appends the answer to a request that succeeded and has
// nothing to tell, which a quiet one leaves out.
func appendBinaryDone(dst []byte, h protocol.BinaryHeader, a *answer) []byte {
	if a.quiet {
		return dst
	}
	return protocol.AppendBinary(dst, h, nil, "")
}

func (c *conn) answerBinaryGet(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	withKey := protocol.RepeatsKey(a.opcode)
	c.countRetrieval(result.Status, a.verb == protocol.Gat)
	switch {
	case result.Status == session.OK:
		dst = protocol.AppendBinaryItemHead(dst, h, &result.Item, withKey, true)
		return c.out.AppendValue(dst, result.Item.Value)
	case result.Status != session.NotFound:
		return c.appendBinaryFault(dst, h, result)
	case a.quiet:
		return dst
	case withKey:
		h.Status = protocol.StatusKeyNotFound
		return protocol.AppendBinary(dst, h, b.Commands[a.first].Key, "")
	}
	return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
}

func (c *conn) answerBinaryTouch(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countRetrieval(result.Status, true)
	switch result.Status {
	case session.OK:
		return protocol.AppendBinaryItem(dst, h, &result.Item, false, false)
	case session.NotFound:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
	}
	return c.appendBinaryFault(dst, h, result)
}

func (c *conn) answerBinaryStore(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if b.Commands[a.first].Has(session.IfVersion) {
		c.countCAS(result.Status)
	}
	switch result.Status {
	case session.OK:
		h.CAS = result.Item.Version
		return appendBinaryDone(dst, h, a)
	case session.Exists:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyExists)
	case session.NotFound, session.NotStored:
		return protocol.AppendBinaryStatus(dst, h, notStored(a.verb, result.Status))
	}
	return c.appendBinaryFault(dst, h, result)
}

// notStored is what memcached answers when the condition of a storage command
// does not hold.
func notStored(verb protocol.Verb, status session.Status) protocol.BinaryStatus {
	switch {
	case verb == protocol.Append || verb == protocol.Prepend:
		return protocol.StatusNotStored
	case verb == protocol.Add && status == session.NotStored:
		return protocol.StatusKeyExists
	}
	return protocol.StatusKeyNotFound
}

func (c *conn) answerBinaryArithmetic(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countArithmetic(result.Status, a.verb == protocol.Incr)
	switch {
	case result.Status == session.OK && a.quiet:
		return dst
	case result.Status == session.OK:
		h.CAS = result.Item.Version
		return protocol.AppendBinaryNumber(dst, h, result.Number)
	case result.Status == session.NotFound:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
	case result.Status == session.Exists:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyExists)
	}
	return c.appendBinaryFault(dst, h, result)
}

func (c *conn) answerBinaryDelete(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countDelete(result.Status)
	switch result.Status {
	case session.OK:
		return appendBinaryDone(dst, h, a)
	case session.NotFound:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
	case session.Exists:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyExists)
	}
	return c.appendBinaryFault(dst, h, result)
}

func (c *conn) answerBinaryFlush(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	if result := &b.Results[a.first]; result.Status != session.OK {
		return c.appendBinaryFault(dst, h, result)
	}
	return appendBinaryDone(dst, h, a)
}

// appendBinaryFault appends the answer for a result that is an error.
func (c *conn) appendBinaryFault(dst []byte, h protocol.BinaryHeader, result *session.Result) []byte {
	fault := faultOf(result)
	c.countFault(fault)
	return protocol.AppendBinaryStatus(dst, h, fault.Status())
}
