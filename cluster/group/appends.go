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

// longest is for how long the first of them has been on its way.
func (a *appends) longest() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.begun) == 0 {
		return 0
	}
	return time.Since(a.begun[0])
}
