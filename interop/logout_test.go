package interop

import (
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
	v, operator := newVisitor(t), newVisitor(t)
	if got := v.count(url); got != 1 {
		t.Fatalf("the first request counts %d", got)
	}
	var held sync.WaitGroup
	for range 3 {
		held.Go(func() { v.get(url + "hold") })
	}
	for deadline := time.Now().Add(patience); operator.get(url+"holding") != "3"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the requests do not come")
		}
	}
	if got := v.get(url + "logout"); got != "bye" {
		t.Fatalf("logout: %q", got)
	}
	operator.get(url + "release")
	held.Wait()
	if keys := sessionKeys(srv); len(keys) != 0 {
		t.Errorf("there is a session again: %q", keys)
	}
	for want := 1; want <= 3; want++ {
		if got := v.count(url); got != want {
			t.Errorf("after the logout the count is %d, want %d", got, want)
		}
	}
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
