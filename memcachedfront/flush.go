package memcachedfront

import (
	"strconv"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// flushAll is: flush_all [delay] [noreply]
func (c *conn) flushAll(r *protocol.Request, b *session.Burst) {
	c.counters.add(cmdFlush, 1)
	if args := arguments(r); len(args) > 0 {
		delay, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			c.refuse(r, b, protocol.BadExptime)
			return
		}
		r.Exptime = delay
	}
	if c.server.options.DisableFlush {
		c.refuse(r, b, protocol.FlushNotAllowed)
		return
	}
	c.expect(r, b).count = 1
	cmd := b.Add()
	cmd.Op = session.OpFlush
	cmd.FlushAt = b.Now
	if r.Exptime > 0 {
		cmd.FlushAt = protocol.Expiry(r.Exptime, b.Now)
	}
}

func (c *conn) answerFlush(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if result.Status == session.OK {
		return append(dst, protocol.OK...)
	}
	return c.appendFault(dst, result)
}

func (c *conn) binaryFlush(a *answer, r *protocol.Request, b *session.Burst) {
	c.counters.add(cmdFlush, 1)
	if c.server.options.DisableFlush {
		a.refuse(protocol.FlushNotAllowed)
		return
	}
	cmd := b.Add()
	cmd.Op, cmd.FlushAt = session.OpFlush, b.Now
	if r.Exptime > 0 {
		cmd.FlushAt = protocol.Expiry(r.Exptime, b.Now)
	}
}

func (c *conn) answerBinaryFlush(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	if result := &b.Results[a.first]; result.Status != session.OK {
		return c.appendBinaryFault(dst, h, result)
	}
	return appendBinaryDone(dst, h, a)
}
