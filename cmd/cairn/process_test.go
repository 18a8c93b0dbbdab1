package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The commands that tell a running server what to do, over its HTTP API.
func TestReloadAndStopCommands(t *testing.T) {
	admin, rules := freeAddress(t), rulesFile(t, "rules: [{name: app, prefix: 'sess:', max-ttl: 1h}]")
	r := start(t, t.TempDir(), "--http-listen", admin, "--session-rules", rules)
	code, out, stderr := cairn("reload --url http://" + admin)
	if code != exitOK || !strings.Contains(out, "session rules") || strings.Contains(out, "failed") {
		t.Errorf("reload: exit code %d, %s%s", code, out, stderr)
	}
	if err := os.WriteFile(rules, []byte("rules: [{nonsense: 1}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = cairn("reload --url http://" + admin)
	if code != exitFailure || !strings.Contains(out, "failed: ") || !strings.Contains(stderr, "stay in use") {
		t.Errorf("reload of nonsense: exit code %d, %s%s", code, out, stderr)
	}
	if code, _, stderr := cairn("stop --url http://" + admin); code != exitUsage || !strings.Contains(stderr, "--yes") {
		t.Errorf("stop without a word: exit code %d, %s", code, stderr)
	}
	code, out, stderr = cairn("stop --yes --url http://" + admin)
	if code != exitOK || out != "stopped\n" {
		t.Errorf("stop: exit code %d, %s%s", code, out, stderr)
	}
	if code := r.ends(); code != exitOK {
		t.Errorf("the server ended with %d: %s", code, r.log())
	}
	if code, _, stderr := cairn("stop --yes --url http://" + admin); code == exitOK {
		t.Errorf("stop of nobody: %s", stderr)
	}
}

// A configuration is checked with every file that it names.
func TestConfigValidate(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users, tokens := file("users", "alice:secret\n"), file("tokens", "ops admin 0123456789abcdef\n")
	good := file("good.yaml", "auth-file: "+users+"\nhttp-token-file: "+tokens+"\nupstream: memcached://old\nupstream-auth-file: "+file("password", "secret"))
	if code, out, stderr := cairn("config validate --config " + good); code != exitOK || !strings.Contains(out, "valid") {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
	for args, want := range map[string]string{
		"--config " + file("name.yaml", "portt: 1"):                      "portt",
		"--config " + file("value.yaml", "port: many"):                   "port",
		"--auth-file " + file("nobody", "no colon\n"):                    "nobody",
		"--auth-file " + filepath.Join(dir, "none"):                      "none",
		"--http-token-file " + file("short", "ops admin x"):              "short",
		"--http-token-file " + filepath.Join(dir, "none"):                "none",
		"-Z --tls-cert " + users + " --tls-key " + users:                 "users",
		"--http-tls-cert " + users + " --http-tls-key " + users:          "users",
		"--session-rules " + file("rules.yaml", "rules: [{x: 1}]"):       "rules.yaml",
		"--upstream memcached://a --upstream-auth-file " + file("e", ""): "one line",
		"--mirror": "upstream",
	} {
		code, out, stderr := cairn("config validate " + args)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s%s", args, code, out, stderr)
		}
	}
	if left, err := os.ReadDir("cairn-data"); err == nil {
		t.Errorf("it has made %v", left)
	}
}

// TestProcessors looks at a server that has little to do, and then has to scan.
func TestProcessors(t *testing.T) {
	admin := freeAddress(t)
	r := start(t, t.TempDir(), "--http-listen", admin, "--threads", "3")
	for _, c := range []struct{ command, answer, processors string }{
		{"get k\r\n", "END\r\n", "1"},
		{"lru_crawler metadump all\r\n", "OK\r\nEND\r\n", "2"},
		{"get k\r\n", "END\r\n", "1"},
	} {
		awaitTrue(t, c.processors+" processors", func() bool {
			if answer := say(t, "tcp", r.addr, c.command); answer != c.answer {
				t.Fatalf("%q: %q", c.command, answer)
			}
			time.Sleep(100 * time.Millisecond) // these questions must not make the server busy
			_, metrics := httpGet(t, "http://"+admin+"/metrics")
			return strings.Contains(metrics, "\ngo_sched_gomaxprocs_threads "+c.processors+"\n")
		})
	}
}
