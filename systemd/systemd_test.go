package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childVariable makes this test binary, run again, a service that was given
// sockets: it prints their names and addresses.
const childVariable = "SYSTEMD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		// The manager sets this between fork and exec, a Go parent cannot.
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
		printListeners()
		printListeners()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func printListeners() {
	byName, err := Listeners()
	fmt.Println("error:", err)
	for _, name := range []string{"memcached", "http"} {
		for _, l := range byName[name] {
			fmt.Println(name, l.Addr())
			l.Close()
		}
	}
}

// manager stands for systemd's end of the notification socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv(notifySocket, path)
	t.Setenv(watchdogUsec, "")
	t.Setenv(watchdogPID, "")
	return conn
}

func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buffer := make([]byte, 1000)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestNotify(t *testing.T) {
	conn := manager(t)
	if err := Notify(MainPID(42), Ready, Status("two\nlines")); err != nil {
		t.Fatal(err)
	}
	if got, want := hear(t, conn), "MAINPID=42\nREADY=1\nSTATUS=two lines"; got != want {
		t.Errorf("the manager heard %q, want %q", got, want)
	}
}

func TestWithoutManager(t *testing.T) {
	t.Setenv(notifySocket, "")
	t.Setenv(watchdogUsec, "")
	if err := Notify(Ready); err != nil {
		t.Error(err)
	}
	KeepAlive(t.Context(), func(context.Context) error { t.Error("checked without a watchdog"); return nil }, nil)
	if m, err := Current(); m != (Manager{}) || err != nil {
		t.Errorf("Current() = %v, %v", m, err)
	}
}

// TestWatchdog pings after checks that pass and keeps silent after one that
// fails.
func TestWatchdog(t *testing.T) {
	conn := manager(t)
	ctx, cancel := context.WithCancel(t.Context())
	ticks := make(chan time.Time)
	checks := make(chan error)
	failures := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Hour)
		ticker.C = ticks
		keepAlive(ctx, ticker, func(context.Context) error { return <-checks }, func(err error) { failures <- err })
	}()
	checks <- nil
	if got := hear(t, conn); got != "WATCHDOG=1" {
		t.Errorf("the manager heard %q", got)
	}
	ticks <- time.Time{}
	checks <- errors.New("stuck")
	if err := <-failures; err.Error() != "stuck" {
		t.Errorf("failure %v", err)
	}
	ticks <- time.Time{}
	checks <- nil
	if got := hear(t, conn); got != "WATCHDOG=1" {
		t.Errorf("the manager heard %q", got)
	}
	cancel()
	<-done
	conn.SetReadDeadline(time.Unix(1, 0))
	if n, _ := conn.Read(make([]byte, 1)); n != 0 {
		t.Error("the manager heard a ping too many")
	}
}

func TestAdopt(t *testing.T) {
	conn := manager(t)
	socket := os.Getenv(notifySocket)
	os.Setenv(notifySocket, "")
	os.Setenv(watchdogPID, "1")
	m := Manager{NotifySocket: socket, Watchdog: 30 * time.Second}
	if err := Adopt(m); err != nil {
		t.Fatal(err)
	}
	if got, err := Current(); got != m || err != nil {
		t.Errorf("Current() = %v, %v; want %v", got, err, m)
	}
	Notify(Ready)
	if got := hear(t, conn); got != Ready {
		t.Errorf("the manager heard %q", got)
	}
	if err := Adopt(Manager{NotifySocket: socket}); err != nil {
		t.Fatal(err)
	}
	if got, err := Current(); got.Watchdog != 0 || err != nil {
		t.Errorf("Current() = %v, %v; want no watchdog", got, err)
	}
}

func TestListeners(t *testing.T) {
	memcached, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "http")
	http, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	out := activate(t, "memcached:http", fileOf(t, memcached), fileOf(t, http))
	want := fmt.Sprintf("error: <nil>\nmemcached %s\nhttp %s\nerror: <nil>\n", memcached.Addr(), path)
	if out != want {
		t.Errorf("the service printed\n%s\nwant\n%s", out, want)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the manager's socket is gone:", err)
	}
}

func TestNoListener(t *testing.T) {
	out := activate(t, "memcached", os.Stdin)
	if !strings.Contains(out, `socket "memcached" from the service manager`) {
		t.Errorf("the service printed\n%s", out)
	}
}

func fileOf(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); f.Close() })
	return f
}

func activate(t *testing.T, names string, files ...*os.File) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.ExtraFiles = files
	cmd.Env = append(os.Environ(), childVariable+"=1",
		"LISTEN_FDNAMES="+names, fmt.Sprint("LISTEN_FDS=", len(files)))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
