package group

import (
	"sync"
	"time"
)

// appends are those that the log has, and that are not durable yet, in order.
type appends struct {
	mu    sync.Mutex
	begun []time.Time
}

func (a *appends) begin(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = append(a.begun, now)
}

func (a *appends) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = a.begun[1:]
}

// longest is for how long the first of them has been on its way by now.
func (a *appends) longest(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.begun) == 0 {
		return 0
	}
	return now.Sub(a.begun[0])
}

// A leader whose log has been at one sync for longer than slowSync asks another to
// lead; from stuckSync on it lets no time pass, so that others find one.
const (
	slowSync  = 500 * time.Millisecond
	stuckSync = time.Second
)

// pass lets a tick of time pass, unless the disk has let this node wait for too long.
func (c *core) pass(waits time.Duration) {
	if c.leads && waits > slowSync {
		if to, _ := c.successor(); to != 0 {
			c.transfer(to)
		}
	}
	if waits < stuckSync {
		c.tick()
	}
}
