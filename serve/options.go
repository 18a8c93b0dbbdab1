package serve

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"time"

	"cairn/memory"
	"cairn/session"
)

// Options configure a Server. The zero value of a field stands for its default.
type Options struct {
	Protocol Protocol      // required
	Store    session.Store // required; see also hurrier and prefetcher
	Clock    session.Clock // required

	// Addresses are where to listen; see ParseListen. Default: TCP on
	// 127.0.0.1, port 11211.
	Addresses []Address

	// Bound are listeners that exist already, by the String of the Address
	// that each is for; see Bind. They become the server's.
	Bound map[string]net.Listener

	// ConnLimit is how many clients may be connected at once. The next one is
	// told so and closed; from loopback and Unix sockets ReservedConns more are
	// let in. Default 1024.
	ConnLimit int

	// ReservedConns is the number of connections beyond ConnLimit that are kept
	// for administrators on this machine. Default 8; negative: none.
	ReservedConns int

	// OriginConnLimit is how many clients may be connected at once from one
	// origin. Loopback and Unix sockets have no such limit. Default: none.
	OriginConnLimit int

	// Login says that clients are strangers until their Conn calls
	// Link.Welcome. A stranger makes room where there is none for another client,
	// and is closed after LoginTimeout. Default: there are no strangers, and they
	// may take for ever.
	Login        bool
	LoginTimeout time.Duration

	// Rejection is what a client hears for whom there is no room. Default:
	// nothing.
	Rejection []byte

	// IdleTimeout closes a connection that was silent for so long. Default: it
	// may be silent for ever.
	IdleTimeout time.Duration

	// BufferBytes is how many bytes connections may hold together of large
	// requests that arrive and of large answers that wait to be sent. Over it,
	// those who send or ask for much wait, the smallest first; nobody is refused.
	// Default: an eighth of the memory that the process may use.
	BufferBytes int64

	// StallTimeout closes a connection that holds a part of BufferBytes which
	// others wait for, and neither sends the rest of its request nor takes its
	// answers for so long. Default 30 s.
	StallTimeout time.Duration

	// Patience is how long clients wait for a store that is unavailable, see
	// session.ErrUnavailable, before they hear of it. Default: 10 s. Negative:
	// they do not wait.
	Patience time.Duration

	// Threads is how many event loops serve connections. Default: one per
	// processor that Go may use.
	Threads int

	// Blocking serves each connection by a goroutine of its own that blocks,
	// instead of event loops. That is what happens anyway to connections with
	// TLS, and on systems that have no event loops here: all but Linux.
	Blocking bool

	// TLS is spoken on every TCP address that is not Plain. Default: on none.
	TLS *tls.Config

	// Logger gets what operators should know. Default: nothing is logged.
	Logger *slog.Logger
}

// hurrier is a Store that may let a patient client wait, see session.Burst. Hurry makes
// it complete the burst at once. It does nothing to one that does not wait.
type hurrier interface{ Hurry(b *session.Burst) }

// prefetcher is a Store that tries a burst of several commands faster if it hears of it
// before. It does not keep the burst.
type prefetcher interface{ Prefetch(b *session.Burst) }

// minBufferBytes is the least default of Options.BufferBytes.
const minBufferBytes = 32 << 20

// SetDefaults replaces zero values by their defaults.
func (o *Options) SetDefaults() error {
	if o.Store == nil || o.Clock == nil {
		return errors.New("serve: Options need a Store and a Clock")
	}
	if len(o.Addresses) == 0 {
		o.Addresses = []Address{{Network: "tcp", Addr: "127.0.0.1:11211"}}
	}
	if o.ConnLimit <= 0 {
		o.ConnLimit = 1024
	}
	if o.ReservedConns == 0 {
		o.ReservedConns = 8
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = max(memory.Limit()/8, minBufferBytes)
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = 30 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
