package interop

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPHP returns applications of PHP's own session handler, php-memcached.
func startPHP(t *testing.T, srv *server, settings ...string) counterApps {
	t.Helper()
	need(t, "php")
	return counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		args := []string{}
		for _, setting := range append([]string{
			"session.save_handler=memcached",
			"session.save_path=" + srv.addr,
			fmt.Sprintf("session.gc_maxlifetime=%d", int(ttl.Seconds())),
		}, settings...) {
			args = append(args, "-d", setting)
		}
		app := startProcess(t, nil, "php", append(args, "-S", addr, "php/counter.php")...)
		app.awaitPort(addr)
		return "http://" + addr + "/"
	}}
}

func TestPHPSessionsText(t *testing.T) {
	t.Parallel()
	startPHP(t, startServer(t), "memcached.sess_binary_protocol=0", "memcached.sess_locking=0").prove(t)
}

func TestPHPSessionsTextWithLocking(t *testing.T) {
	t.Parallel()
	startPHP(t, startServer(t), "memcached.sess_binary_protocol=0", "memcached.sess_locking=1").prove(t)
}

// With lazy_write PHP touches a session that did not change.
func TestPHPSessionsTextWithLazyWrite(t *testing.T) {
	t.Parallel()
	startPHP(t, startServer(t), "memcached.sess_binary_protocol=0", "session.lazy_write=1",
		"memcached.sess_prefix=app.", "memcached.sess_consistent_hash=1").prove(t)
}

// PHP's lock is an item of its own: requests of one visitor at the same time
// run one after the other, and none is lost.
func TestPHPLockingSerialisesAVisitor(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	apps := startPHP(t, srv, "memcached.sess_binary_protocol=0", "memcached.sess_locking=1",
		"memcached.sess_lock_wait_min=5", "memcached.sess_lock_wait_max=20", "memcached.sess_lock_retries=2000")
	urls := []string{apps.start(long), apps.start(long)}
	visitor := newVisitor(t)
	visitor.count(urls[0])
	const each = 20
	var wg sync.WaitGroup
	for _, url := range urls {
		wg.Go(func() {
			for range each {
				if _, err := visitor.try(url); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := visitor.count(urls[0]), 1+2*each+1; got != want {
		t.Errorf("counted %d, want %d: requests overwrote each other", got, want)
	}
}

// A session's key is PHP's prefix and the cookie.
func TestPHPSessionKey(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	visitor := newVisitor(t)
	url := startPHP(t, srv, "memcached.sess_binary_protocol=0").start(long)
	visitor.count(url)
	request, _ := http.NewRequest("GET", url, nil)
	cookies := visitor.client.Jar.Cookies(request.URL)
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	if reply := srv.text("get memc.sess.key." + cookies[0].Value + "\r\n"); !strings.Contains(reply, "n|i:1;") {
		t.Errorf("the session is not where PHP's documentation says: %q", reply)
	}
}

// The binary protocol is php-memcached's default for sessions.
func TestPHPSessionsBinary(t *testing.T) {
	t.Parallel()
	startPHP(t, startServer(t)).prove(t)
}

func TestPHPSessionsBinaryWithOptions(t *testing.T) {
	t.Parallel()
	startPHP(t, startServer(t), "memcached.sess_binary_protocol=1", "memcached.sess_locking=1", "memcached.sess_prefix=app.",
		"memcached.sess_persistent=1", "memcached.sess_lock_expire=20", "memcached.sess_consistent_hash=0",
		"session.lazy_write=1").prove(t)
}
