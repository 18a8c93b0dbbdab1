package interop

import (
	"testing"
	"time"
)

// proveLibrary runs two processes of a client library, which answer commands
// as libmemcached_client.py says, against one server.
func proveLibrary(t *testing.T, srv *server, start func() *process) {
	t.Helper()
	one, other := start(), start()
	expect := func(client *process, command, want string) {
		t.Helper()
		if got := client.retry("%s", command); got != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
	expect(one, "set a 3600 2000", "stored")
	expect(one, "set empty 3600 0", "stored")
	expect(one, "set brief 1 10", "stored")
	expect(other, "get a", "2000")
	expect(other, "cas a", "stored")
	expect(other, "touch a 7200", "touched")
	srv.restart()
	if *peer == "" {
		one, other = start(), start() // some take a lost connection for a miss
	}
	expect(one, "get a", "2001")
	expect(other, "get empty", "0")
	expect(one, "delete a", "deleted")
	expect(other, "get a", "absent")
	time.Sleep(2 * time.Second)
	expect(one, "get brief", "absent")
}

func TestPylibmcText(t *testing.T) {
	t.Parallel()
	provePylibmc(t, "text")
}

func TestPylibmcBinary(t *testing.T) {
	t.Parallel()
	provePylibmc(t, "binary")
}

func provePylibmc(t *testing.T, protocol string) {
	t.Helper()
	needModule(t, "pylibmc")
	srv := startServer(t)
	proveLibrary(t, srv, func() *process {
		return startDialogue(t, nil, python, "python/libmemcached_client.py", srv.addr, protocol)
	})
}

func TestPerlCacheMemcachedFast(t *testing.T) {
	t.Parallel()
	need(t, "/usr/bin/perl", "/usr/share/doc/libcache-memcached-fast-perl")
	srv := startServer(t)
	proveLibrary(t, srv, func() *process {
		return startDialogue(t, nil, "/usr/bin/perl", "perl/client.pl", srv.addr)
	})
}
