// Package httpapi is the administrative side of Cairn: a REST API described by
// OpenAPI, health, metrics and the console, all on one HTTP listener apart
// from the memcached ports.
//
// Requests pass, outermost first: limits and headers, authentication, routing,
// the scope an operation asks for, the operation. Operations speak to the
// store in session.Commands like every other front.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cairn/adminapi"
	"cairn/live"
	"cairn/policy"
	"cairn/session"
	"cairn/tlsconfig"
)

// Options configure a Server. Engine is required; the zero value of every
// other field is a working default.
type Options struct {
	Engine    Engine
	Memcached Memcached     // nil: no connections, no memcached statistics
	Owners    Owners        // nil: whose sessions are is not known
	Undo      Undo          // nil: nothing can be undone
	History   History       // nil: figures are not kept over time
	Locks     Locks         // nil: none are kept in memory
	Rules     *policy.Rules // nil: there are none
	Console   http.Handler  // serves "/"; nil: none

	// Figures are what Engine and Memcached count, under names of their own.
	// Each is registered before it is first collected from.
	Figures []prometheus.Collector

	// Upstream says how far the move from another store is. nil: there is none.
	Upstream func() adminapi.Upstream

	// ReloadAll reads again what can be, and Stop begins a clean stop and returns. nil:
	// that cannot be asked for.
	ReloadAll func() []adminapi.ReloadedPart
	Stop      func()

	// Live shows the commands of clients. nil: they may not be watched.
	Live *live.Feed

	// Cluster tells of the cluster that the server is a node of. nil: of none.
	Cluster func() adminapi.Cluster

	// ChangeCluster changes its members, or who leads. The error is a *Refusal, or one
	// of package session. nil: this process cannot.
	ChangeCluster func(ctx context.Context, change adminapi.ClusterChange) error

	// Settings are all settings as the server runs. nil: none.
	Settings func() []adminapi.Setting

	// Listening says where memcached's clients connect. nil: nowhere.
	Listening func() []adminapi.Listening

	Version string                   // of Cairn, shown to clients
	Config  func() map[string]string // configuration as running; nil: none
	Level   *slog.LevelVar           // of the log; nil: cannot be changed
	Logger  *slog.Logger             // nil: slog.Default; audit lines go there too

	// ScratchDir holds checkpoints while a backup streams. It is created if
	// need be and should be on the store's file system. Required for backups.
	ScratchDir string

	// MaxValueSize bounds the values that requests carry, in bytes.
	// 0: session.DefaultMaxValueSize.
	MaxValueSize int

	Auth   AuthOptions
	Limits Limits

	// TLS is the source of certificates; nil: plain HTTP. Reloading it is its
	// owner's business.
	TLS *tlsconfig.Source

	// ClientCertificates says that TLS verifies client certificates: such a
	// certificate stands in for a token, with the scope that a token line
	// "name scope cert:<common name>" gives it, else admin.
	ClientCertificates bool

	// AllowPlaintext lets the server speak plain HTTP on addresses that others
	// can reach, for setups in which something in front encrypts.
	AllowPlaintext bool
}

// Server is the HTTP API. It is safe for concurrent use.
type Server struct {
	engine    Engine
	memcached Memcached
	owners    Owners
	undo      Undo
	history   History
	options   Options
	logger    *slog.Logger
	started   time.Time

	admission *admission
	auth      *authenticator
	api       huma.API
	handler   http.Handler
	http      atomic.Pointer[http.Server]
	serving   atomic.Pointer[context.Context] // ends when http is shut down
	requests  *requestMetrics
	figures   *prometheus.Registry // Options.Figures
	tickets   ticketBook
	backups   semaphore
	streams   semaphore
	decoding  semaphore
	analyses  semaphore
	draining  atomic.Bool
}

// New makes a server that is ready to Serve. It fails if the tokens that the
// options name cannot be used.
func New(o Options) (*Server, error) {
	if o.Engine == nil {
		return nil, errors.New("httpapi: no engine")
	}
	o.fillDefaults()
	s := &Server{
		engine:    o.Engine,
		memcached: o.Memcached,
		owners:    o.Owners,
		undo:      o.Undo,
		history:   o.History,
		options:   o,
		logger:    o.Logger,
		started:   time.Now(),
		admission: newAdmission(o.Limits.Connections),
		backups:   make(semaphore, 1),
		streams:   make(semaphore, o.Limits.Streams),
		decoding:  make(semaphore, maxDecoding),
		analyses:  make(semaphore, 1),
		requests:  newRequestMetrics(),
		figures:   prometheus.NewRegistry(),
	}
	var err error
	process := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	for _, c := range append([]prometheus.Collector{process}, o.Figures...) {
		if err := s.figures.Register(c); err != nil {
			return nil, fmt.Errorf("httpapi: %w", err)
		}
	}
	if s.auth, err = newAuthenticator(o.Auth, o.Limits, s.logger); err != nil {
		return nil, err
	}
	s.removeOldCheckpoints()
	s.handler = s.routes()
	s.http.Store(s.newHTTPServer())
	return s, nil
}

func (o *Options) fillDefaults() {
	if o.Memcached == nil {
		o.Memcached = noMemcached{}
	}
	if o.Owners == nil {
		o.Owners = noOwners{}
	}
	if o.Undo == nil {
		o.Undo = noUndo{}
	}
	if o.History == nil {
		o.History = noHistory{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxValueSize == 0 {
		o.MaxValueSize = session.DefaultMaxValueSize
	}
	if o.Config == nil {
		o.Config = func() map[string]string { return nil }
	}
	if o.Version == "" {
		o.Version = "0.0.0"
	}
	o.Limits.fillDefaults()
}

// Handler returns the whole API as a handler, with authentication and limits.
func (s *Server) Handler() http.Handler { return s.handler }

// OpenAPI returns the description of the API as OpenAPI 3.1 in JSON.
func (s *Server) OpenAPI() ([]byte, error) { return s.api.OpenAPI().MarshalJSON() }

// BeginDrain makes /readyz answer that the server is not ready, so that load
// balancers look elsewhere, while everything goes on working.
func (s *Server) BeginDrain() { s.draining.Store(true) }

// Shutdown drains: it stops accepting and waits for requests in flight until
// ctx ends, then cuts the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	s.BeginDrain()
	return s.stop(ctx)
}

// Suspend ends every Serve, and what it serves, as Shutdown does, but they may
// begin again.
func (s *Server) Suspend(ctx context.Context) error {
	err := s.stop(ctx)
	s.http.Store(s.newHTTPServer())
	return err
}

func (s *Server) stop(ctx context.Context) error {
	server := s.http.Load()
	err := server.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// Reload reads the token file again. The tokens in force stay in force if that
// fails.
func (s *Server) Reload() error { return s.auth.reload() }

// semaphore bounds the number of expensive requests in flight.
type semaphore chan struct{}

func (c semaphore) tryAcquire() bool {
	select {
	case c <- struct{}{}:
		return true
	default:
		return false
	}
}

// acquire waits for its turn, or until ctx ends.
func (c semaphore) acquire(ctx context.Context) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c semaphore) release() { <-c }
