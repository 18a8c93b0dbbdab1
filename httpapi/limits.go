package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"
)

// Limits protect the server from its clients. Zero values are the defaults
// named; a negative one switches that limit off where it says so.
type Limits struct {
	Requests    float64 // per second and client address; default 200; negative: no limit
	Connections int     // open at once; default 512
	Streams     int     // exports and imports at once; default 4
}

const (
	authFailureBurst = 10 // failed authentications before they are throttled to 1/s

	headerTimeout = 5 * time.Second   // for a request's header
	bodyTimeout   = 30 * time.Second  // for a body that is not a stream
	idleTimeout   = 120 * time.Second // between requests
	writeTimeout  = 30 * time.Second  // without progress of a response
	streamTimeout = 30 * time.Second  // without progress of an uploaded stream
	maxHeader     = 16 << 10          // bytes
)

func (l *Limits) fillDefaults() {
	if l.Requests == 0 {
		l.Requests = 200
	}
	if l.Connections == 0 {
		l.Connections = 512
	}
	if l.Streams == 0 {
		l.Streams = 4
	}
}

// refuseLarge is the middleware that answers a request which says that its body
// is too large for the operation, before any of it has come: a client that asks
// first (Expect: 100-continue) sends nothing, and no answer is lost because the
// connection breaks under the rest of the body. Bodies that do not tell their
// length are cut when they are read.
func (s *Server) refuseLarge(ctx huma.Context, next func(huma.Context)) {
	limit := ctx.Operation().MaxBodyBytes
	if r, _ := humago.Unwrap(ctx); limit > 0 && r.ContentLength > limit {
		_ = huma.WriteErr(s.api, ctx, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body may have %d bytes here", limit))
		return
	}
	next(ctx)
}

// limiters is a token bucket per client network, for a bounded number of them.
type limiters struct {
	limit rate.Limit
	burst int

	mu    sync.Mutex
	byNet map[netip.Prefix]*rate.Limiter
}

const maxLimiters = 4096

// newLimiters allows perSecond events after a burst; no limit if perSecond is
// negative.
func newLimiters(perSecond float64, burst int) *limiters {
	limit := rate.Limit(perSecond)
	if perSecond < 0 {
		limit = rate.Inf
	}
	return &limiters{limit: limit, burst: burst, byNet: map[netip.Prefix]*rate.Limiter{}}
}

// allow takes one event from the bucket of a remote address.
func (l *limiters) allow(remote string) bool {
	network := networkOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.byNet[network]
	if limiter == nil {
		if len(l.byNet) >= maxLimiters {
			l.dropFull()
		}
		limiter = rate.NewLimiter(l.limit, l.burst)
		l.byNet[network] = limiter
	}
	return limiter.Allow()
}

// dropFull forgets the networks whose buckets are full again, or all if too
// few are.
func (l *limiters) dropFull() {
	for network, limiter := range l.byNet {
		if limiter.Tokens() >= float64(l.burst) {
			delete(l.byNet, network)
		}
	}
	if len(l.byNet) >= maxLimiters {
		clear(l.byNet)
	}
}

// networkOf gives the IPv4 address or the IPv6 /64 of a remote address; the
// zero Prefix for unix sockets.
func networkOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits)
	return network
}
