package main

import (
	"errors"
	"log/slog"

	"cairn/auth"
	"cairn/memcachedfront"
	"cairn/serve"
	"cairn/tlsconfig"
)

// frontOptions are the settings of the memcached front end, with its users and
// certificates loaded.
func (s *server) frontOptions() (memcachedfront.Options, error) {
	o := memcachedfront.Options{
		Options: serve.Options{
			Store:     s.store,
			Clock:     s.store,
			Addresses: s.sockets.memcached,
			Bound:     s.sockets.bound,
			ConnLimit: s.cfg.ConnLimit,

			OriginConnLimit: s.cfg.AddressConnLimit,
			LoginTimeout:    s.cfg.LoginTimeout,
			Patience:        s.cfg.Patience,

			IdleTimeout: s.cfg.IdleTimeout,
			BufferBytes: s.memory.Buffers,
			Threads:     s.cfg.Threads,
			Logger:      s.logger,
		},
		Inspector:      s.store,
		Live:           s.feed,
		Rules:          s.cfg.Rules,
		FreeLocks:      s.store.locks.Free,
		Version:        compatibleVersion,
		MaxItemSize:    int(s.cfg.MaxItemSize),
		MemoryLimit:    s.memory.Cache,
		SetMemoryLimit: s.resizeCache,
		Flush:          flushPolicies[s.cfg.FlushAll],
		DisableDump:    s.cfg.DisableDumping,
		DisableWatch:   s.cfg.DisableWatching,
		Nodes:          s.cfg.Nodes,
		Verbosity:      s.setVerbosity,
		Settings:       s.settings,
	}
	if s.cfg.Clustered() || s.cfg.Proxy() {
		o.LiveNodes = s.clientNodes
	}
	if s.cfg.EnableShutdown {
		o.RequestShutdown = s.requestShutdown
	}
	return o, errors.Join(s.secure(&o), s.guard(&o))
}

var flushPolicies = map[string]memcachedfront.FlushPolicy{
	"apply": memcachedfront.ApplyFlush, "ignore": memcachedfront.IgnoreFlush, "refuse": memcachedfront.RefuseFlush,
}

// secure gives the front end its certificates.
func (s *server) secure(o *memcachedfront.Options) error {
	if !s.cfg.TLS {
		return nil
	}
	source, err := s.certificates("certificates", tlsconfig.Options{
		CertFile:   s.cfg.TLSCert,
		KeyFile:    s.cfg.TLSKey,
		CAFile:     s.cfg.TLSCA,
		Clients:    s.cfg.TLSVerify,
		MinVersion: s.cfg.TLSMinVersion,
	})
	if err != nil {
		return err
	}
	o.TLS, o.ReloadCertificates = source.Config(), source.Reload
	return nil
}

// guard makes the front end's clients log in.
func (s *server) guard(o *memcachedfront.Options) error {
	if s.cfg.AuthFile == "" {
		return nil
	}
	users, err := auth.OpenUserFile(s.cfg.AuthFile)
	if err != nil {
		return err
	}
	o.Guard = auth.NewGuard(users, s.logger)
	s.reloads.add("users", o.Guard.Reload)
	return nil
}

func (s *server) requestShutdown(graceful bool) {
	s.logger.Info("stopping", "command", "shutdown", "graceful", graceful)
	s.stop()
}

// requestStop carries out the HTTP API's stop.
func (s *server) requestStop() {
	s.logger.Info("stopping", "request", "POST /v1/stop")
	s.stop()
}

// setVerbosity carries out memcached's command verbosity: 0 is what the
// configuration says, more shows debug messages.
func (s *server) setVerbosity(level int) {
	var configured slog.Level
	if configured.UnmarshalText([]byte(s.cfg.LogLevel)) == nil && level == 0 {
		s.level.Set(configured)
		return
	}
	s.level.Set(slog.LevelDebug)
}

// settings are the lines of "stats settings" that only this program knows.
func (s *server) settings() [][2]string {
	return append([][2]string{
		{"data_dir", s.cfg.DataDir},
		{"durability", s.cfg.Durability.String()},
	}, s.memorySettings()...)
}
