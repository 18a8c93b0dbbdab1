package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// answer is the plan for the reply to one request.
type answer struct {
	verb      protocol.Verb
	fault     protocol.Fault // with Invalid
	meta      protocol.MetaFlags
	quiet     bool
	last      bool // the retrieval ends here, not in a later burst
	base64Key bool

	// first and count say which commands of the burst are the request's.
	first, count int32

	// line is the whole answer, if it is known already.
	line string

	// args are the request's; they alias the input.
	args []byte

	// Of binary requests.
	opcode byte
	opaque uint32
}

// refuse makes a the answer to a request that cannot be carried out.
func (a *answer) refuse(f protocol.Fault) { a.verb, a.fault = protocol.Invalid, f }

// expect plans the answer to r, whose commands come next in b.
func (c *conn) expect(r *protocol.Request, b *session.Burst) *answer {
	c.plan = append(c.plan, answer{
		verb:  r.Verb,
		quiet: r.Quiet,
		first: int32(len(b.Commands) - c.start),
	})
	return &c.plan[len(c.plan)-1]
}

// command plans the answer to r and adds its only command to b.
func (c *conn) command(r *protocol.Request, b *session.Burst, op session.Op) *session.Command {
	c.expect(r, b).count = 1
	cmd := b.Add()
	cmd.Op = op
	cmd.Key = r.Key
	return cmd
}

// say plans a fixed answer.
func (c *conn) say(r *protocol.Request, b *session.Burst, line string) {
	c.expect(r, b).line = line
}

// refuse plans the answer of a fault.
func (c *conn) refuse(r *protocol.Request, b *session.Burst, f protocol.Fault) {
	c.expect(r, b).refuse(f)
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

// binaryArguments is for requests whose answer needs their arguments only.
func (c *conn) binaryArguments(a *answer, r *protocol.Request, b *session.Burst) { a.args = r.Args }

// binaryPlain is for requests whose answer needs nothing else.
func (c *conn) binaryPlain(a *answer, r *protocol.Request, b *session.Burst) {}
