package admincli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cairn/freeport"
)

// startServer runs a real server on a free loopback port until the test ends.
func startServer(t *testing.T, name string, args ...string) (addr string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	addr, err = freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "PORT", port)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 6000 {
		if nc, err := net.Dial("tcp", addr); err == nil {
			nc.Close()
			return addr
		}
		time.Sleep(10 * time.Millisecond) // until the other process listens
	}
	t.Fatalf("%s does not listen", name)
	return ""
}

// talk sends requests, the last of which ends the connection.
func talk(t *testing.T, addr, requests string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	go io.WriteString(nc, requests)
	if _, err := io.Copy(io.Discard, nc); err != nil {
		t.Fatal(err)
	}
}

func TestImportFromMemcached(t *testing.T) {
	addr := startServer(t, "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", "PORT", "-U", "0", "-I", "2m")
	var requests strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&requests, "set s%04d %d 1000 5\r\nvalue\r\n", i, i)
	}
	big := strings.Repeat("x", 3<<19)
	fmt.Fprintf(&requests, "set big 0 0 %d\r\n%s\r\nset forever 0 0 1\r\nx\r\nquit\r\n", len(big), big)
	talk(t, addr, requests.String())

	r := newRig(t)
	r.put("s0000", "mine", 100)
	out, _, err := r.run("import", "--keep", "--from-memcached", addr, "-o", "json")
	if !errors.Is(err, errLeftOut) {
		t.Errorf("with a value that is too large: %v", err)
	}
	got := decodeJSON[imported](t, out)
	if got.Stored != 3000 || got.Kept != 1 || got.TooLarge != 1 {
		t.Errorf("%+v", got)
	}
	if out := r.must("show", "s2999"); !strings.Contains(out, "2999") || !strings.Contains(out, "16m") || !strings.Contains(out, "value") {
		t.Errorf("a session that was taken over: %s", out)
	}
	if out := r.must("show", "forever"); !strings.Contains(out, "never") {
		t.Errorf("one that does not expire: %s", out)
	}
	if out := r.must("show", "s0000"); !strings.Contains(out, "mine") {
		t.Errorf("one that was there: %s", out)
	}
	r.refuse("refused", "import", "--from-memcached", "127.0.0.1:1")
}

func TestImportFromRedis(t *testing.T) {
	addr := startServer(t, "redis-server", "--port", "PORT", "--bind", "127.0.0.1", "--save", "")
	var requests strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&requests, "SET s%04d value%d EX 1000\r\n", i, i)
	}
	requests.WriteString("SET forever x\r\nLPUSH list x\r\nQUIT\r\n")
	talk(t, addr, requests.String())

	r := newRig(t)
	out, _, err := r.run("import", "--from-redis", addr, "-o", "json")
	if !errors.Is(err, errLeftOut) {
		t.Errorf("with a list: %v", err)
	}
	got := decodeJSON[imported](t, out)
	if got.Stored != 1001 || got.Unsuitable != 1 {
		t.Errorf("%+v", got)
	}
	if out := r.must("show", "s0999"); !strings.Contains(out, "value999") || !strings.Contains(out, "16m") {
		t.Errorf("a session that was taken over: %s", out)
	}
	out = r.must("import", "--from-redis", "redis://"+addr+"/0", "--match", "s00*")
	if !strings.Contains(out, "stored  100") {
		t.Errorf("with a pattern: %s", out)
	}
	r.refuse("does not go with", "import", "--match", "x")
}
