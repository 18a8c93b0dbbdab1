package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSessionRules bounds lives through every protocol, and reads the rules again
// on SIGHUP.
func TestSessionRules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rules: [{name: app, prefix: 'app:', max-ttl: 100s}]")
	r := start(t, t.TempDir(), "--sessions", "php,msm", "--session-rules", file)
	ttl := func(key string) (seconds int) {
		reply := say(t, "tcp", r.addr, "mg "+key+" t\r\n")
		if _, err := fmt.Sscanf(reply, "HD t%d", &seconds); err != nil {
			t.Fatalf("%s: %q", key, reply)
		}
		return seconds
	}
	atMost := func(key string, want int) {
		t.Helper()
		if got := ttl(key); got > want || got < want-60 {
			t.Errorf("%s lives for %d s, want %d", key, got, want)
		}
	}
	say(t, "tcp", r.addr, "set app:text 0 0 1\r\nx\r\nms app:meta 1 T500\r\nx\r\nset other 0 500 1\r\nx\r\n"+
		"add lock:a 0 0 1\r\nx\r\nset app:short 0 90 1\r\nx\r\nset app:touched 0 90 1\r\nx\r\ntouch app:touched 0\r\n"+
		"mg app:vivified N600 t\r\nma app:counter N600\r\n")
	say(t, "tcp", r.addr, "\x80\x01\x00\x0a\x08\x00\x00\x00\x00\x00\x00\x13\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"+
		"\x00\x00\x00\x00\x00\x00\x00\x00app:binaryx")
	for key, want := range map[string]int{
		"app:text": 100, "app:meta": 100, "other": 500, "lock:a": 3600, "app:short": 90,
		"app:touched": 100, "app:vivified": 100, "app:counter": 100, "app:binary": 100,
	} {
		atMost(key, want)
	}

	write("rules: [{name: app, prefix: 'app:', max-ttl: 300s}]")
	r.cmd.Process.Signal(syscall.SIGHUP)
	awaitTrue(t, "the rules are read again", func() bool { return strings.Contains(r.log(), `what="session rules"`) })
	say(t, "tcp", r.addr, "touch app:text 0\r\n")
	atMost("app:text", 300)

	write("rules: [{name: app, prefix: 'app:', max-ttl: soon}]")
	r.cmd.Process.Signal(syscall.SIGHUP)
	awaitTrue(t, "the fault is logged", func() bool { return strings.Contains(r.log(), "soon") })
	say(t, "tcp", r.addr, "touch app:meta 0\r\n")
	atMost("app:meta", 300)
}

// TestAbsoluteLifetime renews a session until its absolute lifetime ends it.
func TestAbsoluteLifetime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("rules: [{name: app, prefix: 'app:', absolute: 2h}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := start(t, dir, "--session-rules", file)
	say(t, "tcp", r.addr, "set app:a 0 0 1\r\nx\r\nset app:b 0 100 1\r\nx\r\ntouch app:b 90000\r\n")
	for range 2 {
		reply := say(t, "tcp", r.addr, "mg app:a t\r\nmg app:b t\r\nset app:a 0 86400 1\r\ny\r\nmg app:a t T0\r\n")
		for line := range strings.SplitSeq(strings.ReplaceAll(reply, "STORED\r\n", ""), "\r\n") {
			var seconds int
			if _, err := fmt.Sscanf(line, "HD t%d", &seconds); line != "" && (err != nil || seconds > 7200 || seconds < 7100) {
				t.Errorf("%q of %q", line, reply)
			}
		}
		r.cmd.Process.Kill()
		r.ends()
		r = start(t, dir, "--session-rules", file)
	}
}

func TestRulesCommand(t *testing.T) {
	if code, out, _ := cairn("rules"); code != exitOK || !strings.Contains(out, "name: express") {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := cairn("rules memc.sess.key.x --sessions php"); code != exitOK || !strings.Contains(out, "memc.sess.key.*") ||
		!strings.Contains(out, "connection, for 1m after it was seen, answers stored") {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := cairn("rules rack:session:x --sessions rails"); code != exitOK || !strings.Contains(out, "also after a miss") {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := cairn("rules memc.sess.key.lock.x --sessions php"); code != exitOK || !strings.Contains(out, "up to 2s") ||
		!strings.Contains(out, "in memory") || !strings.Contains(out, "when the connection ends") {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := cairn("rules x --sessions php"); code != exitOK || !strings.Contains(out, "no rule") {
		t.Errorf("%d, %s", code, out)
	}
	if code, _, errs := cairn("rules x --sessions asp"); code == exitOK || !strings.Contains(errs, "express") {
		t.Errorf("%d, %s", code, errs)
	}
}

// rulesFile is a file with these rules.
func rulesFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
