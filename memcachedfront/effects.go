package memcachedfront

import (
	"sync"

	"cairn/session"
)

// Front, ID and User make a conn the session.Origin of its bursts.
func (c *conn) Front() string { return session.Memcached }
func (c *conn) ID() uint64    { return c.link.ID() }
func (c *conn) User() string {
	if ticket := c.known.ticket.Load(); ticket != nil {
		return ticket.User
	}
	return ""
}

// effects are what the store tells of what happened to sessions, whoever asked for
// it, as long as somebody here wants to know.
type effects struct {
	mu     sync.Mutex
	cancel func() // nil: the store does not tell
}

// listen begins or ends to listen to the store, as it is needed now.
func (s *Server) listen() {
	s.effects.mu.Lock()
	defer s.effects.mu.Unlock()
	wanted := s.watchers.want(mutations|deletions) || s.prefixes.on.Load()
	switch listens := s.effects.cancel != nil; {
	case wanted && !listens && s.options.Effects != nil:
		s.effects.cancel = s.options.Effects.Subscribe(s)
	case !wanted && listens:
		s.effects.cancel()
		s.effects.cancel = nil
	}
}

// Observe is session.Observer's. Reads and what has failed it does not hear of;
// answering tells of those.
func (s *Server) Observe(events []session.Event) {
	if s.watchers.want(mutations | deletions) {
		s.watchers.happened(events)
	}
	if s.prefixes.on.Load() {
		s.prefixes.happened(events)
	}
}

// answering tells those who watch what commands of a client did that the store
// does not tell of.
func (s *Server) answering(c *conn, b *session.Burst) {
	if s.watchers.want(fetchers | mutations) {
		s.watchers.results(c, b)
	}
	if s.prefixes.on.Load() {
		s.prefixes.results(b.Commands, b.Results)
	}
}
