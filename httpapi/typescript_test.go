package httpapi

import (
	"os"
	"os/exec"
	"testing"

	"cairn/session"
)

// node runs one of the programs in typescript/, and returns what it prints.
func node(args ...string) (string, error) {
	cmd := exec.Command("node", args...)
	cmd.Dir = "typescript"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// needNode skips a test where interop/install.sh has not installed the npm packages of
// typescript/, but not in CI.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("typescript/node_modules/.installed"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("run interop/install.sh: ", err)
		}
		t.Skip("the npm packages are not installed: ", err)
	}
}

// TestOpenAPILint holds the served document to the rules of a linter.
func TestOpenAPILint(t *testing.T) {
	needNode(t)
	h := start(t, Options{})
	if out, err := node("lint.js", h.http.URL+"/openapi.json"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTypeScriptClient generates a client from the served OpenAPI document
// with npm's openapi-typescript, compiles a program against it, and lets that
// list and delete sessions.
func TestTypeScriptClient(t *testing.T) {
	needNode(t)
	h := withTokens(t)
	for _, key := range []string{"user:1", "user:2", "user:a/b c?ü"} {
		h.engine.put(key, `["x"]`, testStart+minute)
	}
	h.engine.put("other", "x", session.Never)
	for _, command := range [][]string{
		{"node_modules/openapi-typescript/bin/cli.js", h.http.URL + "/openapi.json", "-o", "generated/schema.d.ts"},
		{"node_modules/typescript/bin/tsc", "-p", "."},
	} {
		if out, err := node(command...); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	out, err := node("generated/js/client.js", h.http.URL, adminToken)
	if err != nil || out != "user:1 user:2 user:new\n" {
		t.Errorf("the client: %v\n%s", err, out)
	}
}
