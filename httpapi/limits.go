package httpapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"

	"cairn/origin"
)

// Limits protect the server from its clients. Zero values are the defaults
// named; a negative one switches that limit off where it says so.
type Limits struct {
	Requests    float64 // per second and origin; default 200; negative: no limit
	Connections int     // open at once, over all listeners; default 512
	Streams     int     // exports and imports at once; default 4
}

const (
	tokenGuesses       = 10 // wrong tokens from one origin before one a guessInterval is looked at
	tokenGuessInterval = time.Second

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

// limiters is a token bucket per origin, for a bounded number of them.
type limiters struct {
	limit rate.Limit
	burst int

	mu       sync.Mutex
	byOrigin map[origin.Origin]*rate.Limiter
}

const maxLimiters = 4096

// newLimiters allows perSecond events after a burst; no limit if perSecond is
// negative.
func newLimiters(perSecond float64, burst int) *limiters {
	limit := rate.Limit(perSecond)
	if perSecond < 0 {
		limit = rate.Inf
	}
	return &limiters{limit: limit, burst: burst, byOrigin: map[origin.Origin]*rate.Limiter{}}
}

// allow takes one event from the bucket of an origin.
func (l *limiters) allow(o origin.Origin) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.byOrigin[o]
	if limiter == nil {
		if len(l.byOrigin) >= maxLimiters {
			l.dropFull()
		}
		limiter = rate.NewLimiter(l.limit, l.burst)
		l.byOrigin[o] = limiter
	}
	return limiter.Allow()
}

// dropFull forgets the origins whose buckets are full again, or all if too few
// are.
func (l *limiters) dropFull() {
	for o, limiter := range l.byOrigin {
		if limiter.Tokens() >= float64(l.burst) {
			delete(l.byOrigin, o)
		}
	}
	if len(l.byOrigin) >= maxLimiters {
		clear(l.byOrigin)
	}
}

// originKey is the key of a connection's origin in the context of its requests.
type originKey struct{}

// withOrigin lets the requests of a connection know where it comes from.
func withOrigin(ctx context.Context, c net.Conn) context.Context {
	if conn := admitted(c); conn != nil {
		return context.WithValue(ctx, originKey{}, conn.origin)
	}
	return context.WithValue(ctx, originKey{}, origin.OfConn(c))
}

// originOf is where a request comes from.
func originOf(r *http.Request) origin.Origin {
	if o, ok := r.Context().Value(originKey{}).(origin.Origin); ok {
		return o
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return origin.Origin{}
	}
	return origin.OfAddr(addr.Addr())
}
