package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asks sends a request and expects an answer.
func asks(t *testing.T, conn net.Conn, request, want string) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("%q: %q (%v), want %q", request, got[:n], err, want)
	}
}

// TestKickHolds removes sessions in every way that operators have, while a client
// works on them.
func TestKickHolds(t *testing.T) {
	const set = "set memc.sess.key.a 0 900 1\r\nx\r\n"
	admin := freeAddress(t)
	r := start(t, t.TempDir(), "--http-listen", admin, "--sessions", "php", "--log-level", "debug")
	client, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ways := map[string]func() *http.Request{
		"a kick": func() *http.Request {
			req, _ := http.NewRequest("DELETE", "http://"+admin+"/v1/sessions/memc.sess.key.a", nil)
			return req
		},
		"a bulk delete": func() *http.Request {
			req, _ := http.NewRequest("POST", "http://"+admin+"/v1/bulk-delete", strings.NewReader(`{"filter":{"prefix":"memc."},"dry_run":false}`))
			req.Header.Set("Content-Type", "application/json")
			return req
		},
		"a flush": func() *http.Request {
			req, _ := http.NewRequest("POST", "http://"+admin+"/v1/flush", strings.NewReader(`{"confirm":"delete all sessions"}`))
			req.Header.Set("Content-Type", "application/json")
			return req
		},
	}
	for name, request := range ways {
		asks(t, client, "get memc.sess.key.a\r\n"+set, "END\r\nSTORED\r\n")
		reply, err := http.DefaultClient.Do(request())
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		if reply.StatusCode >= 300 {
			t.Fatalf("%s: %d %s", name, reply.StatusCode, body)
		}
		asks(t, client, set, "STORED\r\n")
		if reply := say(t, "tcp", r.addr, "get memc.sess.key.a\r\n"); reply != "END\r\n" {
			t.Errorf("%s: stored again: %q", name, reply)
		}
	}
	if _, body := httpGet(t, "http://"+admin+"/metrics"); !strings.Contains(body, `cairn_fenced_writes_total{rule="php"} 3`) {
		t.Errorf("not counted: %s", body)
	}
	if log := r.log(); strings.Count(log, "rule=php key_sha256=") != len(ways) {
		t.Errorf("log: %s", log)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
}
