package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var recipeBlock = regexp.MustCompile("(?s)<!-- recipe: (\\w+) -->\n```\\w+\n(.*?)```")

// recipe writes the README's block of that name into a file of that name, with
// the server's address for the one that stands there.
func recipe(t *testing.T, name, file string, srv *server) (path string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range recipeBlock.FindAllStringSubmatch(string(readme), -1) {
		if block[1] != name {
			continue
		}
		host, port, _ := net.SplitHostPort(srv.addr)
		text := strings.NewReplacer("127.0.0.1:11211", srv.addr, "127.0.0.1 11211", host+" "+port).Replace(block[2])
		if text == block[2] {
			t.Fatalf("the recipe %s names no server", name)
		}
		path = filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Fatalf("the README has no recipe %s", name)
	return ""
}

func TestReadmeShell(t *testing.T) {
	t.Parallel()
	need(t, "nc", "sh")
	srv := startServer(t)
	out, err := exec.Command("sh", recipe(t, "shell", "try.sh", srv)).CombinedOutput()
	if want := "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n"; err != nil || string(out) != want {
		t.Errorf("the quick start prints %q, %v", out, err)
	}
	srv.restart()
	if reply := srv.text("get k\r\n"); reply != "VALUE k 0 1\r\nx\r\nEND\r\n" {
		t.Errorf("after kill -9: %q", reply)
	}
}

func TestReadmePHP(t *testing.T) {
	t.Parallel()
	need(t, "php")
	srv := startServer(t, "--sessions", "php")
	ini := recipe(t, "php", "php.ini", srv)
	apps := counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		app := startProcess(t, nil, "php", "-c", ini, "-d", fmt.Sprintf("session.gc_maxlifetime=%d", int(ttl.Seconds())),
			"-S", addr, "php/counter.php")
		app.awaitPort(addr)
		return "http://" + addr + "/"
	}}
	apps.prove(t)
}

func TestReadmeDjango(t *testing.T) {
	t.Parallel()
	needModule(t, "pymemcache")
	srv := startServer(t)
	startDjango(t, srv, "none of the recipe's business", recipe(t, "django", "settings.py", srv)).prove(t)
}

func TestReadmeExpress(t *testing.T) {
	t.Parallel()
	need(t, "node", absolute(t, "node_modules/express"))
	srv := startServer(t)
	app := recipe(t, "express", "app.js", srv)
	text, err := os.ReadFile(app)
	if err != nil {
		t.Fatal(err)
	}
	apps := counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		_, port, _ := net.SplitHostPort(addr)
		edited := strings.NewReplacer("3000", port, "24 * 3600 * 1000", fmt.Sprint(ttl.Milliseconds())).Replace(string(text))
		program := filepath.Join(t.TempDir(), "app.js")
		if err := os.WriteFile(program, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		environ := []string{"NODE_PATH=" + absolute(t, "node_modules"), "SESSION_SECRET=only for this test"}
		startProcess(t, environ, "node", program).awaitPort(addr)
		return "http://" + addr + "/"
	}}
	apps.prove(t)
}

func TestReadmeRails(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	startRuby(t, srv, "ruby/rails_app.rb", recipe(t, "rails", "session_store.rb", srv)).prove(t)
}
