package memcachedfront

import (
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// dispatch adds the commands of r to b and plans its answer.
func (c *conn) dispatch(r *protocol.Request, b *session.Burst) {
	if !c.authenticated && c.mustLogIn(r) {
		return
	}
	if c.dialect == binary {
		c.dispatchBinary(r, b)
		return
	}
	c.plan = append(c.plan, answer{verb: r.Verb, fault: r.Fault, quiet: r.Quiet, first: int32(len(b.Commands))})
}
