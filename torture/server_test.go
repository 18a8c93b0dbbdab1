package torture

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/freeport"
)

// A server is one data directory and the process that serves it, one after the
// other.
type server struct {
	t     testing.TB
	dir   string
	sock  string
	flags []string
	env   []string

	compression string // of values; default: auto

	wholeMemory bool // it takes the memory that it finds, as it does by default

	program string   // to run instead of the one that was built
	enter   []string // a command that runs another one somewhere else, in the same process
	proxy   bool     // it has no data directory, nor what goes with one

	credential *syscall.Credential // whom the process runs as; nil: the test's user

	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when cmd has ended
	err  error         // how it ended, once done is closed
}

// newServer prepares a server with an empty data directory. It is not started.
func newServer(t testing.TB, flags ...string) *server {
	t.Helper()
	base, err := os.MkdirTemp("", "cairn-torture")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: filepath.Join(base, "data"), sock: filepath.Join(base, "sock"), flags: flags}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() && s.log != nil {
			t.Logf("the end of the server's log:\n%s", s.log)
		}
		os.RemoveAll(base)
	})
	return s
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// launch starts the process without waiting for it to serve.
func (s *server) launch() {
	s.t.Helper()
	args := append(slices.Clone(s.enter), cmp.Or(s.program, cairn(s.t)), "serve", "--data-dir", s.dir, "--unix-socket", s.sock,
		"--http-listen", "off", "--conn-limit", "15000")
	if !s.proxy {
		args = append(args, "--disk-reserve", "1m", "--compression", cmp.Or(s.compression, "auto"))
	}
	if !s.wholeMemory && !s.proxy {
		args = append(args, "--memory", "16")
	}
	args = append(args, s.flags...)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.log = new(tail)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.credential}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		s.err = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
}

// start launches the process and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	if err := s.awaitReady(30 * time.Second); err != nil {
		s.t.Fatalf("start: %v\n%s", err, s.log)
	}
}

func (s *server) awaitReady(most time.Duration) error {
	deadline := time.Now().Add(most)
	for time.Now().Before(deadline) {
		select {
		case <-s.done:
			return fmt.Errorf("the process ended: %v", s.err)
		default:
		}
		if s.answers() {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("no answer within %v", most)
}

func (s *server) answers() bool {
	c, err := net.Dial("unix", s.sock)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("version\r\n")); err != nil {
		return false
	}
	var reply [8]byte
	n, err := c.Read(reply[:])
	return err == nil && bytes.HasPrefix(reply[:n], []byte("VERSION"))
}

// mustConnect opens a connection that the test closes at its end.
func (s *server) mustConnect(d dialect) *client {
	s.t.Helper()
	c, err := connect(s.sock, d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.close)
	return c
}

// kill ends the process the hard way and waits until it is gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
}

// stop asks the process to end and waits for it. It fails the test unless the
// process ends with status 0 within most.
func (s *server) stop(most time.Duration) {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		if s.err != nil {
			s.t.Errorf("stop: %v\n%s", s.err, s.log)
		}
		s.cmd = nil
	case <-time.After(most):
		s.cmd.Process.Signal(syscall.SIGQUIT) // shows where it hangs
		<-s.done
		s.t.Errorf("no end within %v of SIGTERM\n%s", most, s.log)
		s.cmd = nil
	}
}

// signal sends a signal to the process.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// tail keeps the end of what is written to it, and counts the rest. It is safe
// for concurrent use.
type tail struct {
	mu      sync.Mutex
	bytes   []byte
	written int64
	lines   int64
}

const tailBytes = 64 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written += int64(len(p))
	l.lines += int64(bytes.Count(p, []byte("\n")))
	l.bytes = append(l.bytes, p...)
	if over := len(l.bytes) - tailBytes; over > 0 {
		l.bytes = append(l.bytes[:0], l.bytes[over:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.bytes)
}

func (l *tail) count() (lines, written int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines, l.written
}
