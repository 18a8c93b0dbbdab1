// Package memcachedfront serves memcached's protocols: classic text, meta and
// binary, on one port.
//
// A conn is the protocol state of one client and does no IO. Its consume turns
// the bytes that arrived into the commands of a session.Burst and a plan of
// answers; the loop that owns the sockets applies the burst to the store; the
// conn's reply then turns the results into bytes, in the order of the
// requests. What no burst can express, such as a dump of all keys, is an
// errand: the loop runs it when all answers before it are out.
package memcachedfront

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"time"

	"cairn/auth"
	"cairn/session"
)

// Inspector lets administrators look into the store.
type Inspector interface {
	Stats() session.Stats

	// Scan calls fn for the live items whose keys begin with prefix and come
	// after the key after, in the order of their keys, until fn returns false
	// or ctx ends. The item is valid during the call only.
	Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error
}

// Options configure a Server. The zero value of a field stands for its default.
type Options struct {
	Store session.Store // required
	Clock session.Clock // required

	// Inspector answers stats and dumps. Without one the store's figures are
	// zero and dumps are refused.
	Inspector Inspector

	// Addresses are where to listen; see ParseListen. Default: TCP on
	// 127.0.0.1, port 11211.
	Addresses []Address

	// Bound are listeners that exist already, by the String of the Address
	// that each is for; see Bind. They become the server's.
	Bound map[string]net.Listener

	// Version is what the command version answers. Clients choose features by
	// it, so it is the version of memcached that the server is compatible
	// with. Default "1.6.45".
	Version string

	// MaxItemSize is the largest value in bytes. Default
	// session.DefaultMaxValueSize.
	MaxItemSize int

	// ConnLimit is how many clients may be connected at once. The next one is
	// told so and closed; from loopback and Unix sockets ReservedConns more are
	// let in. Default 1024.
	ConnLimit int

	// ReservedConns is the number of connections beyond ConnLimit that are kept
	// for administrators on this machine. Default 8; negative: none.
	ReservedConns int

	// IdleTimeout closes a connection that was silent for so long. Default: it
	// may be silent for ever.
	IdleTimeout time.Duration

	// Threads is how many event loops serve connections. Default: one per
	// processor that Go may use.
	Threads int

	// Blocking serves each connection by a goroutine of its own that blocks,
	// instead of event loops. That is what happens anyway to connections with
	// TLS, and on systems that have no event loops here: all but Linux.
	Blocking bool

	// MemoryLimit is the budget in bytes of the store's hot cache, as stats
	// show it. SetMemoryLimit changes it for the command cache_memlimit;
	// without one the command is refused.
	MemoryLimit    int64
	SetMemoryLimit func(bytes int64) error

	// RequestShutdown enables the command shutdown and carries it out.
	// graceful asks to finish what clients have begun.
	RequestShutdown func(graceful bool)

	// DisableFlush refuses flush_all, DisableDump the dumps of keys, and
	// DisableWatch the command watch.
	DisableFlush bool
	DisableDump  bool
	DisableWatch bool

	// ReloadCertificates carries out the command refresh_certs. Default: there
	// is no TLS.
	ReloadCertificates func() error

	// Verbosity carries out the command verbosity. Default: the level is kept
	// and has no effect.
	Verbosity func(level int)

	// Nodes are what "config get cluster" answers: the addresses of this
	// server as clients know them, as host or host:port. Empty: there is no
	// such configuration.
	Nodes []string

	// Settings are lines for "stats settings" that describe the running
	// process beyond this package.
	Settings func() [][2]string

	// Guard makes clients log in. Default: they need not.
	Guard *auth.Guard

	// TLS is spoken on every TCP address that is not Plain. Default: on none.
	TLS *tls.Config

	// Logger gets what operators should know. Default: nothing is logged.
	Logger *slog.Logger
}

func (o *Options) setDefaults() error {
	if o.Store == nil || o.Clock == nil {
		return errors.New("memcachedfront: Options need a Store and a Clock")
	}
	if len(o.Addresses) == 0 {
		o.Addresses = []Address{{Network: "tcp", Addr: "127.0.0.1:11211"}}
	}
	if o.Version == "" {
		o.Version = "1.6.45"
	}
	if o.MaxItemSize <= 0 {
		o.MaxItemSize = session.DefaultMaxValueSize
	}
	if o.ConnLimit <= 0 {
		o.ConnLimit = 1024
	}
	if o.ReservedConns == 0 {
		o.ReservedConns = 8
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
