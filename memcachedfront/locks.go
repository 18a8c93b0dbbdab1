package memcachedfront

import (
	"errors"

	"cairn/serve"
	"cairn/session"
)

// patient says on the burst whether its client would wait for a lock: it asks for
// nothing else.
func (c *conn) patient(b *session.Burst, more bool) {
	rules := c.server.options.Rules
	if rules == nil || more || len(c.plan) != 1 || len(b.Commands) != 1 || b.Commands[0].Op != session.OpAdd || c.plan[0].quiet {
		return
	}
	rule := rules.Set().VolatileLock(b.Commands[0].Key)
	b.Patient = rule != nil && rule.Park > 0
}

// freeLocks frees what the client holds, whose connection has ended because of err.
// One that another process goes on with has not ended, and one that was closed for
// being idle has a client that may be at work.
func (c *conn) freeLocks(err error) {
	if free := c.server.options.FreeLocks; free != nil && !errors.Is(err, serve.ErrReleased) && !errors.Is(err, serve.ErrIdle) {
		free(c.link.ID())
	}
}
