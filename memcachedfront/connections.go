package memcachedfront

import (
	"net"
	"time"

	"cairn/memcachedfront/protocol"
	"cairn/serve"
)

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
	links := s.Links()
	list := make([]Connection, len(links))
	for i, l := range links {
		list[i] = describe(l)
	}
	return list
}

func describe(l *serve.Link) Connection {
	known := &l.Conn().(*conn).known
	c := Connection{
		ID:         l.ID(),
		Listener:   l.Listener().Addr.String(),
		Protocol:   known.protocol(),
		TLS:        l.Secure(),
		Since:      l.Since(),
		LastActive: l.LastActive().Time(),
		Requests:   known.requests.Load(),
		BytesIn:    l.BytesIn(),
		BytesOut:   l.BytesOut(),
	}
	if tcp, ok := l.Remote().(*net.TCPAddr); ok {
		c.Client = tcp.String()
	}
	if ticket := known.ticket.Load(); ticket != nil {
		c.User = ticket.User
	}
	if c.Requests > 0 {
		c.LastVerb = protocol.Verb(known.lastVerb.Load()).String()
	}
	return c
}

// EachStat calls fn with the names and values of the general statistics, as the
// command stats shows them.
func (s *Server) EachStat(fn func(name, value string)) { s.generalStats(fn) }
