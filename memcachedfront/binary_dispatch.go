package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// dispatchBinary adds the commands of a binary request to b and plans its
// answer.
func (c *conn) dispatchBinary(r *protocol.Request, b *session.Burst) {
	c.plan = append(c.plan, answer{
		verb:   r.Verb,
		fault:  r.Fault,
		quiet:  r.Quiet,
		first:  int32(len(b.Commands)),
		args:   r.Args,
		opcode: r.Opcode,
		opaque: r.Opaque,
	})
	a := &c.plan[len(c.plan)-1]
	switch r.Verb {
	case protocol.Invalid:
		c.closing = r.Fatal
	case protocol.Get:
		binaryGet(r, b)
	case protocol.Gat:
		binaryGat(r, b)
	case protocol.Touch:
		binaryTouch(r, b)
	case protocol.Set:
		binaryStore(session.OpSet, r, b)
	case protocol.Add:
		binaryStore(session.OpAdd, r, b)
	case protocol.Replace:
		binaryStore(session.OpReplace, r, b)
	case protocol.Append:
		binaryConcatenate(session.OpAppend, r, b)
	case protocol.Prepend:
		binaryConcatenate(session.OpPrepend, r, b)
	case protocol.Incr:
		binaryArithmetic(session.OpIncr, r, b)
	case protocol.Decr:
		binaryArithmetic(session.OpDecr, r, b)
	case protocol.Delete:
		binaryDelete(r, b)
	case protocol.FlushAll:
		c.binaryFlush(a, r, b)
	case protocol.Verbosity:
		if set := c.server.options.Verbosity; set != nil {
			set(int(r.Delta))
		}
	case protocol.Quit:
		c.closing = true
	case protocol.SASLList:
		c.saslList(a)
	case protocol.SASLAuth:
		c.saslAuth(a, r)
	case protocol.SASLStep:
		c.saslStep(a, r)
	}
}

func binaryCommand(op session.Op, r *protocol.Request, b *session.Burst) *session.Command {
	cmd := b.Add()
	cmd.Op, cmd.Key = op, r.Key
	if r.CAS != 0 {
		cmd.Mods, cmd.CAS = session.IfVersion, r.CAS
	}
	return cmd
}

func binaryGet(r *protocol.Request, b *session.Burst) {
	binaryCommand(session.OpGet, r, b)
}

func binaryGat(r *protocol.Request, b *session.Burst) {
	cmd := binaryCommand(session.OpGet, r, b)
	cmd.Mods |= session.SetExpiry
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
}

func binaryTouch(r *protocol.Request, b *session.Burst) {
	cmd := binaryCommand(session.OpTouch, r, b)
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
}

// binaryStore carries out a set, add or replace. One with a CAS is what the
// text protocol calls cas, whichever of the three it is.
func binaryStore(op session.Op, r *protocol.Request, b *session.Burst) {
	if r.CAS != 0 {
		op = session.OpSet
	}
	cmd := binaryCommand(op, r, b)
	cmd.Value, cmd.Flags = r.Value, r.Flags
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
}

func binaryConcatenate(op session.Op, r *protocol.Request, b *session.Burst) {
	cmd := binaryCommand(op, r, b)
	cmd.Value = r.Value
}

func binaryArithmetic(op session.Op, r *protocol.Request, b *session.Burst) {
	cmd := binaryCommand(op, r, b)
	cmd.Delta = r.Delta
	if r.Exptime != protocol.NoVivify {
		cmd.Mods |= session.Vivify
		cmd.Initial = r.Initial
		cmd.VivifyExpiry = protocol.Expiry(r.Exptime, b.Now)
	}
}

func binaryDelete(r *protocol.Request, b *session.Burst) {
	binaryCommand(session.OpDelete, r, b)
}

func (c *conn) binaryFlush(a *answer, r *protocol.Request, b *session.Burst) {
	if c.server.options.DisableFlush {
		a.refuse(protocol.AuthFailed) // as memcached does
		return
	}
	cmd := b.Add()
	cmd.Op, cmd.FlushAt = session.OpFlush, b.Now
	if r.Exptime > 0 {
		cmd.FlushAt = protocol.Expiry(r.Exptime, b.Now)
	}
}
