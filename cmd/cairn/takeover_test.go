//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/cmd/cairn/config"
	"cairn/takeover"
)

// client is a memcached client's connection.
type client struct {
	t *testing.T
	net.Conn
	replies *bufio.Reader
}

func connect(t *testing.T, network, addr string) *client {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.replies, got); err != nil || string(got) != want {
		c.t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}

func (c *client) ask(question, answer string) {
	c.t.Helper()
	c.send(question)
	c.expect(answer)
}

// generation is a server that hands itself over again and again. Each process is
// a child of this one, as service managers have it.
type generation struct {
	t            *testing.T
	pidFile, log string
	addr         string
	args         []string
}

// startGeneration starts "cairn serve" with a pid file and a log file.
func startGeneration(t *testing.T, dir string, args ...string) *generation {
	t.Helper()
	g := &generation{t: t, pidFile: filepath.Join(t.TempDir(), "pid"), log: filepath.Join(t.TempDir(), "log"), addr: freeAddress(t)}
	g.args = append([]string{"serve", "-l", g.addr, "--data-dir", dir, "-P", g.pidFile, "--log-file", g.log, "--http-listen", "off"}, args...)
	cmd := command(g.args...)
	cmd.Stderr, _ = os.Create(g.log)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "the server answers", func() bool {
		_, err := os.Lstat(filepath.Join(dir, takeover.SocketName)) // made after clients are served
		return err == nil && g.pid() != 0 && dial(g.addr) == nil
	})
	t.Cleanup(func() {
		if pid := g.pid(); pid != 0 {
			syscall.Kill(pid, syscall.SIGTERM)
			g.awaitEnd(pid)
		}
		if t.Failed() {
			text, _ := os.ReadFile(g.log)
			t.Logf("%s", text)
		}
	})
	return g
}

func (g *generation) pid() int {
	text, _ := os.ReadFile(g.pidFile)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// signal signals the process that serves. There is one: 0 would be this test's
// whole process group.
func (g *generation) signal(s syscall.Signal) {
	g.t.Helper()
	pid := g.pid()
	if pid == 0 {
		g.t.Fatal("no process serves")
	}
	syscall.Kill(pid, s)
}

// awaitEnd waits until a child of this process has ended.
func (g *generation) awaitEnd(pid int) {
	g.t.Helper()
	awaitTrue(g.t, fmt.Sprintf("process %d ends", pid), func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

// succeed lets the server start its successor, and waits until that serves alone.
func (g *generation) succeed() {
	g.t.Helper()
	before := g.pid()
	g.signal(syscall.SIGUSR2)
	awaitTrue(g.t, "there is a successor", func() bool { return g.pid() != before && g.pid() != 0 })
	g.awaitEnd(before)
}

func (g *generation) logs(text string) bool {
	log, err := os.ReadFile(g.log)
	return err == nil && strings.Contains(string(log), text)
}

// One server after the other goes on with the connections, wherever they are;
// everything that hangs on a server goes along.
func TestTakeover(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	socket := filepath.Join(dir, "socket")
	g := startGeneration(t, filepath.Join(dir, "data"), "-s", socket, "--http-listen", admin)
	tcp, unix, torn := connect(t, "tcp", g.addr), connect(t, "unix", socket), connect(t, "tcp", g.addr)
	tcp.ask("set a 0 0 1\r\n0\r\n", "STORED\r\n")
	unix.ask("get a\r\n", "VALUE a 0 1\r\n0\r\nEND\r\n")
	const rounds = 3
	for i := range rounds {
		torn.send("incr a")
		g.succeed()
		torn.ask(" 1\r\n", fmt.Sprintf("%d\r\n", i+1))
		unix.ask("get a\r\n", fmt.Sprintf("VALUE a 0 1\r\n%d\r\nEND\r\n", i+1))
		tcp.ask("set b 0 0 1\r\nx\r\n", "STORED\r\n")
		connect(t, "tcp", g.addr).ask("get b\r\n", "VALUE b 0 1\r\nx\r\nEND\r\n")
		connect(t, "unix", socket).ask("get b\r\n", "VALUE b 0 1\r\nx\r\nEND\r\n")
		if status, body := httpGet(t, "http://"+admin+"/v1/connections"); status != http.StatusOK || !strings.Contains(body, tcp.LocalAddr().String()) {
			t.Errorf("the HTTP API: %d %s", status, body)
		}
		if status, _ := httpGet(t, "http://"+admin+"/readyz"); status != http.StatusOK {
			t.Errorf("not ready: %d", status)
		}
	}
	last := g.pid()
	g.signal(syscall.SIGTERM)
	g.awaitEnd(last)
	if _, err := os.Stat(g.pidFile); !os.IsNotExist(err) {
		t.Errorf("the last process left its pid file: %v", err)
	}
	if code, out, stderr := cairn("check --data-dir " + filepath.Join(dir, "data")); code != exitOK {
		t.Errorf("check: exit code %d, %s%s", code, out, stderr)
	}
}

// What cannot come up leaves the running server as it was, which says why.
func TestTakeoverThatFails(t *testing.T) {
	taken := freeAddress(t)
	l, err := net.Listen("tcp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	g := startGeneration(t, dir)
	c := connect(t, "tcp", g.addr)
	c.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n")
	pid := g.pid()
	for _, args := range [][]string{
		{"-l", taken},                      // an address that is in use
		{"-Z"},                             // a configuration that is wrong
		{"--auth-file", "/nonexistent"},    // a file that is missing
		{"-l", g.addr, "--conn-limit", ""}, // nonsense
	} {
		out, err := command(append(append([]string{}, g.args...), append(args, "--takeover")...)...).CombinedOutput()
		if err == nil {
			t.Errorf("%q took over:\n%s", args, out)
		}
		c.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n")
	}
	if g.pid() != pid {
		t.Errorf("the pid file names %d, not %d", g.pid(), pid)
	}
	if !g.logs("takeover refused") || !g.logs("address already in use") {
		t.Error("the log does not say why the hand-over failed")
	}
	c.ask("set a 0 0 1\r\ny\r\n", "STORED\r\n")
	g.succeed()
	c.ask("get a\r\n", "VALUE a 0 1\r\ny\r\nEND\r\n")
}

// A program that is broken on the disk is no successor.
func TestSuccessorThatIsBroken(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "cairn")
	original, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, original, 0o755); err != nil {
		t.Fatal(err)
	}
	addr, log := freeAddress(t), filepath.Join(dir, "log")
	cmd := command("serve", "-l", addr, "--data-dir", filepath.Join(dir, "data"), "--log-file", log, "--http-listen", "off")
	cmd.Path, cmd.Args[0] = program, program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitTrue(t, "the server answers", func() bool { return dial(addr) == nil })
	c := connect(t, "tcp", addr)
	c.ask("mn\r\n", "MN\r\n")
	for n, broken := range []string{"no program", "#!/bin/sh\nexit 3\n", "#!/bin/sh\nkill -9 $$\n"} {
		os.Remove(program)
		if err := os.WriteFile(program, []byte(broken), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(syscall.SIGUSR2)
		awaitTrue(t, "the log says that there is no successor", func() bool {
			text, _ := os.ReadFile(log)
			return strings.Count(string(text), "the new process did not start") == n+1
		})
		c.ask("mn\r\n", "MN\r\n")
	}
}

// Without a server to take over, one starts; a crashed one has left its socket.
func TestTakeoverOfNobody(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "--takeover")
	say(t, "tcp", r.addr, "set a 0 0 1\r\nx\r\n")
	r.cmd.Process.Kill()
	<-r.done
	if code, out, stderr := cairn("check --data-dir " + dir); code != exitOK {
		t.Errorf("check beside a socket: exit code %d, %s%s", code, out, stderr)
	}
	r = start(t, dir, "--takeover")
	if reply := say(t, "tcp", r.addr, "get a\r\n"); !strings.Contains(reply, "x") {
		t.Errorf("%q", reply)
	}
}

// The next process may listen elsewhere.
func TestTakeoverWithOtherAddresses(t *testing.T) {
	dir, other := t.TempDir(), freeAddress(t)
	g := startGeneration(t, dir)
	c := connect(t, "tcp", g.addr)
	c.ask("mn\r\n", "MN\r\n")
	before := g.pid()
	cmd := command("serve", "-l", other, "--data-dir", dir, "-P", g.pidFile, "--log-file", g.log, "--http-listen", "off", "--takeover")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.awaitEnd(before)
	c.ask("mn\r\n", "MN\r\n")
	connect(t, "tcp", other).ask("mn\r\n", "MN\r\n")
	if err := dial(g.addr); err == nil {
		t.Error("the address that nobody configured any more still answers")
	}
}

// In the background, too, and by the name of a user.
func TestTakeoverOfADaemon(t *testing.T) {
	dir := t.TempDir()
	g := startGeneration(t, dir)
	c := connect(t, "tcp", g.addr)
	c.ask("mn\r\n", "MN\r\n")
	before := g.pid()
	if out, err := command(append(g.args, "-d", "--takeover", "--log-file=")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if g.pid() == before {
		t.Error("the command came back before the new process served")
	}
	c.ask("mn\r\n", "MN\r\n")
	logged, err := os.ReadFile(filepath.Join(dir, config.OwnLogName))
	if err != nil || !strings.Contains(string(logged), "took the server over") {
		t.Errorf("the daemon that took over is silent: %v\n%s", err, logged)
	}
	g.succeed()
	c.ask("mn\r\n", "MN\r\n")
}

// A taker that fails after it got the store, which is the worst moment, leaves
// everything as it was: data, connections, the HTTP API, limits.
func TestTakerThatCannotOpen(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	g := startGeneration(t, dir, "--http-listen", admin)
	c := connect(t, "tcp", g.addr)
	c.ask("set a 0 0 1\r\nx\r\n", "STORED\r\n")
	c.ask("cache_memlimit 128\r\n", "OK\r\n")
	taker := command()
	taker.Env = append(taker.Env, asBadTaker+"="+dir)
	if out, err := taker.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.ask("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n")
	c.ask("set a 0 0 1\r\ny\r\n", "STORED\r\n")
	connect(t, "tcp", g.addr).ask("get a\r\n", "VALUE a 0 1\r\ny\r\nEND\r\n")
	if status, body := httpGet(t, "http://"+admin+"/v1/sessions"); status != http.StatusOK || !strings.Contains(body, `"key":"a"`) {
		t.Errorf("the HTTP API: %d %s", status, body)
	}
	if !g.logs("the disk of the test is broken") {
		t.Error("the log does not say why the hand-over failed")
	}
	c.ask("cache_memlimit 64\r\n", "OK\r\n")
	g.succeed()
	c.ask("get a\r\n", "VALUE a 0 1\r\ny\r\nEND\r\n")
}

// The service manager's sockets stand in for the configured addresses, and go
// along when another process takes over.
func TestSocketsOfTheServiceManager(t *testing.T) {
	dir := t.TempDir()
	memcached, http := listenFile(t), listenFile(t)
	pidFile, log := filepath.Join(dir, "pid"), filepath.Join(dir, "log")
	// The manager sets LISTEN_PID between fork and exec.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "serve", "-l", "127.0.0.1:1", // nobody may listen there
		"--data-dir", filepath.Join(dir, "data"), "-P", pidFile, "--log-file", log)
	cmd.Env = append(os.Environ(), asProgram+"=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=cairn.socket:http")
	cmd.ExtraFiles = []*os.File{memcached.file, http.file}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &generation{t: t, pidFile: pidFile, log: log, addr: memcached.addr}
	awaitTrue(t, "the server answers", func() bool { return g.pid() != 0 && dial(g.addr) == nil })
	c := connect(t, "tcp", memcached.addr)
	for range 2 {
		c.ask("mn\r\n", "MN\r\n")
		if status, _ := httpGet(t, "http://"+http.addr+"/readyz"); status != 200 {
			t.Errorf("not ready: %d", status)
		}
		connect(t, "tcp", memcached.addr).ask("mn\r\n", "MN\r\n")
		g.succeed()
	}
	g.signal(syscall.SIGTERM)
	g.awaitEnd(g.pid())
}

func TestUnknownSocketOfTheServiceManager(t *testing.T) {
	l := listenFile(t)
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "serve", "--data-dir", t.TempDir())
	cmd.Env = append(os.Environ(), asProgram+"=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=redis")
	cmd.ExtraFiles = []*os.File{l.file}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `"redis"`) {
		t.Errorf("%v\n%s", err, out)
	}
}

// listening is a socket as the service manager opens it.
type listening struct {
	addr string
	file *os.File
}

func listenFile(t *testing.T) listening {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return listening{l.Addr().String(), file}
}

// Started by root for another user, each process is that user's before it takes
// over; the pid file that root wrote names the next one if root starts it.
func TestTakeoverAsAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir, err := os.MkdirTemp("/tmp", "cairn-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	g := startGeneration(t, filepath.Join(dir, "data"), "-u", "nobody")
	c := connect(t, "tcp", g.addr)
	c.ask("mn\r\n", "MN\r\n")
	before := g.pid()
	cmd := command(append(g.args, "--takeover")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "the pid file names the new process", func() bool { return g.pid() == cmd.Process.Pid })
	g.awaitEnd(before)
	c.ask("mn\r\n", "MN\r\n")
	out, err := command("serve", "-l", g.addr, "--data-dir", filepath.Join(dir, "data"), "--http-listen", "off", "--takeover").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "user 0 cannot take over") {
		t.Errorf("another user: %v\n%s", err, out)
	}
	c.ask("mn\r\n", "MN\r\n")
}
