package adminapi

import "time"

// ConnectionInfo is one open connection of a memcached client.
type ConnectionInfo struct {
	ID         string    `json:"id"`
	Client     string    `json:"client" doc:"Remote address; empty on a unix socket."`
	Listener   string    `json:"listener" doc:"The address it was accepted on."`
	Protocol   string    `json:"protocol" doc:"text, meta or binary; empty before the first request."`
	User       string    `json:"user,omitempty" doc:"Who authenticated."`
	TLS        bool      `json:"tls"`
	Since      time.Time `json:"since"`
	LastActive time.Time `json:"last_active"`
	LastVerb   string    `json:"last_verb,omitempty"`
	Requests   uint64    `json:"requests"`
	BytesIn    uint64    `json:"bytes_in"`
	BytesOut   uint64    `json:"bytes_out"`
}

// ConnectionList are connections, oldest first.
type ConnectionList struct {
	Connections []ConnectionInfo `json:"connections" nullable:"false"`
	Total       int              `json:"total" doc:"Open connections; the list may be shorter."`
}
