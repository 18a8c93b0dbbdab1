//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startMemcached runs a memcached at addr until the test ends.
func startMemcached(t *testing.T, addr string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	awaitTrue(t, "memcached answers", func() bool { return dial(addr) == nil })
	return cmd
}

// What is at the old store is found in all three protocols, by commands that find out
// whether it is there, and is removed there when it is removed here.
func TestUpstreamProtocols(t *testing.T) {
	old := freeAddress(t)
	startMemcached(t, old)
	r := start(t, t.TempDir(), "--upstream", "memcached://"+old)
	for i := range 16 {
		say(t, "tcp", old, fmt.Sprintf("set k%d 7 0 2\r\n41\r\n", i))
	}
	conn := connect(t, "tcp", r.addr)
	conn.ask("get k0\r\n", "VALUE k0 7 2\r\n41\r\nEND\r\n")
	conn.ask("gets k1 nothing\r\n", "VALUE k1 7 2 ")
	conn.replies.ReadString('\n')
	conn.expect("41\r\nEND\r\n")
	conn.ask("add k2 0 0 1\r\nx\r\n", "NOT_STORED\r\n")
	conn.ask("replace k3 0 0 1\r\nx\r\n", "STORED\r\n")
	conn.ask("cas k4 0 0 1 1\r\nx\r\n", "EXISTS\r\n")
	conn.ask("incr k5 1\r\n", "42\r\n")
	conn.ask("append k6 0 0 1\r\nx\r\n", "STORED\r\n")
	conn.ask("get k6\r\n", "VALUE k6 7 3\r\n41x\r\nEND\r\n")
	conn.ask("touch k7 100\r\n", "TOUCHED\r\n")
	conn.ask("gat 100 k8\r\n", "VALUE k8 7 2\r\n41\r\nEND\r\n")
	conn.ask("delete k9\r\n", "DELETED\r\n")
	conn.ask("mg k10 v f\r\n", "VA 2 f7\r\n41\r\n")
	conn.ask("md k11\r\n", "HD\r\n")
	conn.ask("ma k12\r\n", "HD\r\n")
	conn.ask("get nothing\r\n", "END\r\n")
	binary := connect(t, "tcp", r.addr)
	binary.ask("\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00k13", "\x81\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00")
	binary.replies.Discard(8) // the version
	binary.expect("\x00\x00\x00\x0741")
	binary.ask("\x80\x04\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00k14", "\x81\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	if got := say(t, "tcp", old, "get k9 k11 k14 k15\r\n"); got != "VALUE k15 7 2\r\n41\r\nEND\r\n" {
		t.Errorf("the old store has %q", got)
	}
}

// The move goes on after a takeover, a stop and a kill -9; what was removed while the
// old store was away stays removed.
func TestUpstreamAcrossProcesses(t *testing.T) {
	old, admin, dir := freeAddress(t), freeAddress(t), t.TempDir()
	memcached := startMemcached(t, old)
	g := startGeneration(t, dir, "--upstream", "memcached://"+old, "--mirror", "--http-listen", admin)
	for i := range 4 {
		say(t, "tcp", old, fmt.Sprintf("set k%d 7 0 2\r\n41\r\n", i))
	}
	conn := connect(t, "tcp", g.addr)
	conn.ask("get k0\r\n", "VALUE k0 7 2\r\n41\r\nEND\r\n")
	g.succeed()
	conn.ask("get k1\r\n", "VALUE k1 7 2\r\n41\r\nEND\r\n")
	conn.ask("set new 0 100 1\r\nx\r\n", "STORED\r\n")
	awaitTrue(t, "a copy", func() bool {
		return strings.HasPrefix(say(t, "tcp", old, "get new\r\n"), "VALUE")
	})
	memcached.Process.Kill()
	memcached.Wait()
	conn.ask("delete k0\r\n", "DELETED\r\n")
	conn.ask("delete k2\r\n", "NOT_FOUND\r\n") // which nobody knows
	conn.ask("get k1\r\n", "VALUE k1 7 2\r\n41\r\nEND\r\n")
	if status, body := httpGet(t, "http://"+admin+"/v1/upstream"); status != http.StatusOK || !strings.Contains(body, `"pending_removals":2`) {
		t.Errorf("%d %s", status, body)
	}
	g.succeed()
	conn.ask("delete k3\r\n", "NOT_FOUND\r\n")
	pid := g.pid()
	g.signal(9)
	g.awaitEnd(pid)
	startMemcached(t, old)
	for i := range 4 {
		say(t, "tcp", old, fmt.Sprintf("set k%d 7 0 2\r\n41\r\n", i))
	}
	r := start(t, dir, "--upstream", "memcached://"+old, "--mirror", "--http-listen", admin)
	if got := say(t, "tcp", r.addr, "get k0 k1 k2 k3\r\n"); got != "VALUE k1 7 2\r\n41\r\nEND\r\n" {
		t.Errorf("after a kill -9: %q", got)
	}
	awaitTrue(t, "the old store is told", func() bool { return say(t, "tcp", old, "get k0 k2 k3\r\n") == "END\r\n" })
	code, out, stderr := cairn("upstream status --url http://" + admin)
	if code != exitOK || !strings.Contains(out, "memcached://"+old) || !strings.Contains(out, "moving") {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	r.cmd.Process.Kill()
	r.ends()
	plain := start(t, dir, "--http-listen", admin)
	if code, _, stderr := cairn("upstream status --url http://" + admin); code == exitOK || !strings.Contains(stderr, "no upstream") {
		t.Errorf("without an upstream: exit code %d, %s", code, stderr)
	}
	plain.cmd.Process.Kill()
	plain.ends()
}

// What is said of an old store is checked before anything starts.
func TestUpstreamSettings(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--mirror":                                                        "mirror needs upstream",
		"--upstream a:11211":                                              "begins with memcached://",
		"--upstream memcached://user:pass@a":                              "belong in a file",
		"--upstream redis://a?database=3":                                 "unknown parameter",
		"--upstream memcached://a --upstream-timeout 0s":                  "from 1ms to 1m",
		"--upstream memcached://a --upstream-cert c":                      "go together",
		"--upstream memcached://a --upstream-auth-file " + secret:         "one line",
		"--upstream memcached://a --upstream-ca " + secret:                "no certificate",
		"--upstream memcached://a --upstream-auth-file " + secret + ".no": "no such file",
	} {
		code, _, stderr := cairn("serve -l 127.0.0.1:0 --http-listen off --data-dir " + t.TempDir() + " " + args)
		if code == exitOK || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr)
		}
	}
}

// TestRehearsal runs the script that the page on migration sends people to.
func TestRehearsal(t *testing.T) {
	if _, err := exec.LookPath("memcached"); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	rehearse := exec.Command("../../deploy/migration/rehearse", "200")
	rehearse.Env = append(os.Environ(), asProgram+"=1", "CAIRN="+os.Args[0])
	out, err := rehearse.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no session lost, no logout undone") {
		t.Errorf("%v\n%s", err, out)
	}
}
