package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// store fills in what the storage commands have in common.
func (c *conn) store(r *protocol.Request, b *session.Burst, op session.Op) *session.Command {
	cmd := c.command(r, b, op)
	cmd.Value = r.Value
	cmd.Flags = r.Flags
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	c.counters.add(cmdSet, 1)
	return cmd
}

func (c *conn) set(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpSet) }

func (c *conn) add(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpAdd) }

func (c *conn) replace(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpReplace) }

func (c *conn) append(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpAppend) }

func (c *conn) prepend(r *protocol.Request, b *session.Burst) { c.store(r, b, session.OpPrepend) }

func (c *conn) cas(r *protocol.Request, b *session.Burst) {
	cmd := c.store(r, b, session.OpSet)
	cmd.Mods |= session.IfVersion
	cmd.CAS = r.CAS
}

func (c *conn) answerStorage(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if a.verb == protocol.CAS {
		c.countCAS(result.Status)
	}
	switch c.shown(&b.Commands[a.first], result) {
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

func (c *conn) metaSet(r *protocol.Request, b *session.Burst) {
	cmd := c.metaCommand(r, b, metaSetOp(r))
	cmd.Value = r.Value
	cmd.Flags = r.Flags
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	setMetaCompare(r, cmd)
	if r.Meta.Has(protocol.MetaInvalidate) {
		cmd.Mods |= session.Invalidate
	}
	if cmd.Op == session.OpAppend || cmd.Op == session.OpPrepend {
		setMetaVivify(r, b, cmd)
		if r.Meta.Has(protocol.MetaSize) {
			c.measure(r, b)
		}
	}
	c.counters.add(cmdSet, 1)
}

// metaSetOp returns the operation that the mode asks for. Replace with a CAS is
// a set with that CAS, as in memcached.
func metaSetOp(r *protocol.Request) session.Op {
	switch r.Mode {
	case 'E':
		return session.OpAdd
	case 'A':
		return session.OpAppend
	case 'P':
		return session.OpPrepend
	case 'R':
		if !r.Meta.Has(protocol.MetaCompareCAS) {
			return session.OpReplace
		}
	}
	return session.OpSet
}

// measure adds a command that finds out how long the value is now.
func (c *conn) measure(r *protocol.Request, b *session.Burst) {
	c.plan[len(c.plan)-1].count = 2
	cmd := b.Add()
	cmd.Op = session.OpGet
	cmd.Mods = session.Peek
	cmd.Key = r.Key
}

func (c *conn) answerMetaSet(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if b.Commands[a.first].Has(session.IfVersion) {
		c.countCAS(result.Status)
	}
	status := c.shown(&b.Commands[a.first], result)
	code := metaCode(status)
	if op := b.Commands[a.first].Op; op == session.OpAppend || op == session.OpPrepend {
		code = metaConcatenateCode(result.Status)
	}
	switch {
	case code == "":
		return c.appendFault(dst, result)
	case a.quiet && status == session.OK:
		return dst
	}
	reply := c.metaReply(a, b)
	if result.Status == session.OK {
		reply.CAS = result.Item.Version
	}
	reply.Size = len(b.Commands[a.first].Value)
	if a.count == 2 && result.Status == session.OK {
		reply.Size = len(b.Results[a.first+1].Item.Value)
	}
	return appendMeta(dst, code, &reply, metaSetFlags)
}

// metaConcatenateCode is metaCode for append and prepend. They do not tell why
// there is nothing to add to, or that the sum would be too large.
func metaConcatenateCode(status session.Status) string {
	if status == session.NotFound || status == session.TooLarge {
		return protocol.MetaNotSaved
	}
	return metaCode(status)
}

func (c *conn) binarySet(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryStore(session.OpSet, r, b)
}

func (c *conn) binaryAdd(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryStore(session.OpAdd, r, b)
}

func (c *conn) binaryReplace(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryStore(session.OpReplace, r, b)
}

// binaryStore carries out a set, add or replace. One with a CAS is what the
// text protocol calls cas, whichever of the three it is.
func (c *conn) binaryStore(op session.Op, r *protocol.Request, b *session.Burst) {
	if r.CAS != 0 {
		op = session.OpSet
	}
	cmd := c.binaryCommand(op, r, b)
	cmd.Value, cmd.Flags = r.Value, r.Flags
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	c.counters.add(cmdSet, 1)
}

func (c *conn) binaryAppend(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryConcatenate(session.OpAppend, r, b)
}

func (c *conn) binaryPrepend(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryConcatenate(session.OpPrepend, r, b)
}

func (c *conn) binaryConcatenate(op session.Op, r *protocol.Request, b *session.Burst) {
	c.binaryCommand(op, r, b).Value = r.Value
	c.counters.add(cmdSet, 1)
}

func (c *conn) answerBinaryStore(dst []byte, h protocol.BinaryHeader, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if b.Commands[a.first].Has(session.IfVersion) {
		c.countCAS(result.Status)
	}
	status := c.shown(&b.Commands[a.first], result)
	switch status {
	case session.OK:
		h.CAS = result.Item.Version
		return appendBinaryDone(dst, h, a)
	case session.Exists:
		return protocol.AppendBinaryStatus(dst, h, protocol.StatusKeyExists)
	case session.NotFound, session.NotStored:
		return protocol.AppendBinaryStatus(dst, h, notStored(a.verb, status))
	}
	return c.appendBinaryFault(dst, h, result)
}

// notStored is what memcached answers when the condition of a storage command
// does not hold.
func notStored(verb protocol.Verb, status session.Status) protocol.BinaryStatus {
	switch {
	case verb == protocol.Append || verb == protocol.Prepend, verb == protocol.Set && status == session.NotStored:
		return protocol.StatusNotStored
	case verb == protocol.Add && status == session.NotStored:
		return protocol.StatusKeyExists
	}
	return protocol.StatusKeyNotFound
}
