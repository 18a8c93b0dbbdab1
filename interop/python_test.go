package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// startDjango returns Django applications with cached sessions.
func startDjango(t *testing.T, srv *server, backend string, recipe ...string) counterApps {
	t.Helper()
	needModule(t, "django")
	return counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		args := append([]string{"python/django_app.py", addr, srv.addr, fmt.Sprint(int(ttl.Seconds())),
			"django.core.cache.backends.memcached." + backend}, recipe...)
		app := startProcess(t, nil, python, args...)
		app.awaitPort(addr)
		return "http://" + addr + "/"
	}}
}

func TestDjangoSessionsPyMemcache(t *testing.T) {
	t.Parallel()
	needModule(t, "pymemcache")
	startDjango(t, startServer(t), "PyMemcacheCache").prove(t)
}

func TestDjangoSessionsPyLibMC(t *testing.T) {
	t.Parallel()
	needModule(t, "pylibmc")
	apps := startDjango(t, startServer(t), "PyLibMCCache")
	apps.forgetful = true // Django's session backend swallows what pylibmc raises
	apps.prove(t)
}

// With users configured, SASL PLAIN over the binary protocol lets the right
// password in and nobody else.
func TestBinaryMemcachedSASL(t *testing.T) {
	t.Parallel()
	needModule(t, "bmemcached")
	srv := startServer(t, "--auth-file", userFile(t, "alice:secret"))
	client := func(user, password string) *process {
		return startDialogue(t, nil, python, "python/sasl_client.py", srv.addr, user, password)
	}
	alice, again, mallory := client("alice", "secret"), client("alice", "secret"), client("alice", "guess")
	if got := alice.retry("set s 3600 500"); got != "stored" {
		t.Errorf("with the right password: %s", got)
	}
	if got := again.retry("get s"); got != "500" {
		t.Errorf("another process reads %s", got)
	}
	if got := mallory.ask("get s"); got == "500" {
		t.Error("the wrong password reads the session")
	}
	srv.restart()
	if got := client("alice", "secret").retry("get s"); got != "500" {
		t.Errorf("after kill -9: %s", got)
	}
}

// userFile is a file of users, one per line, as --auth-file wants it.
func userFile(t *testing.T, users string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(users+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
