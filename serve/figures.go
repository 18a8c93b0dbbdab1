package serve

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/figures"
)

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

	Open, Limit int // connections at present, and the most that may be
}

// declared are the figures of a Server that operators see.
var declared = figures.Set[Figures]{
	figures.Gauge("cairn_connections", "Open connections of memcached clients.", func(f Figures) int { return f.Open }),
	figures.Gauge("cairn_connections_limit", "Connections that may be open at once.", func(f Figures) int { return f.Limit }),
	figures.Counter("cairn_connections_opened_total", "Connections accepted from memcached clients.", func(f Figures) uint64 { return f.Connected }),
	figures.Counter("cairn_connections_rejected_total", "Connections refused because too many were open.", func(f Figures) uint64 { return f.Rejected }),
	figures.Counter("cairn_connections_idle_closed_total", "Connections closed because they were idle.", func(f Figures) uint64 { return f.Idle }),
	figures.Counter("cairn_connections_stalled_closed_total", "Connections closed because others waited for memory that they did not use.", func(f Figures) uint64 { return f.Stalled }),
	figures.Gauge("cairn_connections_waiting", "Connections that wait for memory for their values.", func(f Figures) int { return f.Waiting }),
	figures.Gauge("cairn_buffer_bytes", "Memory for values on their way in and out, of --buffer-memory.", func(f Figures) int64 { return f.Buffered }),
	figures.Counter("cairn_network_received_bytes_total", "Bytes received from memcached clients.", func(f Figures) uint64 { return f.BytesIn }),
	figures.Counter("cairn_network_sent_bytes_total", "Bytes sent to memcached clients.", func(f Figures) uint64 { return f.BytesOut }),
}

// Describe and Collect make the server a prometheus.Collector. Describe needs
// no open server: s may be nil.
func (s *Server) Describe(ch chan<- *prometheus.Desc) { declared.Describe(ch) }

// Collect sends the present figures.
func (s *Server) Collect(ch chan<- prometheus.Metric) { declared.Collect(ch, s.Figures()) }

// Figures returns the present figures.
func (s *Server) Figures() Figures {
	f := Figures{
		Connected: s.clients.total.Load(),
		Rejected:  s.clients.rejected.Load(),
		Idle:      s.clients.kicked.Load(),
		Expelled:  s.clients.expelled.Load(),
		Stalled:   s.clients.stalled.Load(),
		Open:      s.clients.count(),
		Limit:     s.options.ConnLimit,
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

// Connected returns the number of open connections.
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
