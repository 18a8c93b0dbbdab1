//go:build linux

package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/adminapi"
)

// What is changed through the HTTP API is seen by those who watch, and counted by
// prefix, as what clients change is.
func TestWatchSeesTheHTTPAPI(t *testing.T) {
	admin := freeAddress(t)
	r := start(t, t.TempDir(), "--http-listen", admin)
	watcher, counter := connect(t, "tcp", r.addr), connect(t, "tcp", r.addr)
	watcher.ask("watch mutations deletions\r\n", "OK\r\n")
	counter.ask("stats detail on\r\n", "OK\r\n")
	request := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+admin+"/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		reply, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		if reply.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, path, reply.Status)
		}
	}
	request(http.MethodPut, "sessions/s%3A1", `{"value":"from afar","ttl_seconds":600}`)
	request(http.MethodDelete, "sessions/s%3A1", "")
	counter.ask("set s:2 0 60 4\r\nhere\r\n", "STORED\r\n")
	request(http.MethodPost, "bulk-delete", `{"filter":{"prefix":"s:"},"dry_run":false}`)
	for _, want := range []string{
		" type=item_store key=s%3A1 status=stored cmd=set ttl=600 clsid=1 cfd=0 size=9\n",
		" type=deleted key=s%3A1 cmd=delete clsid=1 cfd=0 size=9\n",
		" type=item_store key=s%3A2 status=stored cmd=set ttl=60 clsid=1 cfd=",
		" type=deleted key=s%3A2 cmd=delete clsid=1 cfd=0 size=4\n",
	} {
		if line, err := watcher.replies.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("%q, %v; want %q in it", line, err, want)
		}
	}
	counter.ask("stats detail dump\r\n", "PREFIX s get 0 hit 0 set 2 del 2\r\nEND\r\n")
}

// An operator sees what clients do, which keys they use most, and the end of a watch
// when the server stops, which does not wait for it.
func TestWatchCommand(t *testing.T) {
	admin := freeAddress(t)
	r := start(t, t.TempDir(), "--http-listen", admin)
	api := &adminapi.Client{Base: "http://" + admin}
	client := connect(t, "tcp", r.addr)
	lines, ended := make(chan adminapi.WatchedCommand, 100), make(chan error, 1)
	go func() {
		filter := adminapi.CommandFilter{Prefix: []byte("s:"), Commands: []string{"set", "get"}}
		ended <- api.Watch(t.Context(), &filter, 1000, func(line *adminapi.WatchedCommand) error {
			lines <- *line
			return nil
		})
	}()
	if first := <-lines; first.Command != "" || first.At.IsZero() {
		t.Errorf("begins with %+v", first)
	}
	expect := func(want adminapi.WatchedCommand) {
		t.Helper()
		got := <-lines
		if timed := got.Seconds > 0; timed != (want.Front == "memcached") {
			t.Errorf("%+v", got)
		}
		got.At, got.Seconds, got.Connection, got.Client, got.User = time.Time{}, 0, "", "", ""
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	client.ask("set other 0 60 1\r\nx\r\n", "STORED\r\n")
	client.ask("set s:1 0 60 3\r\nabc\r\n", "STORED\r\n")
	client.ask("mg s:1 s\r\n", "HD s3\r\n")
	expect(adminapi.WatchedCommand{Command: "set", Key: "s:1", Outcome: "stored", Size: 3, Front: "memcached"})
	expect(adminapi.WatchedCommand{Command: "mg", Key: "s:1", Outcome: "hit", Size: 3, Front: "memcached"})
	ttl := 60.0
	if _, err := api.Put(t.Context(), []byte("s:2"), &adminapi.PutBody{Expiry: adminapi.Expiry{TTLSeconds: &ttl}, Value: new(string)}); err != nil {
		t.Fatal(err)
	}
	expect(adminapi.WatchedCommand{Command: "set", Key: "s:2", Outcome: "stored", Front: "http"})
	r.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil {
		t.Errorf("when the server stops: %v", err)
	}
}
