package httpapi

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cairn/session"
)

// TestTypeScriptClient generates a client from the served OpenAPI document
// with npm's openapi-typescript, compiles a program against it, and lets that
// list and delete sessions.
func TestTypeScriptClient(t *testing.T) {
	dir, err := filepath.Abs("typescript")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openapi-typescript")); err != nil {
		out, err := run("npm", "ci", "--no-fund", "--no-audit", "--loglevel=error")
		if err != nil && os.Getenv("CI") == "" {
			t.Skipf("npm ci: %v %s", err, out)
		}
		if err != nil {
			t.Fatalf("npm ci: %v %s", err, out)
		}
	}
	h := withTokens(t)
	for _, key := range []string{"user:1", "user:2", "user:a/b c?ü"} {
		h.engine.put(key, `["x"]`, testStart+minute)
	}
	h.engine.put("other", "x", session.Never)
	for _, command := range [][]string{
		{"node", "node_modules/openapi-typescript/bin/cli.js", h.http.URL + "/openapi.json", "-o", "generated/schema.d.ts"},
		{"node", "node_modules/typescript/bin/tsc", "-p", "."},
	} {
		if out, err := run(command[0], command[1:]...); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	out, err := run("node", "generated/js/client.js", h.http.URL, adminToken)
	if err != nil || out != "user:1 user:2 user:new\n" {
		t.Errorf("the client: %v\n%s", err, out)
	}
}
