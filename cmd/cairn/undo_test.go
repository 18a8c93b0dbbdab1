package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUndo brings back what a client's flush_all and an operator's kick of many have
// ended, also after a restart.
func TestUndo(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	args := []string{"--http-listen", admin, "--session-rules", rulesFile(t, ownerRules[:strings.LastIndex(ownerRules, ", max")]+"}]")}
	r := start(t, dir, args...)
	run := func(args string) string {
		t.Helper()
		code, out, errs := cairn(args, "CAIRN_URL=http://"+admin)
		if code != exitOK {
			t.Errorf("cairn %s: exit %d, %s%s", args, code, out, errs)
		}
		return out + errs
	}
	var sets strings.Builder
	for i := range 120 {
		sets.WriteString(phpSession(fmt.Sprint("a", i), "ann"))
	}
	sets.WriteString(phpSession("b", "bob"))
	say(t, "tcp", r.addr, sets.String())
	before := say(t, "tcp", r.addr, "mg memc.sess.key.a7 v f t\r\n")

	out := run("owners kick ann --yes")
	_, id, found := strings.Cut(strings.TrimSpace(out), "cairn undo apply ")
	if !found {
		t.Fatalf("kick: %s", out)
	}
	say(t, "tcp", r.addr, "delete memc.sess.key.b\r\n")
	if out := run("undo ls"); !strings.Contains(out, id) || !strings.Contains(out, `end 120 sessions of "ann"`) {
		t.Errorf("points: %s", out)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
	r = start(t, dir, args...)
	if out := run("undo apply " + id + " --prefix memc.sess.key.a1"); !strings.HasPrefix(out, "31 sessions are back; 0 were there, 0 were") {
		t.Errorf("undo of a part: %s", out)
	}
	if out := run("undo apply " + id); !strings.HasPrefix(out, "89 sessions are back; 31 were there, 1 were deleted") {
		t.Errorf("undo: %s", out)
	}
	if out := run("owners show ann -o json"); !strings.Contains(out, `"sessions": 120`) {
		t.Errorf("ann: %.300s", out)
	}
	after := say(t, "tcp", r.addr, "mg memc.sess.key.a7 v f t\r\n")
	if after[:strings.Index(after, "t")] != before[:strings.Index(before, "t")] || !strings.HasSuffix(after, before[strings.Index(before, "\n"):]) {
		t.Errorf("%q has come back as %q", before, after)
	}
	if reply := say(t, "tcp", r.addr, "get memc.sess.key.b\r\n"); reply != "END\r\n" {
		t.Errorf("what its user has deleted is back: %q", reply)
	}

	// A flush within a minute of the point joins it.
	if reply := say(t, "tcp", r.addr, "flush_all\r\nget memc.sess.key.a7\r\n"); reply != "OK\r\nEND\r\n" {
		t.Errorf("flush: %q", reply)
	}
	if out := run("undo apply " + id); !strings.HasPrefix(out, "120 sessions are back") {
		t.Errorf("undo of the flush: %s", out)
	}
	run("undo rm " + id)
	if entries, err := os.ReadDir(filepath.Join(dir, "undo")); err != nil || len(entries) != 0 {
		t.Errorf("%d entries are left, error %v", len(entries), err)
	}
	if code, _, errs := cairn("undo apply "+id, "CAIRN_URL=http://"+admin); code != 3 || !strings.Contains(errs, "no such undo point") {
		t.Errorf("exit %d, %s", code, errs)
	}
	reply, err := http.Post("http://"+admin+"/v1/flush", "application/json", strings.NewReader(`{"confirm":"delete all sessions"}`))
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("flush over HTTP: %v, %v", reply, err)
	}
	reply.Body.Close()
	if out := run("undo ls"); !strings.Contains(out, "flush of 120 sessions") {
		t.Errorf("points: %s", out)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
}

// Without --undo nothing is kept.
func TestNoUndo(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "--undo", "0s")
	say(t, "tcp", r.addr, "set a 0 0 1\r\nx\r\nflush_all\r\n")
	if _, err := os.Stat(filepath.Join(dir, "undo")); !os.IsNotExist(err) {
		t.Errorf("there is something to undo: %v", err)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
	if code, _, errs := cairn("config --undo 25h"); code == exitOK || !strings.Contains(errs, "at most 1d") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
