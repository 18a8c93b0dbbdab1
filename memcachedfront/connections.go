package memcachedfront

import "time"

// Connection describes a client connection to operators.
type Connection struct {
	ID         uint64
	Client     string // remote address; empty on a Unix socket
	Listener   string // the address it was accepted on
	Protocol   string // "text", "meta", "binary", or "" before the first request
	User       string // who logged in, or ""
	TLS        bool
	Since      time.Time
	LastActive time.Time
	LastVerb   string
	Requests   uint64
	BytesIn    uint64
	BytesOut   uint64
}

// Connections lists the open connections in no particular order.
func (s *Server) Connections() []Connection {
	clients := s.clients.list()
	list := make([]Connection, len(clients))
	for i, cl := range clients {
		list[i] = cl.about().describe()
	}
	return list
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

// EachStat calls fn with the names and values of the general statistics, as the
// command stats shows them.
func (s *Server) EachStat(fn func(name, value string)) { s.generalStats(fn) }
