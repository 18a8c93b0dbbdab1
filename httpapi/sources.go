package httpapi

import (
	"context"
	"time"

	"cairn/session"
)

// Engine is the store together with what an operator asks of it.
type Engine interface {
	session.Store
	session.Clock

	// Scan calls fn with each live item whose key begins with prefix, keys
	// ascending, strictly after the key after (nil: from the first), until fn
	// returns false. The item is valid only during the call. fn may take its
	// time, wait for a client and use the engine: Scan holds up nobody.
	Scan(ctx context.Context, prefix, after []byte, fn func(it *session.Item) bool) error

	// Forecast counts live items by the minute in which they expire,
	// ascending; those that never expire have From == session.Never.
	Forecast() []session.ForecastSlot

	// Stats are few and cheap. All figures come from Options.Figures.
	Stats() session.Stats

	// Checkpoint makes dir, which must not exist, a consistent copy of all
	// acknowledged state.
	Checkpoint(dir string) error
}

// Memcached is the memcached front end as an operator sees it.
type Memcached interface {
	// EachStat calls fn with the names and values of memcached's `stats`.
	EachStat(fn func(name, value string))

	// Connections lists the open client connections in no particular order.
	Connections() []Connection

	// CloseConnection closes one and reports whether it was open.
	CloseConnection(id uint64) bool
}

// Connection is one client connection of the memcached front end.
type Connection struct {
	ID         uint64
	Client     string // remote address; empty on a unix socket
	Listener   string // the address it was accepted on
	Protocol   string // "text", "meta", "binary", or "" before the first request
	User       string // authenticated name, or ""
	TLS        bool
	Since      time.Time
	LastActive time.Time
	LastVerb   string
	Requests   uint64
	BytesIn    uint64
	BytesOut   uint64
}

// noMemcached stands in where no front end was given.
type noMemcached struct{}

func (noMemcached) EachStat(func(name, value string)) {}
func (noMemcached) Connections() []Connection         { return nil }
func (noMemcached) CloseConnection(uint64) bool       { return false }
