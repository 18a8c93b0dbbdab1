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

// recipe writes the block of that name, of the README or of docs/recipes.md, into a
// file, with the server's address for the one that stands there.
func recipe(t *testing.T, name, file string, srv *server) (path string) {
	t.Helper()
	var pages strings.Builder
	for _, page := range []string{"../README.md", "../docs/recipes.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pages.Write(text)
	}
	for _, block := range recipeBlock.FindAllStringSubmatch(pages.String(), -1) {
		if block[1] != name {
			continue
		}
		host, port, _ := net.SplitHostPort(srv.addr)
		text := strings.NewReplacer("127.0.0.1:11211", srv.addr, "127.0.0.1 11211", host+" "+port,
			"'127.0.0.1', 11211", "'"+host+"', "+port,
			"_HOST=127.0.0.1\nMEMCACHED_PORT=11211", "_HOST="+host+"\nMEMCACHED_PORT="+port).Replace(block[2])
		if text == block[2] {
			t.Fatalf("the recipe %s names no server", name)
		}
		path = filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Fatalf("there is no recipe %s", name)
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
	store := edit(t, recipe(t, "rails", "session_store.rb", srv), "session_store.rb", "socket_timeout: 10", "socket_timeout: 60")
	startRuby(t, srv, "ruby/rails_app.rb", store).prove(t)
}

func TestRecipeFlask(t *testing.T) {
	t.Parallel()
	needModule(t, "flask_session")
	srv := startServer(t)
	app := recipe(t, "flask", "app.py", srv)
	apps := counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		_, port, _ := net.SplitHostPort(addr)
		edited := edit(t, app, "app.py", "timedelta(minutes=30)", fmt.Sprintf("timedelta(seconds=%d)", int(ttl.Seconds())))
		startProcess(t, nil, python, "-m", "flask", "--app", edited, "run", "--port", port).awaitPort(addr)
		return "http://" + addr + "/"
	}}
	apps.prove(t)
}

func TestRecipeSymfony(t *testing.T) {
	t.Parallel()
	need(t, "php", "/usr/share/php/Symfony/Component/HttpFoundation/autoload.php")
	srv := startServer(t)
	handler, err := os.ReadFile(recipe(t, "symfony", "handler.php", srv))
	if err != nil {
		t.Fatal(err)
	}
	apps := counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		app := filepath.Join(t.TempDir(), "app.php")
		program := "<?php require 'Symfony/Component/HttpFoundation/autoload.php';\n" +
			strings.Replace(string(handler), "1800", fmt.Sprint(int(ttl.Seconds())), 1) +
			"session_set_save_handler($handler, true);\nsession_start();\n" +
			"$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;\necho $_SESSION['n'];\n"
		if err := os.WriteFile(app, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		startProcess(t, nil, "php", "-S", addr, app).awaitPort(addr)
		return "http://" + addr + "/"
	}}
	apps.prove(t)
}

func TestRecipeLaravel(t *testing.T) {
	t.Parallel()
	need(t, "php", "/usr/share/php/Illuminate/Session/autoload.php")
	srv := startServer(t, "--sessions", "laravel")
	settings, err := os.ReadFile(recipe(t, "laravel", "env", srv))
	if err != nil {
		t.Fatal(err)
	}
	apps := counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		lifetime := fmt.Sprint("SESSION_LIFETIME=", ttl.Minutes())
		environ := strings.Split(strings.Replace(string(settings), "SESSION_LIFETIME=30", lifetime, 1), "\n")
		startProcess(t, environ, "php", "-S", addr, "php/laravel_app.php").awaitPort(addr)
		return "http://" + addr + "/"
	}}
	apps.prove(t)
	app, visitor := apps.start(long), newVisitor(t)
	visitor.count(app)
	if n := visitor.count(app); n != 2 {
		t.Errorf("the second request counts %d", n)
	}
	if answer := visitor.get(app + "?do=logout"); answer != "bye" {
		t.Errorf("logout: %q", answer)
	}
	if n := visitor.count(app); n != 1 {
		t.Errorf("after the logout a request counts %d", n)
	}
}

func TestRecipeGo(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	source := recipe(t, "go", "main.go", srv)
	apps := counterApps{srv: srv, start: func(ttl time.Duration) string {
		addr := freeAddress(t)
		edited := edit(t, source, "main.go", "= 1800", fmt.Sprintf("= %d", int(ttl.Seconds())), "127.0.0.1:3000", addr,
			"10 * time.Second", fmt.Sprintf("%d * time.Second", int(patience.Seconds())))
		program := filepath.Join(filepath.Dir(edited), "app")
		if words, err := exec.Command("go", "build", "-o", program, edited).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, words)
		}
		startProcess(t, nil, program).awaitPort(addr)
		return "http://" + addr + "/"
	}}
	apps.prove(t)
}

// edit writes a copy of a file with texts replaced, each of which must be there.
func edit(t *testing.T, file, name string, replacements ...string) (path string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			t.Fatalf("%s has no %q", name, replacements[i])
		}
		text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
