package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
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

// metaSetOp gives the operation that the mode asks for. Replace with a CAS is
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

func (c *conn) metaNoop(r *protocol.Request, b *session.Burst) {
	c.expect(r, b).line = protocol.MetaPong
}

func (c *conn) metaDebug(r *protocol.Request, b *session.Burst) {
	cmd := c.metaCommand(r, b, session.OpGet)
	cmd.Mods = session.Peek
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
