package proxy

import (
	"context"

	"cairn/session"
)

// What follows makes a Proxy stand where a server has its sessions.

// Stats are those of a node: of what the cluster has, but for the node's cache.
func (p *Proxy) Stats() session.Stats {
	p.members.mu.Lock()
	defer p.members.mu.Unlock()
	return p.members.stats
}

// Forecast is empty: nodes know what expires when.
func (p *Proxy) Forecast() []session.ForecastSlot { return nil }

// Checkpoint fails.
func (p *Proxy) Checkpoint(string) error { return errNoSessions }

// SetHotBytes does nothing with 0, and fails otherwise: there is no cache.
func (p *Proxy) SetHotBytes(bytes int64) error {
	if bytes > 0 {
		return errNoSessions
	}
	return nil
}

// Quiesce has nothing to do before a Close, nor Resume after it.
func (p *Proxy) Quiesce(context.Context) error { return nil }
func (p *Proxy) Resume()                       {}

// ReadOnly is false.
func (p *Proxy) ReadOnly() bool { return false }
