package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// binaryDispatchers has one function per verb of the binary protocol. It adds
// the commands that carry out the request to the burst; what it must change in
// the answer that is planned already, it changes there.
var binaryDispatchers = [protocol.NumVerbs]func(*conn, *answer, *protocol.Request, *session.Burst){
	protocol.Invalid: (*conn).binaryInvalid,

	protocol.Get:     (*conn).binaryGet,
	protocol.Gat:     (*conn).binaryGat,
	protocol.Touch:   (*conn).binaryTouch,
	protocol.Set:     (*conn).binarySet,
	protocol.Add:     (*conn).binaryAdd,
	protocol.Replace: (*conn).binaryReplace,
	protocol.Append:  (*conn).binaryAppend,
	protocol.Prepend: (*conn).binaryPrepend,
	protocol.Incr:    (*conn).binaryIncr,
	protocol.Decr:    (*conn).binaryDecr,
	protocol.Delete:  (*conn).binaryDelete,

	protocol.FlushAll:  (*conn).binaryFlush,
	protocol.Noop:      (*conn).binaryPlain,
	protocol.Version:   (*conn).binaryPlain,
	protocol.Verbosity: (*conn).binaryVerbosity,
	protocol.Quit:      (*conn).binaryQuit,
	protocol.Stats:     (*conn).binaryArguments,
	protocol.Config:    (*conn).binaryArguments,

	protocol.SASLList: (*conn).saslList,
	protocol.SASLAuth: (*conn).saslAuth,
	protocol.SASLStep: (*conn).saslStep,
}

// dispatchBinary adds the commands of a binary request to b and plans its
// answer.
func (c *conn) dispatchBinary(r *protocol.Request, b *session.Burst) {
	c.plan = append(c.plan, answer{
		verb:   r.Verb,
		fault:  r.Fault,
		quiet:  r.Quiet,
		first:  int32(len(b.Commands) - c.start),
		opcode: r.Opcode,
		opaque: r.Opaque,
	})
	binaryDispatchers[r.Verb](c, &c.plan[len(c.plan)-1], r, b)
}

// binaryCommand adds the only command of r to b. Any may depend on a CAS.
func (c *conn) binaryCommand(op session.Op, r *protocol.Request, b *session.Burst) *session.Command {
	cmd := b.Add()
	cmd.Op, cmd.Key = op, r.Key
	if r.CAS != 0 {
		cmd.Mods, cmd.CAS = session.IfVersion, r.CAS
	}
	return cmd
}

func (c *conn) binaryInvalid(a *answer, r *protocol.Request, b *session.Burst) {
	c.closing = r.Fatal
	c.countFault(r.Fault)
}

// binaryPlain is for requests whose answer needs nothing else.
func (c *conn) binaryPlain(a *answer, r *protocol.Request, b *session.Burst) {}

func (c *conn) binaryGet(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryCommand(session.OpGet, r, b).Mods |= session.NoClaim
}

func (c *conn) binaryGat(a *answer, r *protocol.Request, b *session.Burst) {
	cmd := c.binaryCommand(session.OpGet, r, b)
	cmd.Mods |= session.NoClaim | session.SetExpiry
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
}

func (c *conn) binaryTouch(a *answer, r *protocol.Request, b *session.Burst) {
	cmd := c.binaryCommand(session.OpTouch, r, b)
	cmd.Expiry = protocol.Expiry(r.Exptime, b.Now)
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

func (c *conn) binaryDelete(a *answer, r *protocol.Request, b *session.Burst) {
	c.binaryCommand(session.OpDelete, r, b)
}

func (c *conn) binaryFlush(a *answer, r *protocol.Request, b *session.Burst) {
	c.counters.add(cmdFlush, 1)
	if c.server.options.DisableFlush {
		a.refuse(protocol.FlushNotAllowed)
		return
	}
	cmd := b.Add()
	cmd.Op, cmd.FlushAt = session.OpFlush, b.Now
	if r.Exptime > 0 {
		cmd.FlushAt = protocol.Expiry(r.Exptime, b.Now)
	}
}

func (c *conn) binaryVerbosity(a *answer, r *protocol.Request, b *session.Burst) {
	c.server.setVerbosity(r.Delta)
}

func (c *conn) binaryQuit(a *answer, r *protocol.Request, b *session.Burst) { c.closing = true }

// binaryArguments is for requests whose answer needs their arguments only.
func (c *conn) binaryArguments(a *answer, r *protocol.Request, b *session.Burst) { a.args = r.Args }
