// Package memcachedfront serves memcached's protocols: classic text, meta and
// binary, on one port.
//
// A conn is the protocol state of one client and does no IO. Its Consume turns
// the bytes that arrived into the commands of a session.Burst and a plan of
// answers; package serve, which owns the sockets, applies the burst to the
// store; the conn's Reply then turns the results into bytes, in the order of the
// requests. What no burst can express, such as a dump of all keys, is an errand:
// serve runs it when all answers before it are out.
package memcachedfront

import (
	"context"

	"cairn/auth"
	"cairn/live"
	"cairn/policy"
	"cairn/serve"
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
	// Options are those of the sockets. The Protocol and the Rejection in them
	// are the Server's own.
	serve.Options

	// Inspector answers stats and dumps. Without one the store's figures are
	// zero and dumps are refused.
	Inspector Inspector

	// Effects tell watch and "stats detail" what happens to sessions, whichever
	// front asks for it. Default: the Store, if it is one that tells. Without them
	// both know of reads and of what fails only.
	Effects session.Observable

	// Live shows operators the commands of clients. Default: nobody sees them.
	Live *live.Feed

	// Version is what the command version answers. Clients choose features by
	// it, so it is the version of memcached that the server is compatible
	// with. Default "1.6.45".
	Version string

	// MaxItemSize is the largest value in bytes. Default
	// session.DefaultMaxValueSize.
	MaxItemSize int

	// MemoryLimit is the budget in bytes of the store's hot cache, as stats
	// show it. SetMemoryLimit changes it for the command cache_memlimit;
	// without one the command is refused.
	MemoryLimit    int64
	SetMemoryLimit func(bytes int64) error

	// RequestShutdown enables the command shutdown and carries it out.
	// graceful asks to finish what clients have begun.
	RequestShutdown func(graceful bool)

	// Flush says what flush_all does. DisableDump refuses the dumps of keys, and
	// DisableWatch the command watch.
	Flush        FlushPolicy
	DisableDump  bool
	DisableWatch bool

	// ReloadCertificates carries out the command refresh_certs. Default: there
	// is no TLS.
	ReloadCertificates func() error

	// Verbosity carries out the command verbosity. Default: the level is kept
	// and has no effect.
	Verbosity func(level int)

	// Nodes are what "config get cluster" answers: the addresses of this
	// server as clients know them, as host or host:port. If there are none, it
	// answers LiveNodes, and without one, that there is no such configuration.
	Nodes []string

	// LiveNodes returns the addresses that there are now, in the same form, and
	// their version, which rises with each change of them; none: they are not
	// known at present. It returns quickly. Optional.
	LiveNodes func() (addresses []string, version int64)

	// Settings are lines for "stats settings" that describe the running
	// process beyond this package.
	Settings func() [][2]string

	// Rules say which keys are sessions, and which of those are behind a fence.
	// They are the Store's too. Default: there are none.
	Rules *policy.Rules

	// FreeLocks frees what the connection with that number holds, because it has
	// ended. Default: nothing is held.
	FreeLocks func(client uint64)

	// Guard makes clients log in. Default: they need not.
	Guard *auth.Guard
}

func (o *Options) setDefaults() error {
	if o.Version == "" {
		o.Version = "1.6.45"
	}
	if o.MaxItemSize <= 0 {
		o.MaxItemSize = session.DefaultMaxValueSize
	}
	if o.Effects == nil {
		o.Effects, _ = o.Store.(session.Observable)
	}
	return o.Options.SetDefaults()
}
