package serve

import "sync/atomic"

// traffic counts the bytes of one shard, on a cache line of its own.
type traffic struct {
	in, out atomic.Uint64
	_       [48]byte
}

// Figures count what has happened since the server began, or ResetFigures.
type Figures struct {
	Connected uint64 // connections ever accepted
	Rejected  uint64 // turned away for want of room
	Idle      uint64 // closed because they were silent for too long
	Expelled  uint64 // closed because they had not logged in
	BytesIn   uint64 // received, without TLS
	BytesOut  uint64 // sent
	Stalled   uint64 // closed because they held up others, see Options.StallTimeout

	// Of Options.BufferBytes, at present: the bytes in use, and the connections
	// that wait for some.
	Buffered int64
	Waiting  int
}

// Figures gives the present figures.
func (s *Server) Figures() Figures {
	f := Figures{
		Connected: s.clients.total.Load(),
		Rejected:  s.clients.rejected.Load(),
		Idle:      s.clients.kicked.Load(),
		Expelled:  s.clients.expelled.Load(),
		Stalled:   s.clients.stalled.Load(),
	}
	f.Buffered, f.Waiting = s.budget.inUse()
	for i := range s.traffic {
		f.BytesIn += s.traffic[i].in.Load()
		f.BytesOut += s.traffic[i].out.Load()
	}
	return f
}

// ResetFigures begins to count again. Connections that are open count as
// accepted.
func (s *Server) ResetFigures() {
	s.clients.total.Store(uint64(s.clients.count()))
	s.clients.rejected.Store(0)
	s.clients.kicked.Store(0)
	s.clients.expelled.Store(0)
	s.clients.stalled.Store(0)
	for i := range s.traffic {
		s.traffic[i].in.Store(0)
		s.traffic[i].out.Store(0)
	}
}

// Connected gives the number of open connections.
func (s *Server) Connected() int { return s.clients.count() }

// Links lists the open connections in no particular order.
func (s *Server) Links() []*Link {
	clients := s.clients.list()
	links := make([]*Link, len(clients))
	for i, cl := range clients {
		links[i] = cl.about()
	}
	return links
}

// CloseConnection closes a connection and reports whether it was open.
func (s *Server) CloseConnection(id uint64) bool {
	for _, cl := range s.clients.list() {
		if cl.about().id == id {
			cl.hangUp()
			return true
		}
	}
	return false
}
