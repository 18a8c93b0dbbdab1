package interop

import (
	"fmt"
	"testing"
	"time"
)

// startRuby returns Ruby applications whose sessions Dalli keeps. Dalli 3.0
// speaks the binary protocol.
func startRuby(t *testing.T, srv *server, program string, login ...string) counterApps {
	t.Helper()
	needRuby(t)
	return counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		args := append([]string{program, addr, srv.addr, fmt.Sprint(int(ttl.Seconds()))}, login...)
		app := startProcess(t, nil, "/usr/bin/ruby", args...)
		app.awaitPort(addr)
		return "http://" + addr + "/"
	}}
}

// needRuby is need for what the applications in Ruby load.
func needRuby(t *testing.T) {
	t.Helper()
	need(t, "/usr/bin/ruby", "/usr/share/doc/ruby-dalli", "/usr/share/doc/ruby-connection-pool",
		"/usr/share/doc/ruby-webrick", "/usr/share/doc/ruby-actionpack")
}

func TestRackSessionsDalli(t *testing.T) {
	t.Parallel()
	startRuby(t, startServer(t), "ruby/rack_app.rb").prove(t)
}

func TestRailsSessionsMemCacheStore(t *testing.T) {
	t.Parallel()
	startRuby(t, startServer(t), "ruby/rails_app.rb").prove(t)
}

func TestRackSessionsDalliSASL(t *testing.T) {
	t.Parallel()
	srv := startServer(t, "--auth-file", userFile(t, "rack:secret"))
	startRuby(t, srv, "ruby/rack_app.rb", "rack", "secret").prove(t)
}
