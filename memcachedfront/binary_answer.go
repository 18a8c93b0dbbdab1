package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// answerBinary appends the answer to a binary request to dst. A quiet request
// gets one only if it found a value or failed.
func (c *conn) answerBinary(dst []byte, a *answer, b *session.Burst) []byte {
	h := protocol.BinaryHeader{Opcode: a.opcode, Opaque: a.opaque}
	switch a.verb {
	case protocol.Invalid:
		return protocol.AppendBinaryStatus(dst, h, a.fault.Status())
	case protocol.Get, protocol.Gat:
		return answerBinaryGet(dst, h, a, b)
	case protocol.Touch:
		return answerBinaryTouch(dst, h, &b.Results[a.first])
	case protocol.Incr, protocol.Decr:
		return answerBinaryNumber(dst, h, a, &b.Results[a.first])
	case protocol.Set, protocol.Add, protocol.Replace, protocol.Append, protocol.Prepend, protocol.Delete, protocol.FlushAll:
		return answerBinaryWrite(dst, h, a, &b.Results[a.first])
	case protocol.Version:
		return protocol.AppendBinary(dst, h, nil, c.server.options.Version)
	case protocol.Stats:
		return c.answerBinaryStats(dst, h, a)
	case protocol.Config:
		return c.answerBinaryConfig(dst, h, a)
	case protocol.SASLList:
		return protocol.AppendBinary(dst, h, nil, saslMechanism)
	case protocol.SASLAuth:
		return protocol.AppendBinary(dst, h, nil, authenticatedText)
	case protocol.SASLStep:
		h.Status = protocol.StatusAuthContinue
		return protocol.AppendBinary(dst, h, nil, "")
	}
	if a.quiet {
		return dst
	}
	return protocol.AppendBinary(dst, h, nil, "")
}

func answerBinaryGet(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	withKey := protocol.RepeatsKey(a.opcode)
	switch {
	case result.Status == session.OK:
		return protocol.AppendBinaryItem(dst, h, &result.Item, withKey, true)
	case result.Status != session.NotFound:
		return protocol.AppendBinaryStatus(dst, h, binaryStatus(a.verb, result.Status))
	case a.quiet:
		return dst
	case withKey:
		h.Status = protocol.StatusKeyNotFound
		return protocol.AppendBinary(dst, h, b.Commands[a.first].Key, "")
	}
	return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyNotFound)
}

func answerBinaryTouch(dst []byte, h protocol.BinaryHeader, result *session.Result) []byte {
	if result.Status != session.OK {
		return protocol.AppendBinaryStatus(dst, h, binaryStatus(protocol.Touch, result.Status))
	}
	return protocol.AppendBinaryItem(dst, h, &result.Item, false, false)
}

func answerBinaryNumber(dst []byte, h protocol.BinaryHeader, a *answer, result *session.Result) []byte {
	switch {
	case result.Status != session.OK:
		return protocol.AppendBinaryStatus(dst, h, binaryStatus(a.verb, result.Status))
	case a.quiet:
		return dst
	}
	h.CAS = result.Item.Version
	return protocol.AppendBinaryNumber(dst, h, result.Number)
}

func answerBinaryWrite(dst []byte, h protocol.BinaryHeader, a *answer, result *session.Result) []byte {
	switch {
	case result.Status != session.OK:
		return protocol.AppendBinaryStatus(dst, h, binaryStatus(a.verb, result.Status))
	case a.quiet:
		return dst
	}
	if a.verb != protocol.Delete {
		h.CAS = result.Item.Version
	}
	return protocol.AppendBinary(dst, h, nil, "")
}

// binaryStatus maps what a store answered to a verb, other than OK, to the
// status that memcached answers.
func binaryStatus(verb protocol.Verb, status session.Status) protocol.BinaryStatus {
	switch status {
	case session.Exists:
		return protocol.StatusKeyExists
	case session.NotNumeric:
		return protocol.StatusNotNumeric
	case session.TooLarge:
		return protocol.StatusTooLarge
	case session.NotFound, session.NotStored:
		return absentStatus(verb, status)
	}
	return protocol.StatusNoMemory
}

func absentStatus(verb protocol.Verb, status session.Status) protocol.BinaryStatus {
	switch verb {
	case protocol.Append, protocol.Prepend:
		return protocol.StatusNotStored
	case protocol.Add:
		if status == session.NotStored {
			return protocol.StatusKeyExists
		}
	}
	return protocol.StatusKeyNotFound
}
