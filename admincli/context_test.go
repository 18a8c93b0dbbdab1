package admincli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inContexts is a rig whose server has no name in the environment, with a home of its
// own and a token in a file.
func inContexts(t *testing.T) (r *rig, url, tokenFile string) {
	t.Helper()
	r = newRig(t)
	url = r.env[urlVariable]
	tokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("admin-token-12345\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = map[string]string{"HOME": t.TempDir()}
	return r, url, tokenFile
}

func TestContexts(t *testing.T) {
	r, url, tokenFile := inContexts(t)
	r.put("a", "v", 0)
	r.must("context", "set", "shop", "--url", url, "--token-file", tokenFile)
	r.must("context", "set", "nobody", "--url", "127.0.0.1:1")
	if out := r.must("ls"); !strings.Contains(out, "a") {
		t.Errorf("the first context is not the current one: %s", out)
	}
	r.refuse("127.0.0.1:1", "ls", "--context", "nobody")
	r.env[contextVariable] = "nobody"
	r.refuse("127.0.0.1:1", "ls")
	r.must("ls", "--context", "shop")
	delete(r.env, contextVariable)
	r.must("context", "use", "nobody")
	r.refuse("127.0.0.1:1", "ls")
	if out := r.must("context", "ls"); !strings.Contains(out, "*        nobody") || !strings.Contains(out, tokenFile) || strings.Contains(out, "admin-token") {
		t.Errorf("%s", out)
	}
	r.must("context", "rm", "nobody")
	r.refuse("no context \"nobody\"", "ls", "--context", "nobody")
	r.refuse("no context \"nobody\"", "context", "use", "nobody")
	r.refuse("no context \"nobody\"", "context", "rm", "nobody")
	info, err := os.Stat(filepath.Join(r.env["HOME"], ".config", "cairn", "contexts.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// No token goes to a server that it is not for.
func TestContextsDoNotMix(t *testing.T) {
	r, url, tokenFile := inContexts(t)
	r.must("context", "set", "shop", "--url", url, "--token-file", tokenFile)
	r.must("ping")
	r.refuse("wants a token", "ls", "--url", url) // another server, as far as anybody knows
	r.env[urlVariable] = url
	r.refuse("wants a token", "ls")
	r.env[tokenVariable] = "not-the-token-1234"
	r.must("ls", "--context", "shop")
	r.refuse("does not know this token", "ls")
}

func TestContextsThatCannotBe(t *testing.T) {
	r, url, _ := inContexts(t)
	r.refuse("needs --url", "context", "set", "shop")
	r.refuse("a context's name", "context", "set", "../shop", "--url", url)
	r.refuse("http:// or https://", "context", "set", "shop", "--url", "ftp://host")
	r.refuse("http:// or https://", "context", "set", "shop", "--url", "http://user:secret@host")
	r.refuse("no such file", "context", "set", "shop", "--url", url, "--token-file", "none")
	file := filepath.Join(r.env["HOME"], ".config", "cairn", "contexts.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refuse("contexts.json", "context", "ls")
	r.refuse("contexts.json", "ls", "--context", "shop")
	r.refuse("contexts.json", "ls") // and not at the default address
	delete(r.env, "HOME")
	r.refuse("no place for contexts", "context", "ls")
}
