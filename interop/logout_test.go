package interop

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestExpressLogoutHolds destroys a session while three requests work on it, over the
// client's pool of connections.
func TestExpressLogoutHolds(t *testing.T) {
	t.Parallel()
	srv := startServer(t, "--sessions", "express")
	url := startExpress(t, srv, "connect-memcached").start(long)
	v := newVisitor(t)
	if got := v.count(url); got != 1 {
		t.Fatalf("the first request counts %d", got)
	}
	release := v.holdThree(url)
	if got := v.get(url + "logout"); got != "bye" {
		t.Fatalf("logout: %q", got)
	}
	release()
	if keys := sessionKeys(srv); len(keys) != 0 {
		t.Errorf("there is a session again: %q", keys)
	}
	for want := 1; want <= 3; want++ {
		if got := v.count(url); got != want {
			t.Errorf("after the logout the count is %d, want %d", got, want)
		}
	}
}

// holdThree sends three requests that have their session and will store it, which
// they do when release is called. It returns when they have ended.
func (v visitor) holdThree(url string) (release func()) {
	v.t.Helper()
	operator := newVisitor(v.t)
	var held sync.WaitGroup
	for range 3 {
		held.Go(func() { v.get(url + "hold") })
	}
	for deadline := time.Now().Add(patience); operator.get(url+"holding") != "3"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatal("the requests do not come")
		}
	}
	return func() {
		operator.get(url + "release")
		held.Wait()
	}
}

// TestRailsCacheStoreLogoutHolds ends sessions while requests of Rails are about to
// store them in its cache. Its own reset_session asks for the session that it has
// deleted, and finds nothing.
func TestRailsCacheStoreLogoutHolds(t *testing.T) {
	t.Parallel()
	needRuby(t)
	// Rails' cache puts an entry around the session.
	rules := frameworkRules(t, "rails", `marshal: "`, `marshal: **."`)
	srv := startServer(t, "--session-rules", rules, "--control-prefix", "cairn:")
	addr := freeAddress(t)
	startProcess(t, nil, "/usr/bin/ruby", "ruby/rails_cache_app.rb", addr, srv.addr).awaitPort(addr)
	address := "http://" + addr + "/"
	proveLogout(t, srv, address, ending{"deletion", func(_ visitor, key string) {
		if reply := srv.text("delete " + key + "\r\n"); reply != "DELETED\r\n" {
			t.Errorf("deleting %q: %q", key, reply)
		}
	}}, logout(address))
}

// TestFlaskLogoutHolds ends sessions while requests work on them, over the pool of
// connections of Flask-Session's client.
func TestFlaskLogoutHolds(t *testing.T) {
	t.Parallel()
	needModule(t, "flask_session")
	srv := startServer(t, "--session-rules", frameworkRules(t, "flask"), "--control-prefix", "cairn:")
	addr := freeAddress(t)
	startProcess(t, nil, python, "python/flask_app.py", addr, srv.addr).awaitPort(addr)
	address := "http://" + addr + "/"
	proveLogout(t, srv, address, logout(address))
}

// ending is a way to end the session of a visitor, which is under key.
type ending struct {
	name string
	end  func(v visitor, key string)
}

// logout is the application's own.
func logout(address string) ending {
	return ending{"logout", func(v visitor, _ string) {
		if got := v.get(address + "logout"); got != "bye" {
			v.t.Errorf("logout: %q", got)
		}
	}}
}

// proveLogout ends the session of an application's user while requests run that
// store it at their end: in all those ways, and by the owner. None of them bring it
// back, and logins afterwards stay.
func proveLogout(t *testing.T, srv *server, address string, ways ...ending) {
	t.Helper()
	expect := func(v visitor, page, want string) {
		t.Helper()
		if got := v.get(address + page); got != want {
			t.Errorf("%s: %q, want %q", page, got, want)
		}
	}
	alice, other := newVisitor(t), newVisitor(t)
	expect(other, "login?user=4712", "welcome")
	prove := func(what string, end func(key string)) {
		t.Helper()
		expect(alice, "login?user=4711", "welcome")
		expect(alice, "user", "4711")
		keys := ownedKeys(srv, "4711")
		if len(keys) != 1 {
			t.Fatalf("after her login alice has %q", keys)
		}
		release := alice.holdThree(address)
		end(keys[0])
		release()
		if slices.Contains(sessionKeys(srv), url.QueryEscape(keys[0])) {
			t.Errorf("after the %s there is %q again", what, keys[0])
		}
		expect(alice, "user", "nobody")
	}
	for _, way := range ways {
		prove(way.name, func(key string) { way.end(alice, key) })
	}
	prove("kick", func(string) {
		if reply := srv.text("delete cairn:owner:4711\r\n"); reply != "DELETED\r\n" {
			t.Errorf("the kick is answered %q", reply)
		}
	})
	expect(alice, "login?user=4711", "welcome")
	expect(alice, "user", "4711")
	expect(other, "user", "4712")
}

// ownedKeys lists a user's sessions.
func ownedKeys(srv *server, owner string) (keys []string) {
	srv.t.Helper()
	lines := strings.Split(srv.text("get cairn:owner:"+owner+"\r\n"), "\r\n")
	var answer struct {
		Sessions []struct{ Key string }
	}
	if len(lines) != 4 || json.Unmarshal([]byte(lines[1]), &answer) != nil {
		srv.t.Fatalf("owner %s: %q", owner, lines)
	}
	for _, s := range answer.Sessions {
		keys = append(keys, s.Key)
	}
	return keys
}

// frameworkRules is a file with a rule of docs/frameworks.md, with texts replaced,
// each of which must be there.
func frameworkRules(t *testing.T, name string, replacements ...string) (path string) {
	t.Helper()
	page, err := os.ReadFile("../docs/frameworks.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile("(?s)<!-- rule: " + name + " [^\n]* -->\n```yaml\n(.*?)```").FindSubmatch(page)
	if rule == nil {
		t.Fatalf("there is no rule %s", name)
	}
	path = filepath.Join(t.TempDir(), "page.yaml")
	if err := os.WriteFile(path, rule[1], 0o600); err != nil {
		t.Fatal(err)
	}
	return edit(t, path, "rules.yaml", replacements...)
}

// TestSessionManagerKick kicks a session while a request of memcached-session-manager
// runs: at its end its ping must not find the session gone, or the manager would
// store it again.
func TestSessionManagerKick(t *testing.T) {
	t.Parallel()
	const sid = "0123456789ABCDEF0123456789ABCDEF-n1"
	classPath := compileJava(t, []string{spymemcached}, "java/MemcachedSessionManager.java")
	for _, protocol := range []string{"TEXT", "BINARY"} {
		srv := startServer(t, "--sessions", "msm")
		node := startDialogue(t, nil, "java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", classPath,
			"MemcachedSessionManager", srv.addr, protocol)
		if got := node.retry("request %s 1800", sid); got != "1" {
			t.Fatalf("%s: the first request counts %s", protocol, got)
		}
		srv.text("delete " + sid + "\r\n")
		if got := node.ask("ping %s", sid); got != "alive" {
			t.Errorf("%s: the ping says that it is %s", protocol, got)
		}
		if reply := srv.text("mg " + sid + "\r\n"); reply != "EN\r\n" {
			t.Errorf("%s: there is a session again: %q", protocol, reply)
		}
		// Whoever asks finds it gone, and begins a new one.
		if got := node.ask("request %s 1800", sid); got != "error: session and validity disagree" {
			t.Errorf("%s: the next request finds %q", protocol, got)
		}
	}
}

// TestSessionManagerOwnerKick ends all sessions of a user, by the control key, while a
// request of memcached-session-manager works on one of them: neither its ping nor what
// it stores at its end brings that back, and a login afterwards stays.
func TestSessionManagerOwnerKick(t *testing.T) {
	t.Parallel()
	const (
		sid    = "0123456789ABCDEF0123456789ABCDEF-n1"
		second = "1123456789ABCDEF0123456789ABCDEF-n1"
		other  = "2123456789ABCDEF0123456789ABCDEF-n1"
		later  = "3123456789ABCDEF0123456789ABCDEF-n1"
		value  = "../decode/testdata/msm.bin" // alice's, written by the manager
	)
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(`rules:
  - name: msm
    shape: hex:32[-node][.route]
    companions: ["validity:"]
    locks: "lock:"
    volatile: true
    fence: peer
    owner: "msm: principal"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(value)
	if err != nil {
		t.Fatal(err)
	}
	length := strconv.FormatInt(info.Size(), 10)
	classPath := compileJava(t, []string{spymemcached}, "java/MemcachedSessionManager.java")
	for _, protocol := range []string{"TEXT", "BINARY"} {
		srv := startServer(t, "--session-rules", rules, "--control-prefix", "cairn:")
		node := startDialogue(t, nil, "java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", classPath,
			"MemcachedSessionManager", srv.addr, protocol)
		expect := func(want, format string, args ...any) {
			t.Helper()
			if got := node.ask(format, args...); got != want {
				t.Errorf("%s: after %q: %q, want %q", protocol, format, got, want)
			}
		}
		if got := node.retry("request %s 1800", other); got != "1" {
			t.Fatalf("%s: the first request counts %s", protocol, got)
		}
		expect("stored", "store %s %s 1800", sid, value)
		expect("stored", "store %s %s 1800", second, value)
		expect(length, "get %s", sid) // a request begins

		expect("ended", "kick alice")
		expect("absent", "get %s", second)
		expect("alive", "ping %s", sid)
		expect("stored", "store %s %s 1800", sid, value) // as it hears
		if reply := srv.text("mg " + sid + "\r\n"); reply != "EN\r\n" {
			t.Errorf("%s: there is a session again: %q", protocol, reply)
		}
		expect("nobody", "kick alice")
		expect("2", "request %s 1800", other)

		expect("stored", "store %s %s 1800", later, value)
		expect(length, "get %s", later)
		srv.kill9()
		srv.start()
		if got := node.retry("get %s", later); got != length {
			t.Errorf("%s: after a crash the login has a length of %s, want %s", protocol, got, length)
		}
		expect("ended", "kick alice")
		expect("absent", "get %s", later)
	}
}
