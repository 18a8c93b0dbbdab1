package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cairn/cmd/cairn/config"
	"cairn/engine"
	"cairn/memcachedfront"
	"cairn/memory"
	"cairn/session"
	"cairn/systemd"
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
	front   *memcachedfront.Server
	admin   *admin // nil without an HTTP API

	served chan error // has the outcome of front.Serve when that is over
}

// open opens the listeners and the store. After an error, close closes what was
// opened.
func (s *server) open() error {
	options, err := s.prepare()
	if err != nil {
		return err
	}
	return s.openStore(options, false)
}

// prepare does all that can be done without the store.
func (s *server) prepare() (memcachedfront.Options, error) {
	if err := s.sockets.bind(s.cfg, s.logger); err != nil {
		return memcachedfront.Options{}, err
	}
	options, err := s.frontOptions()
	if err != nil {
		return options, err
	}
	s.admin, err = s.newAdmin()
	return options, err
}

func (s *server) openStore(options memcachedfront.Options, justClosed bool) (err error) {
	began := time.Now()
	if err := s.store.open(justClosed); err != nil {
		return err
	}
	s.logger.Info("store is open", "data-dir", s.cfg.DataDir, "durability", s.cfg.Durability.String(),
		"sessions", s.store.Stats().Items, "took", time.Since(began).Round(time.Millisecond))
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
		s.logger.Warn("the service manager cannot be told", "state", state, "error", err)
	}
}

// keepAlive tells the service manager's watchdog that the store answers, until
// ctx ends. The caller waits for what it starts.
func (s *server) keepAlive(ctx context.Context) (running *sync.WaitGroup) {
	running = new(sync.WaitGroup)
	running.Go(func() {
		systemd.KeepAlive(ctx, s.check, func(err error) {
			s.logger.Error("the watchdog is not told that all is well", "error", err)
		})
	})
	return running
}

// check reads from the store. A session that is not there will do. A store that
// another process may get is watched over by the hand-over's own time limits.
func (s *server) check(context.Context) error {
	if s.store.away.Load() {
		return nil
	}
	var b session.Burst
	b.Reset(s.store.Now())
	c := b.Add()
	c.Op, c.Mods, c.Key = session.OpGet, session.Peek, []byte("watchdog")
	session.Do(s.store, &b)
	return b.Results[0].Err
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
	err := s.store.close()
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
		OpenFiles:    openTables(),

		MemtableBytes:   plan.Memtable,
		BlockCacheBytes: plan.BlockCache,
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
