package main

import (
	"strings"
	"syscall"
	"testing"
)

// TestControlKeys lists and ends sessions with a client's own commands, in three
// protocols.
func TestControlKeys(t *testing.T) {
	rules := rulesFile(t, ownerRules[:strings.LastIndex(ownerRules, ", max")]+"}]")
	r := start(t, t.TempDir(), "--session-rules", rules, "--control-prefix", "cairn:")
	say(t, "tcp", r.addr, phpSession("a", "ann")+phpSession("b", "ann")+phpSession("c", "ann")+phpSession("d", "bob")+phpSession("e", "eve"))
	reply := say(t, "tcp", r.addr, "get cairn:owner:ann\r\n")
	if !strings.HasPrefix(reply, "VALUE cairn:owner:ann 0 ") || !strings.Contains(reply, `"key":"memc.sess.key.b"`) || !strings.HasSuffix(reply, "\r\nEND\r\n") {
		t.Errorf("list: %q", reply)
	}
	for _, c := range []struct{ request, want string }{
		{"delete cairn:others:memc.sess.key.b\r\nget memc.sess.key.a\r\nmg memc.sess.key.b s\r\n", "DELETED\r\nEND\r\nHD s18\r\n"},
		{"delete memc.sess.key.cairn:others:b\r\n", "NOT_FOUND\r\n"}, // there is no other any more
		{"md cairn:owner:ann\r\nmg memc.sess.key.b s\r\n", "HD\r\nEN\r\n"},
		{"delete cairn:owner:ann\r\nget cairn:owner:ann\r\nset cairn:owner:ann 0 0 1\r\nx\r\n", "NOT_FOUND\r\nEND\r\nNOT_STORED\r\n"},
		{"\x80\x04\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00cairn:owner:bob",
			"\x81\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if got := say(t, "tcp", r.addr, c.request); got != c.want {
			t.Errorf("%q: %q, want %q", c.request, got, c.want)
		}
	}
	if got := say(t, "tcp", r.addr, "get memc.sess.key.d\r\nmg memc.sess.key.e s\r\n"); got != "END\r\nHD s18\r\n" {
		t.Errorf("bob and eve: %q", got)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
	if code, _, errs := cairn("config --control-prefix ca\x01irn"); code == exitOK || !strings.Contains(errs, "printable") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// Without the setting such keys are keys like others.
func TestNoControlKeys(t *testing.T) {
	r := start(t, t.TempDir())
	if got := say(t, "tcp", r.addr, "set cairn:owner:a 0 0 1\r\nx\r\nget cairn:owner:a\r\ndelete cairn:owner:a\r\n"); got != "STORED\r\nVALUE cairn:owner:a 0 1\r\nx\r\nEND\r\nDELETED\r\n" {
		t.Errorf("%q", got)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
}
