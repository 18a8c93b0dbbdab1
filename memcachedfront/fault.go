package memcachedfront

import (
	"errors"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

func (c *conn) invalid(r *protocol.Request, b *session.Burst) {
	c.expect(r, b).fault = r.Fault
	c.countFault(r.Fault)
}

func (c *conn) binaryInvalid(a *answer, r *protocol.Request, b *session.Burst) {
	c.closing = r.Fatal
	c.countFault(r.Fault)
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

func (c *conn) countFault(fault protocol.Fault) {
	switch fault {
	case protocol.TooLarge:
		c.counters.add(storeTooLarge, 1)
	case protocol.OutOfSpace:
		c.counters.add(storeNoMemory, 1)
	}
}

// appendFault appends the line for a result that is an error.
func (c *conn) appendFault(dst []byte, result *session.Result) []byte {
	fault := faultOf(result)
	c.countFault(fault)
	return append(dst, fault.Line()...)
}

// appendBinaryFault appends the answer for a result that is an error.
func (c *conn) appendBinaryFault(dst []byte, h protocol.BinaryHeader, result *session.Result) []byte {
	fault := faultOf(result)
	c.countFault(fault)
	return protocol.AppendBinaryStatus(dst, h, fault.Status())
}
