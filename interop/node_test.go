package interop

import (
	"fmt"
	"testing"
	"time"
)

// startExpress returns Express applications that keep their sessions through
// the named client.
func startExpress(t *testing.T, srv *server, client string, login ...string) counterApps {
	t.Helper()
	need(t, "node", absolute(t, "node_modules/express"))
	return counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		args := append([]string{"node/express_app.js", addr, srv.addr, fmt.Sprint(int(ttl.Seconds())), client}, login...)
		app := startProcess(t, nil, "node", args...)
		app.awaitPort(addr)
		return "http://" + addr + "/"
	}}
}

func TestExpressSessionsConnectMemcached(t *testing.T) {
	t.Parallel()
	startExpress(t, startServer(t), "connect-memcached").prove(t)
}

func TestExpressSessionsMemjs(t *testing.T) {
	t.Parallel()
	startExpress(t, startServer(t), "memjs").prove(t)
}

func TestExpressSessionsMemjsSASL(t *testing.T) {
	t.Parallel()
	srv := startServer(t, "--auth-file", userFile(t, "express:secret"))
	startExpress(t, srv, "memjs", "express", "secret").prove(t)
}
