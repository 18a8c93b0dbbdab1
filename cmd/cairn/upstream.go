package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"cairn/adminapi"
	"cairn/migrate"
	"cairn/tlsconfig"
	"cairn/upstream"
)

// upstreamOptions are the settings of the store that sessions are moved from.
func (s *server) upstreamOptions() (upstream.Options, error) {
	o := upstream.Options{Mirror: s.cfg.Mirror, Timeout: s.cfg.UpstreamTimeout, MaxValue: s.cfg.MaxItemSize, Dir: s.cfg.DataDir, Logger: s.logger}
	config, err := tlsconfig.Client(s.cfg.UpstreamCA, s.cfg.UpstreamCert, s.cfg.UpstreamKey)
	if err != nil {
		return o, err
	}
	as, err := readCredentials(s.cfg.UpstreamAuthFile)
	if err != nil {
		return o, err
	}
	for _, target := range s.cfg.Upstream {
		source, err := migrate.OpenSource(target, as, config)
		if err != nil {
			return o, err
		}
		o.Sources = append(o.Sources, source)
	}
	return o, nil
}

// readCredentials reads a file with a password, or with user:password.
func readCredentials(file string) (as migrate.Credentials, err error) {
	if file == "" {
		return as, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return as, err
	}
	line := strings.TrimSpace(string(data))
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return as, fmt.Errorf("%s must have one line: a password, or user:password", file)
	}
	user, password, ok := strings.Cut(line, ":")
	if !ok {
		user, password = "", line
	}
	return migrate.Credentials{User: user, Password: password}, nil
}

// moveFrom lets the store ask another one for what it has not. It is called before
// open.
func (s *store) moveFrom(o upstream.Options) {
	o.Next, o.Clock, o.Observers = kept{s}, s, s.options.Observers
	o.Admit = s.rules.Admit
	o.Private = func(key []byte) bool { return s.rules.Set().VolatileLock(key) != nil }
	s.upstream = upstream.New(o)
}

// openUpstream opens what moveFrom has made. Without what must not be forgotten of a
// move, nothing is moved, which is no reason not to serve what is here.
func (s *store) openUpstream() {
	if s.upstream == nil {
		return
	}
	if err := s.upstream.Open(); err != nil {
		s.options.Logger.Error("the upstream is not asked: removals cannot be recorded", "error", err)
	}
}

func (s *store) closeUpstream() {
	if s.upstream == nil {
		return
	}
	if err := s.upstream.Close(); err != nil {
		s.options.Logger.Warn("the state of the upstream is lost", "error", err)
	}
}

// upstreamStatus is the status of a move as the HTTP API shows it.
func (s *server) upstreamStatus() adminapi.Upstream {
	st := s.store.upstream.Status()
	u := adminapi.Upstream{
		Servers: []adminapi.UpstreamServer{}, State: "moving", Mirror: st.Mirror,
		Since: st.Since, DoneAt: instant(st.DoneAt), LastHit: instant(st.LastHit),
		LongestLife: st.Lifetime.Seconds(), NeverExpires: st.Endless, Ended: st.Ended,
		Hits: int64(st.Hits), Misses: int64(st.Misses), Errors: int64(st.Failures), Unsuitable: int64(st.Unsuitable),
		Removed: int64(st.Removed), RemovedLater: int64(st.RemovedLater), PendingRemovals: st.Pending,
		Copied: int64(st.Copied), Refused: int64(st.Refused), Dropped: int64(st.Dropped), Queue: st.Queue,
	}
	for _, v := range st.Servers {
		u.Servers = append(u.Servers, adminapi.UpstreamServer{Address: v.Address, Down: v.Resting, LastError: v.LastError, LastErrorAt: instant(v.LastAt)})
	}
	switch {
	case !st.Open:
		u.State = "closed"
	case st.Ended != "":
		u.State = "ended"
	case st.Done:
		u.State = "done"
	}
	return u
}

// instant returns nil for the zero Time.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
