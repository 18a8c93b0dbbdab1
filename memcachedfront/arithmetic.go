package memcachedfront

import (
	"strconv"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

func (c *conn) incr(r *protocol.Request, b *session.Burst) { c.arithmetic(r, b, session.OpIncr) }

func (c *conn) decr(r *protocol.Request, b *session.Burst) { c.arithmetic(r, b, session.OpDecr) }

func (c *conn) arithmetic(r *protocol.Request, b *session.Burst, op session.Op) {
	c.command(r, b, op).Delta = r.Delta
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

func (c *conn) metaArithmetic(r *protocol.Request, b *session.Burst) {
	op := session.OpIncr
	if r.Mode == 'D' || r.Mode == '-' {
		op = session.OpDecr
	}
	cmd := c.metaCommand(r, b, op)
	cmd.Delta = r.Delta
	cmd.Initial = r.Initial
	setMetaCompare(r, cmd)
	setMetaExpiry(r, b, cmd)
	setMetaVivify(r, b, cmd)
}

func (c *conn) answerMetaArithmetic(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countArithmetic(result.Status, b.Commands[a.first].Op == session.OpIncr)
	reply := c.metaReply(a, b)
	code := metaCode(result.Status)
	switch {
	case code == "":
		return c.appendFault(dst, result)
	case result.Status != session.OK:
		return appendMeta(dst, code, &reply, metaMissFlags)
	case a.quiet:
		return dst
	}
	var digits [20]byte
	number := strconv.AppendUint(digits[:0], result.Number, 10)
	reply.CAS = result.Item.Version
	dst = appendMetaHit(dst, a, len(number))
	dst = protocol.AppendMetaFlags(dst, &reply, metaArithmeticFlags)
	dst = append(dst, "\r\n"...)
	if a.meta.Has(protocol.MetaValue) {
		dst = append(dst, number...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

func (c *conn) binaryIncr(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryArithmetic(session.OpIncr, r, b)
}

func (c *conn) binaryDecr(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryArithmetic(session.OpDecr, r, b)
}

func (c *conn) binaryArithmetic(op session.Op, r *protocol.Request, b *session.Burst) {
	cmd := c.binaryCommand(op, r, b)
	cmd.Delta = r.Delta
	if r.Exptime != protocol.NoVivify {
		cmd.Mods |= session.Vivify
		cmd.Initial = r.Initial
		cmd.VivifyExpiry = protocol.Expiry(r.Exptime, b.Now)
	}
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
