package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// FlushPolicy says what flush_all does.
type FlushPolicy uint8

const (
	// ApplyFlush lets it end all sessions.
	ApplyFlush FlushPolicy = iota

	// IgnoreFlush answers OK and keeps all sessions: for applications that clear
	// their cache, with whatever else is in it, when they are deployed.
	IgnoreFlush

	// RefuseFlush answers an error.
	RefuseFlush
)

// flushAll is: flush_all [delay] [noreply]
func (c *conn) flushAll(r *protocol.Request, b *session.Burst) {
	c.counters.add(cmdFlush, 1)
	if args := arguments(r); len(args) > 0 {
		delay, ok := protocol.ParsePlainExptime([]byte(args[0]))
		if !ok {
			c.refuse(r, b, protocol.BadExptime)
			return
		}
		r.Exptime = delay
	}
	switch c.server.options.Flush {
	case RefuseFlush:
		c.refuse(r, b, protocol.FlushNotAllowed)
		return
	case IgnoreFlush:
		c.ignoreFlush()
		c.say(r, b, protocol.OK)
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

// ignoreFlush notes that a flush was answered and not carried out.
func (c *conn) ignoreFlush() {
	s := c.server
	s.flushNotes.Do(func() {
		s.options.Logger.Warn("flush_all of a client was ignored, as --flush-all says; all sessions stay", "connection", c.link.ID())
	})
	c.counters.add(flushIgnored, 1)
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
	switch c.server.options.Flush {
	case RefuseFlush:
		a.refuse(protocol.FlushNotAllowed)
		return
	case IgnoreFlush:
		c.ignoreFlush()
		a.verb = protocol.Noop
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
