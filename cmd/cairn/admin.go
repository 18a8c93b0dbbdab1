package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/adminapi"
	"cairn/cmd/cairn/config"
	"cairn/httpapi"
	"cairn/httpapi/console"
	"cairn/memcachedfront"
	"cairn/serve"
	"cairn/tlsconfig"
)

// admin is the HTTP API on its listeners.
type admin struct {
	api       *httpapi.Server
	listeners []*lentListener
	logger    *slog.Logger
	serving   sync.WaitGroup
}

// newAdmin returns the HTTP API, or nil where there is to be none.
func (s *server) newAdmin() (*admin, error) {
	if len(s.sockets.http) == 0 {
		return nil, nil
	}
	o, err := s.httpOptions()
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(o)
	if err != nil {
		return nil, err
	}
	for _, l := range s.sockets.http {
		if err := api.CheckExposure(l.Addr()); err != nil {
			return nil, err
		}
	}
	s.reloads.add("HTTP tokens", api.Reload)
	return &admin{api: api, listeners: s.sockets.http, logger: s.logger}, nil
}

func (s *server) httpOptions() (httpapi.Options, error) {
	o := httpapi.Options{
		Memcached:          frontView{s},
		Engine:             s.store,
		Owners:             s.owners,
		Undo:               s.undo,
		Figures:            []prometheus.Collector{s.store, frontView{s}, s.memory, s.owners},
		Live:               s.feed,
		Locks:              s.store.locks,
		Rules:              s.store.rules,
		Console:            console.Handler(),
		Version:            version,
		Config:             s.running,
		Settings:           s.allSettings,
		Listening:          s.listening,
		Level:              s.level,
		Logger:             s.logger,
		ScratchDir:         filepath.Join(s.cfg.DataDir, "scratch"),
		MaxValueSize:       int(s.cfg.MaxItemSize),
		Auth:               s.httpTokens(),
		ClientCertificates: s.cfg.HTTPVerify != tlsconfig.NoClients,
		AllowPlaintext:     s.cfg.HTTPAllowPlaintext,
	}
	o.ReloadAll, o.Stop = s.reloads.reload, s.requestStop
	if s.history != nil {
		o.History = s.history
	}
	if s.store.clustered {
		o.Cluster = s.clusterStatus
		if s.cfg.Clustered() {
			o.ChangeCluster = s.changeCluster
		}
	}
	if s.store.upstream != nil {
		o.Upstream = s.upstreamStatus
	}
	source, err := s.httpCertificates()
	o.TLS = source
	return o, err
}

// httpTokens say who may use the HTTP API.
func (s *server) httpTokens() httpapi.AuthOptions {
	return httpapi.AuthOptions{TokenFile: s.cfg.HTTPTokenFile, Tokens: s.cfg.HTTPTokens}
}

// httpCertificates loads those of the HTTP API; nil: it has none.
func (s *server) httpCertificates() (*tlsconfig.Source, error) {
	if s.cfg.HTTPCert == "" {
		return nil, nil
	}
	return s.certificates("HTTP certificates", tlsconfig.Options{
		CertFile: s.cfg.HTTPCert,
		KeyFile:  s.cfg.HTTPKey,
		CAFile:   s.cfg.HTTPCA,
		Clients:  s.cfg.HTTPVerify,
	})
}

// frontView shows the HTTP API the memcached front end, which is open by the
// time requests are served.
type frontView struct{ *server }

func (v frontView) EachStat(fn func(name, value string)) { v.front.EachStat(fn) }
func (v frontView) CloseConnection(id uint64) bool       { return v.front.CloseConnection(id) }

func (v frontView) Describe(ch chan<- *prometheus.Desc) { (*memcachedfront.Server)(nil).Describe(ch) }
func (v frontView) Collect(ch chan<- prometheus.Metric) { v.front.Collect(ch) }

func (v frontView) Connections() []httpapi.Connection {
	return convert(v.front.Connections(), func(c memcachedfront.Connection) httpapi.Connection {
		return httpapi.Connection(c)
	})
}

func convert[From, To any](list []From, one func(From) To) []To {
	converted := make([]To, len(list))
	for i, element := range list {
		converted[i] = one(element)
	}
	return converted
}

// running returns the configuration that the server runs with, by name.
func (s *server) running() map[string]string {
	all := map[string]string{}
	for _, setting := range s.cfg.Settings() {
		if setting.Group != config.Ignored {
			all[setting.Name] = setting.Value
		}
	}
	return all
}

// allSettings returns the same with what is known of each setting.
func (s *server) allSettings() (all []adminapi.Setting) {
	for _, setting := range s.cfg.Settings() {
		if setting.Group != config.Ignored {
			all = append(all, adminapi.Setting{
				Name: setting.Name, Environment: setting.Env, Group: setting.Group, Type: setting.Type,
				Value: setting.Value, Default: setting.Default, Source: setting.Origin, Meaning: setting.Usage,
			})
		}
	}
	return all
}

// listening returns the addresses on which memcached's clients are served.
func (s *server) listening() []adminapi.Listening {
	return convert(s.front.Places(), func(p serve.Place) adminapi.Listening {
		network := "tcp"
		if p.Addr.Network() == "unix" {
			network = "unix"
		}
		return adminapi.Listening{Network: network, Address: p.Addr.String(), TLS: s.cfg.TLS && network == "tcp" && !p.Address.Plain}
	})
}

// certificates loads certificates that SIGHUP reloads.
func (s *server) certificates(name string, o tlsconfig.Options) (*tlsconfig.Source, error) {
	source, err := tlsconfig.Load(o)
	if err == nil {
		s.reloads.add(name, source.Reload)
	}
	return source, err
}

func (a *admin) serve() {
	for _, l := range a.listeners {
		listener := l.lend()
		a.serving.Go(func() {
			if err := a.api.Serve(listener); err != nil {
				a.logger.Error("the HTTP API has ended", "error", err)
			}
		})
	}
}

// suspend ends serving until serve is called again: requests in flight finish
// unless ctx ends first.
func (a *admin) suspend(ctx context.Context) { a.end(a.api.Suspend(ctx)) }

// shutdown is suspend for good.
func (a *admin) shutdown(ctx context.Context) { a.end(a.api.Shutdown(ctx)) }

func (a *admin) end(err error) {
	if err != nil {
		a.logger.Warn("HTTP requests were cut off", "error", err)
	}
	a.serving.Wait()
}
