//go:build linux

package main

import (
	"net/http"
	"slices"
	"syscall"
	"testing"

	"cairn/adminapi"
)

// TestHistory asks for figures that processes before have sampled: one that was
// stopped, one that was killed, and one that was taken over.
func TestHistory(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	args := []string{"--http-listen", admin}
	client := &adminapi.Client{Base: "http://" + admin, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	ask := func() adminapi.History {
		t.Helper()
		h, err := client.History(t.Context(), adminapi.HistoryQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	want := func(kinds ...string) {
		t.Helper()
		var got []string
		for _, e := range ask().Events {
			if !slices.Contains([]string{"slow_fsync", "slow_disk", "stall"}, e.Kind) { // the machine's own
				got = append(got, e.Kind)
			}
		}
		if !slices.Equal(got, kinds) {
			t.Errorf("events %v, want %v", got, kinds)
		}
	}
	r := start(t, dir, args...)
	want("start")
	say(t, "tcp", r.addr, "set a 0 60 1\r\nx\r\nget a\r\nget b\r\ntouch a 60\r\ndelete b\r\nmg a\r\n")
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()

	r = start(t, dir, args...)
	want("start", "stop", "restart")
	h := ask()
	if len(h.Points) == 0 {
		t.Fatal("there are no samples of the process before")
	}
	last := h.Points[len(h.Points)-1]
	for i, f := range h.Figures {
		if last.Values[i] == nil {
			t.Errorf("%s is not known after traffic", f.Name)
		}
	}
	r.cmd.Process.Kill()
	r.ends()

	g := startGeneration(t, dir, args...)
	awaitTrue(t, "the API answers", func() bool { _, err := client.Server(t.Context()); return err == nil })
	want("start", "stop", "restart", "restart")
	g.succeed()
	awaitTrue(t, "the API answers", func() bool { _, err := client.Server(t.Context()); return err == nil })
	want("start", "stop", "restart", "restart", "takeover")
}
