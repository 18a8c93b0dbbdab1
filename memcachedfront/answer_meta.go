package memcachedfront

import (
	"strconv"

	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// Flags that the meta commands answer.
const (
	metaGetFlags        = "stcflhOk"
	metaSetFlags        = "Okcs"
	metaDeleteFlags     = "Ok"
	metaArithmeticFlags = "ctOk"
	metaMissFlags       = "Ok"
)

// metaReply gathers what the answer to a meta command may need.
func (c *conn) metaReply(a *answer, b *session.Burst) protocol.MetaReply {
	return protocol.MetaReply{
		Item:      &b.Results[a.first].Item,
		Now:       b.Now,
		Args:      a.args,
		Base64Key: a.base64Key,
		Key:       b.Commands[a.first].Key,
	}
}

// appendMeta appends the code, the flags among wanted that were asked for, and
// the line's end.
func appendMeta(dst []byte, code string, reply *protocol.MetaReply, wanted string) []byte {
	dst = append(dst, code...)
	dst = protocol.AppendMetaFlags(dst, reply, wanted)
	return append(dst, "\r\n"...)
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

// appendMetaHit appends the code of a hit, with the size if the value follows.
func appendMetaHit(dst []byte, a *answer, size int) []byte {
	if !a.meta.Has(protocol.MetaValue) {
		return append(dst, protocol.MetaHit...)
	}
	dst = append(dst, "VA "...)
	return strconv.AppendInt(dst, int64(size), 10)
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

func (c *conn) answerMetaSet(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	if b.Commands[a.first].Has(session.IfVersion) {
		c.countCAS(result.Status)
	}
	code := metaCode(result.Status)
	if op := b.Commands[a.first].Op; op == session.OpAppend || op == session.OpPrepend {
		code = metaConcatenateCode(result.Status)
	}
	switch {
	case code == "":
		return c.appendFault(dst, result)
	case a.quiet && result.Status == session.OK:
		return dst
	}
	reply := c.metaReply(a, b)
	reply.CAS = result.Item.Version
	reply.Size = len(b.Commands[a.first].Value)
	if a.count == 2 && result.Status == session.OK {
		reply.Size = len(b.Results[a.first+1].Item.Value)
	}
	return appendMeta(dst, code, &reply, metaSetFlags)
}

// metaCode gives the code that answers a meta command, or "" for an error.
func metaCode(status session.Status) string {
	switch status {
	case session.OK:
		return protocol.MetaHit
	case session.NotFound:
		return protocol.MetaNotFound
	case session.Exists:
		return protocol.MetaExists
	case session.NotStored:
		return protocol.MetaNotSaved
	}
	return ""
}

// metaConcatenateCode is metaCode for append and prepend. They do not tell why
// there is nothing to add to, or that the sum would be too large.
func metaConcatenateCode(status session.Status) string {
	if status == session.NotFound || status == session.TooLarge {
		return protocol.MetaNotSaved
	}
	return metaCode(status)
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

func (c *conn) answerMetaDebug(dst []byte, a *answer, b *session.Burst) []byte {
	result := &b.Results[a.first]
	switch result.Status {
	case session.OK:
		return protocol.AppendMetaDebug(dst, &result.Item, a.base64Key, b.Now, c.server.idle(&result.Item, b.Now))
	case session.NotFound:
		return append(dst, "EN\r\n"...)
	}
	return c.appendFault(dst, result)
}
