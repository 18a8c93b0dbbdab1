package serve

import "time"

// stall is since when a connection has moved nothing, as endStalls has seen it.
type stall struct {
	moved uint64 // bytes in and out
	since time.Time
}

// endStalls closes connections, until the server stops, that hold memory which
// others wait for and do nothing with it.
func (s *Server) endStalls() {
	for !s.isStopping() {
		s.sleep(s.options.StallTimeout / 4)
		if !s.budget.tight.Load() || s.isFrozen() {
			continue
		}
		now := time.Now()
		for _, cl := range s.clients.list() {
			if s.isStalled(cl.about(), now) {
				s.options.Logger.Warn("closing a client that holds memory others wait for",
					"client", cl.about().remote, "idle", s.options.StallTimeout)
				s.clients.stalled.Add(1)
				cl.hangUp()
			}
		}
	}
}

// isStalled notes whether l has moved anything, and reports whether it has not
// for too long although its client could.
func (s *Server) isStalled(l *Link, now time.Time) bool {
	moved := l.BytesIn() + l.BytesOut()
	if moved != l.stall.moved || l.stall.since.IsZero() || !s.budget.holds(&l.claim) || l.State() == Working {
		l.stall = stall{moved, now}
		return false
	}
	return now.Sub(l.stall.since) >= s.options.StallTimeout
}
