package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// retrieve is get, gets, gat and gats. A retrieval whose keys do not fit into
// the burst is resumed in the next one.
func (c *conn) retrieve(r *protocol.Request, b *session.Burst) {
	a := c.expect(r, b)
	if r.Key != nil {
		c.retrieveKey(r, b, r.Key)
	}
	key, rest := protocol.NextKey(r.Keys)
	for key != nil && c.room(b) {
		c.retrieveKey(r, b, key)
		r.Keys = rest
		key, rest = protocol.NextKey(r.Keys)
	}
	a.count = int32(len(b.Commands)-c.start) - a.first
	a.last = key == nil
	c.resume, c.resumeExptime = protocol.Invalid, 0
	if !a.last {
		c.resume, c.resumeExptime = r.Verb, r.Exptime
	}
}

func (c *conn) retrieveKey(r *protocol.Request, b *session.Burst, key []byte) {
	cmd := b.Add()
	cmd.Op = session.OpGet
	cmd.Mods = session.NoClaim
	cmd.Key = key
	if r.Verb == protocol.Gat || r.Verb == protocol.Gats {
		cmd.Mods |= session.SetExpiry
		cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	}
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

func (c *conn) metaGet(r *protocol.Request, b *session.Burst) {
	cmd := c.metaCommand(r, b, session.OpGet)
	setMetaExpiry(r, b, cmd)
	setMetaVivify(r, b, cmd)
	if r.Meta.Has(protocol.MetaRecache) && r.RecacheExptime != 0 {
		cmd.Mods |= session.Recache
		cmd.RecacheBefore = protocol.Expiry(r.RecacheExptime, b.Now)
	}
	if r.Meta.Has(protocol.MetaPeek) {
		cmd.Mods |= session.Peek
	}
	cmd.CAS = r.CAS // for hasVersion
}

// hasVersion reports whether a mg names the version that the item has: its client
// knows the value then and does not get it.
func hasVersion(a *answer, b *session.Burst) bool {
	return a.meta.Has(protocol.MetaCompareCAS) && b.Commands[a.first].CAS == b.Results[a.first].Item.Version
}

func (c *conn) answerMetaGet(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	c.countRetrieval(result.Status, a.meta.Has(protocol.MetaTTL))
	reply := c.metaReply(a, b)
	switch {
	case result.Status == session.NotFound && a.quiet:
		return dst
	case result.Status == session.NotFound:
		return appendMeta(dst, protocol.MetaMiss, &reply, metaMissFlags)
	case result.Status != session.OK:
		return c.appendFault(dst, result)
	}
	reply.Size = len(result.Item.Value)
	reply.CAS = result.Item.Version
	reply.Idle = c.server.idle(&result.Item, b.Now)
	if hasVersion(a, b) {
		a.meta &^= protocol.MetaValue
	}
	dst = appendMetaHit(dst, a, reply.Size)
	dst = protocol.AppendMetaFlags(dst, &reply, metaGetFlags)
	dst = appendRecache(dst, result)
	dst = append(dst, "\r\n"...)
	if a.meta.Has(protocol.MetaValue) {
		dst = c.out.AppendValue(dst, result.Item.Value)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// appendRecache appends the flags that tell a client about recaching: whether
// another one was told to (Z), that the item is stale (X), and that this client
// should (W).
func appendRecache(dst []byte, result *session.Result) []byte {
	if result.Item.Claimed && !result.Won {
		dst = append(dst, " Z"...)
	}
	if result.Item.Stale {
		dst = append(dst, " X"...)
	}
	if result.Won {
		dst = append(dst, " W"...)
	}
	return dst
}

func (c *conn) binaryGet(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryCommand(session.OpGet, r, b).Mods |= session.NoClaim
}

func (c *conn) binaryGat(a *answer, r *protocol.Request, b *session.Burst) {
	cmd := c.binaryCommand(session.OpGet, r, b)
	cmd.Mods |= session.NoClaim | session.SetExpiry
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
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
