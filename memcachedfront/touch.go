package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

func (c *conn) touch(r *protocol.Request, b *session.Burst) {
	cmd := c.command(r, b, session.OpTouch)
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
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

func (c *conn) binaryTouch(a *answer, r *protocol.Request, b *session.Burst) {
	cmd := c.binaryCommand(session.OpTouch, r, b)
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
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
