package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

func (c *conn) delete(r *protocol.Request, b *session.Burst) {
	c.command(r, b, session.OpDelete)
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

func (c *conn) metaDelete(r *protocol.Request, b *session.Burst) {
	cmd := c.metaCommand(r, b, session.OpDelete)
	if r.Meta.Has(protocol.MetaCompareCAS) {
		cmd.Mods |= session.IfVersion
		cmd.CAS = r.CAS
	}
	if r.Meta.Has(protocol.MetaInvalidate) {
		cmd.Mods |= session.Invalidate
	}
	if r.Meta.Has(protocol.MetaDropValue) {
		cmd.Mods |= session.DropValue
	}
	setMetaExpiry(r, b, cmd)
}

func (c *conn) answerMetaDelete(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countDelete(result.Status)
	code := metaCode(result.Status)
	switch {
	case code == "":
		return c.appendFault(dst, result)
	case a.quiet && result.Status == session.OK:
		return dst
	}
	reply := c.metaReply(a, b)
	return appendMeta(dst, code, &reply, metaDeleteFlags)
}

func (c *conn) binaryDelete(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryCommand(session.OpDelete, r, b)
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
