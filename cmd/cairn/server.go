package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cairn/cluster"
	"cairn/cluster/proxy"
	"cairn/cmd/cairn/config"
	"cairn/control"
	"cairn/engine"
	"cairn/history"
	"cairn/live"
	"cairn/memcachedfront"
	"cairn/memory"
	"cairn/owners"
	"cairn/session"
	"cairn/systemd"
	"cairn/undo"
)

// stopTimeout bounds how long a stop waits for clients before it cuts them.
const stopTimeout = 10 * time.Second

// server is what runs: a store and the front ends before it.
type server struct {
	cfg     *config.Config
	memory  *memory.Plan
	logger  *slog.Logger
	level   *slog.LevelVar
	reloads *reloader
	stop    func() // begins a clean stop

	sockets *sockets
	store   *store
	owners  *owners.Directory
	undo    *undo.Keeper
	history *history.Recorder
	node    atomic.Pointer[cluster.Node] // of a cluster; nil: none is open
	proxy   atomic.Pointer[proxy.Proxy]  // of a cluster; nil: none is open
	feed    *live.Feed                   // nil: nobody may watch
	front   *memcachedfront.Server
	admin   *admin // nil without an HTTP API

	began  history.Begin // how this process came to serve
	served chan error    // has the outcome of front.Serve when that is over
}

// open opens the listeners and the store. After an error, close closes what was
// opened.
func (s *server) open() error {
	options, err := s.prepare()
	if err != nil {
		return err
	}
	if err := s.openStore(false); err != nil {
		return err
	}
	s.beginUpkeep()
	return s.listen(options)
}

// prepare does all that can be done without the store.
func (s *server) prepare() (memcachedfront.Options, error) {
	if err := s.sockets.bind(s.cfg, s.logger); err != nil {
		return memcachedfront.Options{}, err
	}
	s.undo = s.newUndo()
	s.owners = owners.New(owners.Options{Store: s.store, Rules: s.cfg.Rules, Dir: s.cfg.DataDir, Undo: s.undo, Logger: s.logger})
	s.reloads.add("owners", s.owners.Refresh)
	if s.cfg.ControlPrefix != "" {
		s.store.control = control.New(control.Options{Next: uncontrolled{s.store}, Prefix: s.cfg.ControlPrefix, Rules: s.cfg.Rules, Owners: s.owners})
	}
	if !s.cfg.DisableWatching {
		s.feed = live.New(s.store)
	}
	options, err := s.frontOptions()
	if err != nil {
		return options, err
	}
	if !s.cfg.Proxy() {
		if s.history, err = s.newHistory(); err != nil {
			return options, err
		}
	}
	s.admin, err = s.newAdmin()
	return options, err
}

func (s *server) openStore(justClosed bool) error {
	began := time.Now()
	if err := s.store.open(justClosed); err != nil {
		return err
	}
	if !s.cfg.Proxy() {
		s.logger.Info("store is open", "data-dir", absoluteDir(s.cfg), "durability", s.cfg.Durability.String(),
			"sessions", s.store.Stats().Items, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// listen makes the memcached front end, which serves nobody yet.
func (s *server) listen(options memcachedfront.Options) (err error) {
	if s.front, err = memcachedfront.Listen(options); err != nil {
		return err
	}
	if options.Guard != nil {
		s.reloads.add("logins", func() error {
			s.front.LogOut()
			return nil
		})
	}
	return nil
}

// beginUpkeep lets what looks after the store begin; a proxy leaves that to the nodes.
func (s *server) beginUpkeep() {
	if !s.cfg.Proxy() {
		s.undo.Start()
		s.owners.Start()
	}
}

func (s *server) endUpkeep() {
	if !s.cfg.Proxy() {
		s.owners.Stop()
		s.undo.Stop()
	}
}

// serve lets clients in.
func (s *server) serve() {
	s.served = make(chan error, 1)
	go func() {
		s.served <- s.front.Serve(context.Background())
		s.stop()
	}()
	for _, address := range s.front.Addrs() {
		s.logger.Info("serving memcached clients", "network", address.Network(), "address", address.String())
	}
	if s.history != nil {
		s.history.Start(s.began)
	}
	if s.admin != nil {
		s.admin.serve()
		for _, l := range s.sockets.http {
			s.logger.Info("serving the HTTP API", "address", l.Addr().String())
		}
	}
}

// notify tells the service manager, if there is one.
func (s *server) notify(state string) {
	if err := systemd.Notify(state); err != nil {
		s.logger.Warn("the service manager cannot be notified", "state", state, "error", err)
	}
}

// keepAlive tells the service manager's watchdog that the store answers, until
// ctx ends. The caller waits for what it starts.
func (s *server) keepAlive(ctx context.Context) (running *sync.WaitGroup) {
	running = new(sync.WaitGroup)
	running.Go(func() {
		systemd.KeepAlive(ctx, s.check, func(err error) {
			s.logger.Error("the watchdog is not notified: a check failed", "error", err)
		})
	})
	return running
}

// check reads from the store. A store that another process may get is watched over by the hand-over's own time limits. A node of
// a cluster looks at itself alone, and a proxy is not at fault if no node answers.
func (s *server) check(context.Context) error {
	if s.store.away.Load() || s.cfg.Proxy() {
		return nil
	}
	if s.cfg.Clustered() {
		if n := s.node.Load(); n != nil {
			return n.Check()
		}
		return nil
	}
	return session.Probe(s.store, s.store.Now())
}

// shutdown lets what clients have begun finish, then closes the store.
func (s *server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if s.admin != nil {
		s.admin.api.BeginDrain()
	}
	err := s.front.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.logger.Warn("clients were cut off: they did not take their replies in time", "waited", stopTimeout)
		err = nil
	}
	if s.admin != nil {
		s.admin.shutdown(ctx)
	}
	return errors.Join(err, <-s.served, s.close())
}

// close closes what is open while nothing is being served.
func (s *server) close() error {
	s.sockets.close()
	if !s.store.isOpen() {
		return nil
	}
	if s.history != nil {
		s.history.Stop()
	}
	s.endUpkeep()
	err := s.store.close()
	if s.cfg.Proxy() {
		_ = os.Remove(s.cfg.DataDir) // nothing is in it, or somebody else's
		return err
	}
	if err == nil {
		s.logger.Info("stopped, everything is on disk")
	}
	return err
}

func storeOptions(cfg *config.Config, plan *memory.Plan, logger *slog.Logger) engine.Options {
	o := engine.Options{
		Dir:          cfg.DataDir,
		Observers:    new(session.Observers),
		Logger:       logger,
		HotBytes:     plan.Cache,
		MaxValueSize: int(cfg.MaxItemSize),
		Durability:   cfg.Durability,
		DiskReserve:  cfg.DiskReserve,

		LogFailoverDir:   cfg.LogFailoverDir,
		LogFailoverAfter: cfg.LogFailoverAfter,

		OpenFiles: openTables(),

		MemtableBytes:   plan.Memtable,
		BlockCacheBytes: plan.BlockCache,
		MemoryBytes:     plan.Total,
	}
	switch cfg.Compression {
	case "off":
		o.Compression = engine.CompressionOff
	case "block":
		o.Compression = engine.CompressionBlock
	}
	if plan.Cache == 0 {
		o.HotBytes = -1
	}
	return o
}
