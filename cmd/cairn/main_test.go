package main

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/spf13/cobra"

	"cairn/cmd/cairn/config"
	"cairn/freeport"
)

// asProgram makes the test binary behave as cairn itself.
const asProgram = "TEST_RUN_AS_CAIRN"

// asBadTaker makes the test binary a taker that fails, of the server in that
// directory.
const asBadTaker = "TEST_RUN_AS_BAD_TAKER"

// patience bounds waits for what is certain to come.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if dir := os.Getenv(asBadTaker); dir != "" {
		if err := badTaker(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailure)
		}
		os.Exit(exitOK)
	}
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// run runs the program in this process until ctx ends, whose timers stay as they are.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	return (&program{args: args, environ: environ, stdout: stdout, stderr: stderr}).run(ctx)
}

// cairn runs the program in this process to its end.
func cairn(args string, environ ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(context.Background(), strings.Fields(args), environ, &out, &err)
	return code, out.String(), err.String()
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"version", "--version", "-V", "serve -V", "serve --version"} {
		code, out, _ := cairn(args)
		if code != exitOK || !strings.HasPrefix(out, "cairn "+version+" ") {
			t.Errorf("%s: exit code %d, %q", args, code, out)
		}
	}
}

func TestVersionAsJSON(t *testing.T) {
	code, out, _ := cairn("version -o json --modules")
	var v versionInfo
	if err := json.Unmarshal([]byte(out), &v); code != exitOK || err != nil || v.Version != version || len(v.Modules) == 0 {
		t.Errorf("exit code %d, %v, %s", code, err, out)
	}
	if code, _, stderr := cairn("version -o xml"); code != exitUsage || !strings.Contains(stderr, "must be text or json") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestUnknownCommand(t *testing.T) {
	for args, says := range map[string]string{
		"sreve": "unknown command \"sreve\"; did you mean serve?",
		"xyzzy": "unknown command \"xyzzy\"\n",
	} {
		if code, _, stderr := cairn(args); code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr)
		}
	}
}

// TestExitCodesOfCommands looks at one code of package admincli; its own tests
// have all.
func TestExitCodesOfCommands(t *testing.T) {
	if code, _, stderr := cairn("ping --url 127.0.0.1:1"); code != 4 || !strings.HasPrefix(stderr, "cairn: cannot reach Cairn at") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestUsageFaultsExitWithTwo(t *testing.T) {
	for args, want := range map[string]string{
		"serve --no-such-flag":    "no-such-flag",
		"serve -p none":           "none",
		"serve -U 11211":          "amplification",
		"serve --config /no.yaml": "/no.yaml",
		"serve leftover":          "leftover",
		"no-such-verb":            "no-such-verb",
		"config -Z":               "tls-cert",
	} {
		code, _, stderr := cairn(args)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("cairn %s: exit code %d, %q", args, code, stderr)
		}
	}
}

func TestConfigPrintsWhatServeWouldUse(t *testing.T) {
	code, out, stderr := cairn("config -p 4000", "CAIRN_CONN_LIMIT=7")
	if code != exitOK {
		t.Fatal(stderr)
	}
	for _, want := range []string{"\nport: 4000 # from command line\n", "\nconn-limit: 7 # from CAIRN_CONN_LIMIT", "\n# max-item-size: \"8m\"\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestHelpListsMemcachedsFlags(t *testing.T) {
	code, out, _ := cairn("serve --help")
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, letter := range "psalmcbdkruvtPURIBSFXWYZoAfnLMCeN" {
		if !strings.Contains(out, "-"+string(letter)+", --") {
			t.Errorf("-%c is missing", letter)
		}
	}
}

// running is a cairn in a process of its own.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   string
	stderr string // file
	done   chan error
}

// command is cairn with these arguments, which does not start twice, as it does for the
// slack of its timers: with the race detector that takes long.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "CAIRN_TIMER_SLACK=0")
	return cmd
}

// start runs "cairn serve" with a data directory in dir until it answers.
func start(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	r := &running{t: t, addr: freeAddress(t), stderr: filepath.Join(t.TempDir(), "stderr"), done: make(chan error, 1)}
	stderr, err := os.Create(r.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	r.cmd = command(append([]string{"serve", "-l", r.addr, "--data-dir", dir, "--http-listen", "off"}, args...)...)
	r.cmd.Stderr = stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { r.cmd.Process.Kill() })
	r.await()
	return r
}

func (r *running) await() {
	r.t.Helper()
	awaitTrue(r.t, "the server answers", func() bool {
		select {
		case err := <-r.done:
			r.t.Fatalf("the server ended: %v\n%s", err, r.log())
		default:
		}
		return dial(r.addr) == nil
	})
}

func (r *running) log() string {
	text, _ := os.ReadFile(r.stderr)
	return string(text)
}

// ends waits for the process and gives its exit code.
func (r *running) ends() int {
	r.t.Helper()
	select {
	case <-r.done:
		return r.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		r.t.Fatalf("the server does not end\n%s", r.log())
		return -1
	}
}

func dial(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err
}

func awaitTrue(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// say sends commands over the address and gives all replies.
func say(t *testing.T, network, addr, commands string) string {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, commands+"quit\r\n")
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

func TestServeKeepsSessionsAcrossCleanStopAndKill(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	if reply := say(t, "tcp", first.addr, "set k 0 60 1\r\nx\r\nget k\r\n"); reply != "STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n" {
		t.Errorf("reply %q", reply)
	}
	first.cmd.Process.Signal(syscall.SIGTERM)
	if code := first.ends(); code != exitOK {
		t.Errorf("SIGTERM: exit code %d\n%s", code, first.log())
	}
	second := start(t, dir)
	say(t, "tcp", second.addr, "set l 0 60 1\r\ny\r\n")
	second.cmd.Process.Kill()
	second.ends()
	third := start(t, dir)
	if reply := say(t, "tcp", third.addr, "get k l\r\n"); reply != "VALUE k 0 1\r\nx\r\nVALUE l 0 1\r\ny\r\nEND\r\n" {
		t.Errorf("after a stop and a kill: %q", reply)
	}
}

func TestSecondServerOnSameDataIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	out, err := command("serve", "-l", "127.0.0.1:0", "--data-dir", dir, "--http-listen", "off").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another process") || !strings.Contains(string(out), dir) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAddressInUseIsReported(t *testing.T) {
	taken := start(t, t.TempDir()).addr
	out, err := command("serve", "-l", taken, "--data-dir", t.TempDir(), "--http-listen", "off").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A client that has half a request under way does not hold up a stop.
func TestStopWithClientsConnected(t *testing.T) {
	r := start(t, t.TempDir())
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "set half 0 0 100\r\nonly the beginning")
	r.cmd.Process.Signal(syscall.SIGINT)
	if code := r.ends(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, r.log())
	}
}

func TestHangupReopensTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "cairn.log")
	r := start(t, t.TempDir(), "--log-file", log, "--log-format", "json")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	r.cmd.Process.Signal(syscall.SIGHUP)
	awaitTrue(t, "the log is opened again", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), `"what":"log file"`)
	})
}

func TestHangupReloadsUsers(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	write := func(text string) {
		if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a:one\n")
	r := start(t, t.TempDir(), "-Y", users)
	login := func(credentials string) string {
		return say(t, "tcp", r.addr, fmt.Sprintf("set auth 0 0 %d\r\n%s\r\n", len(credentials), credentials))
	}
	if reply := login("a one"); reply != "STORED\r\n" {
		t.Errorf("login: %q", reply)
	}
	write("a:two\n")
	r.cmd.Process.Signal(syscall.SIGHUP)
	awaitTrue(t, "the users are read again", func() bool { return strings.Contains(r.log(), "what=users") })
	if reply := login("a two"); reply != "STORED\r\n" {
		t.Errorf("login with the new password: %q", reply)
	}
	if reply := login("a one"); reply == "STORED\r\n" {
		t.Error("the old password is still right")
	}
}

func TestShutdownCommand(t *testing.T) {
	r := start(t, t.TempDir(), "-A")
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "shutdown\r\n")
	if code := r.ends(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, r.log())
	}
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	r := start(t, filepath.Join(dir, "data"), "-s", socket, "-a", "750")
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	say(t, "unix", socket, "set k 0 60 1\r\nx\r\n")
	if reply := say(t, "tcp", r.addr, "get k\r\n"); !strings.Contains(reply, "x") {
		t.Errorf("%q", reply)
	}
}

// In the background the command returns once the server answers; its pid is
// in the file and SIGTERM ends it.
func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	addr, pidFile, log := freeAddress(t), filepath.Join(dir, "pid"), filepath.Join(dir, "data", config.OwnLogName)
	cmd := command("serve", "-d", "-l", addr, "--data-dir", filepath.Join(dir, "data"), "-P", pidFile, "--http-listen", "off")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), log) {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	if err := dial(addr); err != nil {
		t.Errorf("the command came back before the server served: %v", err)
	}
	syscall.Kill(pid, syscall.SIGTERM)
	awaitTrue(t, "the pid file goes with the server", func() bool {
		_, err := os.Stat(pidFile)
		return os.IsNotExist(err)
	})
	logged, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(logged), "cairn starts") || !strings.Contains(string(logged), "everything is on disk") {
		t.Errorf("the log in the data directory: %v\n%s", err, logged)
	}
}

// A server that cannot start says so through the command that was to put it
// into the background.
func TestDaemonThatCannotStart(t *testing.T) {
	taken := start(t, t.TempDir()).addr
	out, err := command("serve", "-d", "-l", taken, "--data-dir", t.TempDir(), "--log-file", "/dev/stderr", "--http-listen", "off").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("%v\n%s", err, out)
	}
}

// As root with -u, the process and its data belong to that user.
func TestBecomeUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir, err := os.MkdirTemp("/tmp", "cairn-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	data := filepath.Join(dir, "data")
	r := start(t, data, "-u", "nobody")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(status), "\nUid:\t65534\t65534\t65534\t65534\n") {
		t.Errorf("not nobody:\n%s", status)
	}
	info, err := os.Stat(data)
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("the data directory belongs to %v, %v", info.Sys(), err)
	}
	if reply := say(t, "tcp", r.addr, "set k 0 0 1\r\nx\r\n"); reply != "STORED\r\n" {
		t.Errorf("reply %q", reply)
	}
}

// Called memcached, the program is one.
func TestCalledMemcached(t *testing.T) {
	link := filepath.Join(t.TempDir(), "memcached")
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"-V", "-h"} { // both begin with the version
		cmd := exec.Command(link, flag)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "cairn "+version) {
			t.Errorf("%s: %v: %s", flag, err, out)
		}
	}
}

func httpGet(t *testing.T, url string) (status int, body string) {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}

func TestHTTPAPI(t *testing.T) {
	admin := freeAddress(t)
	r := start(t, t.TempDir(), "--http-listen", admin)
	for path, want := range map[string]string{
		"/livez":   `"ok"`,
		"/readyz":  `"ready":true`,
		"/":        "<html",
		"/metrics": "cairn_",
	} {
		if status, body := httpGet(t, "http://"+admin+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.300s", path, status, body)
		}
	}
	say(t, "tcp", r.addr, "set a 0 60 1\r\nx\r\n")
	if _, body := httpGet(t, "http://"+admin+"/v1/sessions"); !strings.Contains(body, `"key":"a"`) {
		t.Errorf("a session stored by a memcached client is not listed: %s", body)
	}
	idle, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	awaitTrue(t, "the connection is listed", func() bool {
		_, body := httpGet(t, "http://"+admin+"/v1/connections")
		return strings.Contains(body, idle.LocalAddr().String())
	})
	if _, body := httpGet(t, "http://"+admin+"/v1/config"); !strings.Contains(body, admin) {
		t.Errorf("the configuration as running: %s", body)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	if code := r.ends(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, r.log())
	}
}

// The commands for a shell reach a running server and its files.
func TestShellCommands(t *testing.T) {
	dir, admin := t.TempDir(), freeAddress(t)
	r := start(t, dir, "--http-listen", admin)
	say(t, "tcp", r.addr, "set app:a 0 60 1\r\nx\r\nset app:b 0 60 1\r\ny\r\n")
	shell := func(args string) string {
		t.Helper()
		code, out, stderr := cairn(args, "CAIRN_URL=http://"+admin)
		if code != exitOK {
			t.Errorf("cairn %s: exit code %d, %s", args, code, stderr)
		}
		return out
	}
	if out := shell("ls --prefix app:"); !strings.Contains(out, "app:a") || !strings.Contains(out, "app:b") {
		t.Errorf("ls: %s", out)
	}
	shell("rm app:a")
	if out := shell("ls --prefix app: --output json"); strings.Contains(out, "app:a") || !strings.Contains(out, "app:b") {
		t.Errorf("ls after rm: %s", out)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.ends()
	if code, out, stderr := cairn("check --data-dir " + dir); code != exitOK {
		t.Errorf("check: exit code %d, %s%s", code, out, stderr)
	}
}

// An address that others can reach needs tokens.
func TestHTTPAPIIsNotLeftOpen(t *testing.T) {
	out, err := command("serve", "-l", "127.0.0.1:0", "--data-dir", t.TempDir(), "--http-listen", "0.0.0.0:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "tokens") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A second server on a machine starts as a second memcached would, though the
// first has the HTTP API's default address.
func TestDefaultHTTPAddressMayBeTaken(t *testing.T) {
	if l, err := net.Listen("tcp", config.New().HTTPListen); err == nil {
		defer l.Close()
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int)
	addr := freeAddress(t)
	args := []string{"serve", "-l", addr, "--data-dir", t.TempDir()}
	go func() { code <- run(ctx, args, nil, io.Discard, &log) }()
	awaitTrue(t, "the server answers", func() bool { return dial(addr) == nil })
	cancel()
	if got := <-code; got != exitOK || !strings.Contains(log.String(), "default address is in use") {
		t.Errorf("exit code %d\n%s", got, log.String())
	}
}

// A service manager hears when the server serves, that it is well, and when it
// stops.
func TestServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "200000")
	r := start(t, t.TempDir())
	hear := func() string {
		message := make([]byte, 100)
		manager.SetReadDeadline(time.Now().Add(patience))
		n, err := manager.Read(message)
		if err != nil {
			t.Fatal(err)
		}
		return string(message[:n])
	}
	if got := hear(); got != "READY=1" {
		t.Errorf("first heard %q", got)
	}
	if got := hear(); got != "WATCHDOG=1" {
		t.Errorf("then heard %q", got)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	got := hear()
	for got == "WATCHDOG=1" {
		got = hear()
	}
	if got != "STOPPING=1" {
		t.Errorf("at the end heard %q", got)
	}
	r.ends()
}

// Every command that a person may use shows in its help how.
func TestEveryHelpPageHasAnExample(t *testing.T) {
	p := &program{stdout: io.Discard, stderr: io.Discard}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			if path := below.CommandPath(); path != "cairn bench" && !strings.Contains(below.Example, path) { // bench has its own program's
				t.Errorf("%s has no example", path)
			}
			walk(below)
		}
	}
	walk(p.commands())
	if _, out, _ := cairn("serve --help"); !strings.Contains(out, "Examples:\n  cairn serve\n") {
		t.Errorf("serve shows no example: %.300s", out)
	}
}

// Errors have no names of packages in front, and keep what looks like one elsewhere.
func TestErrorsWithoutPackages(t *testing.T) {
	for text, want := range map[string]string{
		"engine: check /d: data directory is in use":            "check /d: data directory is in use",
		"serve: listen tcp4 127.0.0.1:1: bind: in use":          "listen tcp4 127.0.0.1:1: bind: in use",
		"engine: open /d: pebble: manifest is gone":             "open /d: manifest is gone",
		"cluster certificates: peer: certificate x: no file":    "cluster certificates: certificate x: no file",
		"takeover: engine: one\nserve: two":                     "one\ntwo",
		"listen-engine: is no setting":                          "listen-engine: is no setting",
		"user-file: users.txt: line 3: no colon (serve: 'x:y')": "user-file: users.txt: line 3: no colon (serve: 'x:y')",
	} {
		if got := withoutPackages(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	dir := t.TempDir()
	if code, _, stderr := cairn("check --data-dir " + dir); code != exitFailure || strings.Contains(stderr, "engine:") || !strings.HasPrefix(stderr, "cairn: check "+dir) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// Every command refuses a wrong number of arguments as a mistake of usage, and says how
// it is used.
func TestWrongArguments(t *testing.T) {
	for args, usage := range map[string]string{
		"get":                  "get KEY",
		"cluster remove":       "cluster remove NODE",
		"cluster transfer a b": "cluster transfer [NODE]",
		"undo apply":           "undo apply ID",
		"owners kick":          "owners kick OWNER",
		"context set":          "context set NAME",
		"salvage a":            "salvage FROM TO",
		"show a b":             "show KEY",
		"rules a b":            "rules [KEY]",
		"rules try":            "rules try",
		"ls a":                 "ls",
		"log-level shouting":   "log-level [debug|info|warn|error]",
	} {
		if code, _, stderr := cairn(args); code != exitUsage || !strings.Contains(stderr, "wrong arguments; usage: cairn "+usage) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr)
		}
	}
	for args, want := range map[string]string{
		"cluster statuss":              `unknown command "cairn cluster statuss"; did you mean cairn cluster status?`,
		"undo xyzzy a":                 `unknown command "cairn undo xyzzy"; 'cairn undo --help' lists`,
		"cluster drain 127.0.0.1:7212": `"127.0.0.1:7212" is not the number of a node`,
		"cluster transfer node-2":      `"node-2" is not the number of a node`,
	} {
		if code, _, stderr := cairn(args); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr)
		}
	}
	if code, out, _ := cairn("cluster"); code != exitOK || !strings.Contains(out, "  status ") {
		t.Errorf("exit code %d, %s", code, out)
	}
}
