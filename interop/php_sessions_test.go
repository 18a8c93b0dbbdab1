package interop

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// phpApp is a PHP server of its own, which serves one request at a time.
type phpApp struct {
	*process
	url string
}

// startShared starts php/shared.php on srv.
func startShared(t *testing.T, srv *server, settings ...string) phpApp {
	t.Helper()
	need(t, "php")
	addr := freeAddress(t)
	args := []string{"-d", "session.save_handler=memcached", "-d", "session.save_path=" + srv.addr, "-d", "output_buffering=0"}
	for _, setting := range settings {
		args = append(args, "-d", setting)
	}
	app := phpApp{startProcess(t, nil, "php", append(args, "-S", addr, "php/shared.php")...), "http://" + addr + "/"}
	app.awaitPort(addr)
	return app
}

// get asks for a page and returns it.
func (v visitor) get(url string) string {
	v.t.Helper()
	reply, err := v.client.Get(url)
	if err != nil {
		v.t.Error(err)
		return ""
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		v.t.Error(err)
	}
	if reply.StatusCode != http.StatusOK {
		v.t.Errorf("%s: %d %s", url, reply.StatusCode, body)
	}
	return string(body)
}

// held is a request that has read its session and has not ended.
type held struct {
	v     visitor
	reply *http.Response
	body  *bufio.Reader
	gate  string
}

// hold begins such a request.
func (v visitor) hold(app phpApp) *held {
	v.t.Helper()
	gate := filepath.Join(v.t.TempDir(), "gate")
	reply, err := v.client.Get(app.url + "?do=hold&gate=" + gate)
	if err != nil {
		v.t.Fatal(err)
	}
	h := &held{v: v, reply: reply, body: bufio.NewReader(reply.Body), gate: gate}
	if line, err := h.body.ReadString('\n'); err != nil || line != "begun\n" {
		v.t.Fatalf("%q, %v", line, err)
	}
	return h
}

// end lets the request end and returns what else it says.
func (h *held) end() string {
	h.v.t.Helper()
	if err := os.WriteFile(h.gate, nil, 0o600); err != nil {
		h.v.t.Fatal(err)
	}
	defer h.reply.Body.Close()
	rest, err := io.ReadAll(h.body)
	if err != nil {
		h.v.t.Fatal(err)
	}
	return string(rest)
}

// TestPHPLogoutHolds destroys a session while another request works on it.
func TestPHPLogoutHolds(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"memcached.sess_binary_protocol=0", "memcached.sess_binary_protocol=1"} {
		srv := startServer(t, "--sessions", "php")
		apps := [2]phpApp{}
		for i := range apps {
			apps[i] = startShared(t, srv, "memcached.sess_locking=0", protocol)
		}
		v := newVisitor(t)
		if got := v.get(apps[0].url); got != "1" {
			t.Fatalf("the first request counts %s", got)
		}
		h := v.hold(apps[0])
		if got := v.get(apps[1].url + "?do=logout"); got != "bye" {
			t.Fatalf("logout: %q", got)
		}
		if got := h.end(); got != "2" {
			t.Errorf("the request that still ran says %q", got)
		}
		if keys := sessionKeys(srv); len(keys) != 0 {
			t.Errorf("%s: there is a session again: %q", protocol, keys)
		}
		// Without strict mode PHP begins a new session under the same id.
		for i, want := range []string{"1", "2", "3"} {
			if got := v.get(apps[i%2].url); got != want {
				t.Errorf("after the logout, request %d counts %s", i, got)
			}
		}
		if got := v.get(apps[0].url + "?do=login"); got != "1" {
			t.Errorf("a session destroyed and begun by one request counts %s", got)
		}
		if got := v.get(apps[1].url); got != "2" {
			t.Errorf("and then %s", got)
		}
	}
}

// sessionKeys lists what the server stores.
func sessionKeys(srv *server) (keys []string) {
	for line := range strings.Lines(srv.text("lru_crawler metadump all\r\n")) {
		if key, ok := strings.CutPrefix(line, "key="); ok {
			keys = append(keys, strings.Fields(key)[0])
		}
	}
	return keys
}

// TestPHPParallelRequests sends eight requests of a visitor at the same time, with
// PHP's own defaults. Without waiting for locks most of them have no session.
func TestPHPParallelRequests(t *testing.T) {
	t.Parallel()
	const requests = 8
	srv := startServer(t, "--sessions", "php")
	v := newVisitor(t)
	apps := [requests]phpApp{}
	for i := range apps {
		apps[i] = startShared(t, srv)
	}
	v.get(apps[0].url)
	counted := [requests]string{}
	var all sync.WaitGroup
	for i, app := range apps {
		all.Go(func() { counted[i] = v.get(app.url + "?ms=300") })
	}
	all.Wait()
	slices.Sort(counted[:])
	for i, got := range counted {
		if got != fmt.Sprint(2+i) {
			t.Fatalf("counted %q: not one after the other", counted)
		}
	}
}

// TestPHPHolderIsKilled kills a request that holds the session's lock, which PHP
// gives no expiry here.
func TestPHPHolderIsKilled(t *testing.T) {
	t.Parallel()
	srv := startServer(t, "--sessions", "php")
	holder, next := startShared(t, srv, "max_execution_time=0"), startShared(t, srv)
	v := newVisitor(t)
	v.get(holder.url)
	h := v.hold(holder)
	defer h.reply.Body.Close()
	got := make(chan string, 1)
	go func() { got <- v.get(next.url) }()
	holder.signal(syscall.SIGKILL)
	if n := <-got; n != "2" {
		t.Errorf("the next request counts %q", n)
	}
}

// TestLaravelSequence does what Laravel does, through PHP's client: a deleted id is
// stored again by whoever knows that it is gone, and by nobody else.
func TestLaravelSequence(t *testing.T) {
	t.Parallel()
	need(t, "php")
	srv := startServer(t, "--sessions", "laravel")
	out, err := exec.Command("php", "php/laravel.php", srv.addr).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const want = "a put: yes\na forget: yes\na get: no\na put: yes\nb get: a put\n" +
		"a forget: yes\nb put: yes\na get: no\nb get: no\nb put: yes\na get: b put\n"
	if string(out) != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}
