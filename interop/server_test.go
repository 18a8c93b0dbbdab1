package interop

import (
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that is certain to come. It is no
// claim about speed.
const patience = 60 * time.Second

// server is a running Cairn with a data directory that outlives it.
type server struct {
	t       *testing.T
	addr    string // host:port, the same after a restart
	dataDir string
	flags   []string
	process *process
}

// startServer starts a Cairn on a free port. It is stopped, and must stop
// cleanly, when the test ends.
func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	s := &server{t: t, addr: freeAddress(t), dataDir: filepath.Join(t.TempDir(), "data"), flags: flags}
	s.start()
	t.Cleanup(func() {
		if s.process.running() {
			s.stop()
		}
	})
	return s
}

func (s *server) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.addr)
	if *peer != "" {
		s.process = startProcess(s.t, nil, *peer, append([]string{"-u", "root", "-p", port}, s.flags...)...)
	} else {
		args := append([]string{"serve", "-p", port, "--data-dir", s.dataDir, "--http-listen", "off"}, s.flags...)
		s.process = startProcess(s.t, nil, binary, args...)
	}
	s.process.awaitPort(s.addr)
}

// kill9 ends the server as a power cut would, as far as the process goes.
func (s *server) kill9() {
	s.t.Helper()
	s.process.signal(syscall.SIGKILL)
	s.process.wait()
}

// restart kills the server with -9 and starts it again on the same port and
// the same data.
func (s *server) restart() {
	s.t.Helper()
	if *peer != "" {
		return
	}
	s.kill9()
	s.start()
}

// stop asks for a clean stop and waits for it.
func (s *server) stop() {
	s.t.Helper()
	s.process.signal(syscall.SIGTERM)
	if state := s.process.wait(); !state.Success() {
		s.t.Errorf("after SIGTERM the server ended with %v", state)
	}
}

// text sends classic text commands and gives back everything the server says
// until it has answered them all.
func (s *server) text(commands string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, commands+"quit\r\n"); err != nil {
		s.t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(reply)
}
