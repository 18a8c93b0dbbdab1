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

// metaCommand plans the answer to a meta command and adds its main command.
func (c *conn) metaCommand(r *protocol.Request, b *session.Burst, op session.Op) *session.Command {
	cmd := c.command(r, b, op)
	a := &c.plan[len(c.plan)-1]
	a.args = r.Args
	a.meta = r.Meta
	a.base64Key = r.Base64Key
	if r.NewCAS != 0 {
		cmd.Mods |= session.SetVersion
		cmd.NewVersion = r.NewCAS
	}
	c.counters.add(cmdMeta, 1)
	return cmd
}

// setMetaCompare makes cmd depend on the flag C. In memcached a CAS of 0 counts
// as none, except for a set.
func setMetaCompare(r *protocol.Request, cmd *session.Command) {
	if r.Meta.Has(protocol.MetaCompareCAS) && (r.CAS != 0 || cmd.Op == session.OpSet) {
		cmd.Mods |= session.IfVersion
		cmd.CAS = r.CAS
	}
}

func setMetaExpiry(r *protocol.Request, b *session.Burst, cmd *session.Command) {
	if r.Meta.Has(protocol.MetaTTL) {
		cmd.Mods |= session.SetExpiry
		cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
	}
}

func setMetaVivify(r *protocol.Request, b *session.Burst, cmd *session.Command) {
	if r.Meta.Has(protocol.MetaVivify) {
		cmd.Mods |= session.Vivify
		cmd.VivifyExpiry = protocol.Expiry(r.VivifyExptime, b.Now)
	}
}

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

// appendMetaHit appends the code of a hit, with the size if the value follows.
func appendMetaHit(dst []byte, a *answer, size int) []byte {
	if !a.meta.Has(protocol.MetaValue) {
		return append(dst, protocol.MetaHit...)
	}
	dst = append(dst, "VA "...)
	return strconv.AppendInt(dst, int64(size), 10)
}

// metaCode returns the code that answers a meta command, or "" for an error.
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

func (c *conn) metaNoop(r *protocol.Request, b *session.Burst) {
	c.expect(r, b).line = protocol.MetaPong
}

func (c *conn) metaDebug(r *protocol.Request, b *session.Burst) {
	cmd := c.metaCommand(r, b, session.OpGet)
	cmd.Mods = session.Peek
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
