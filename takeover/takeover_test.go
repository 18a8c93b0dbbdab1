package takeover_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// process is a running toy.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	ended chan struct{}
}

// start runs a toy in dir that shows a fault ("none": it does not), with more in
// its environment.
func start(t *testing.T, dir, fault string, environment ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(append(os.Environ(), toyVariable+"="+fault), environment...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := new(strings.Builder)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, lines: make(chan string, 100), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("toy %q:\n%s", fault, stderr)
		}
	})
	return p
}

// await reads what the toy says up to a line with that prefix and returns the
// rest of the line.
func (p *process) await(prefix string) string {
	p.t.Helper()
	var heard []string
	timeout := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("toy ended before it said %q; it said %q", prefix, heard)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest)
			}
			heard = append(heard, line)
		case <-timeout:
			p.t.Fatalf("toy never said %q; it said %q", prefix, heard)
		}
	}
}

// says reports whether the toy says a line with that prefix before it ends.
func (p *process) says(prefix string) bool {
	p.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok || strings.HasPrefix(line, prefix) {
				return ok
			}
		case <-timeout:
			p.t.Fatalf("toy never said %q", prefix)
		}
	}
}

func (p *process) awaitEnd() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Fatal("toy does not end")
	}
}

// load is a number of clients that count along with the server.
type load struct {
	t       *testing.T
	clients sync.WaitGroup
	stop    chan struct{}
	acked   atomic.Int64
	errors  chan error
}

func startLoad(t *testing.T, addr string, clients int) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{}), errors: make(chan error, clients)}
	for range clients {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		l.clients.Go(func() {
			if err := l.run(conn); err != nil {
				l.errors <- err
			}
		})
	}
	return l
}

// run sends lines, every other one in two pieces with an answer of the line
// before between them, so that a hand-over meets incomplete requests.
func (l *load) run(conn net.Conn) error {
	answers := bufio.NewScanner(conn)
	fmt.Fprint(conn, "first line\nsec")
	for n := 1; ; n++ {
		if !answers.Scan() {
			return fmt.Errorf("connection ended after %d answers: %w", n-1, answers.Err())
		}
		if got, want := answers.Text(), fmt.Sprint(n); got != want {
			return fmt.Errorf("answer %q, want %q", got, want)
		}
		l.acked.Add(1)
		select {
		case <-l.stop:
			return nil
		case <-time.After(time.Millisecond):
		}
		if _, err := fmt.Fprint(conn, "ond line\nsec"); err != nil {
			return err
		}
	}
}

// finish stops the clients and fails the test for each that met an error.
func (l *load) finish() {
	l.t.Helper()
	close(l.stop)
	l.clients.Wait()
	close(l.errors)
	for err := range l.errors {
		l.t.Error(err)
	}
}

// checkStore compares the store in dir with what the clients were told.
func (l *load) checkStore(dir string) {
	l.t.Helper()
	stored, err := os.Stat(filepath.Join(dir, "lines"))
	if err != nil {
		l.t.Fatal(err)
	}
	if stored.Size() != l.acked.Load() {
		l.t.Errorf("%d lines are stored, %d were acknowledged", stored.Size(), l.acked.Load())
	}
}

// progress waits until the clients have got n more answers.
func (l *load) progress(n int64) {
	l.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for want := l.acked.Load() + n; l.acked.Load() < want; {
		if time.Now().After(deadline) {
			l.t.Fatalf("the clients are stuck at %d answers", l.acked.Load())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTenTakeoversUnderLoad(t *testing.T) {
	const clients = 300 // more than fit into one message
	dir := t.TempDir()
	server := start(t, dir, "none")
	addr := server.await("serving")
	l := startLoad(t, addr, clients)
	for range 10 {
		l.progress(2 * clients)
		next := start(t, dir, "none")
		if next.await("died") != "false" {
			t.Error("the taker thinks that the giver died")
		}
		t.Log("clients waited", next.await("paused"))
		if got := next.await("serving"); got != addr {
			t.Errorf("the new server listens on %s, the old one did on %s", got, addr)
		}
		if server.await("given") != "true" {
			t.Error("the giver did not notice")
		}
		server = next
	}
	l.progress(2 * clients)
	l.finish()
	l.checkStore(dir)
}

// TestFailedTaker lets the new process fail at every step: the old one carries
// on and its clients notice nothing, and the next attempt succeeds.
func TestFailedTaker(t *testing.T) {
	for _, fault := range []string{
		"another dialect",
		"die at dialed", "fail at dialed", "hang at dialed",
		"die at received", "fail at received", "hang at received",
		"die at opened", "fail at opened", "hang at opened",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			testFailure(t, "none", fault)
		})
	}
}

// TestFailedGiver lets the old process fail at every step before the point of
// no return without dying.
func TestFailedGiver(t *testing.T) {
	for _, fault := range []string{"prepare", "freeze", "close"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			testFailure(t, "fail once at "+fault, "none")
		})
	}
}

func testFailure(t *testing.T, giverFault, takerFault string) {
	const clients = 5
	dir := t.TempDir()
	var patience []string
	hangs := strings.HasPrefix(takerFault, "hang ")
	if hangs {
		patience = []string{"TAKEOVER_PATIENCE=300ms"}
	}
	server := start(t, dir, giverFault, patience...)
	l := startLoad(t, server.await("serving"), clients)
	l.progress(2 * clients)
	failed := start(t, dir, takerFault)
	failed.awaitEnd()
	if failed.cmd.ProcessState.Success() {
		t.Error("the taker's process succeeded")
	}
	l.progress(2 * clients)
	next := start(t, dir, "none")
	for !next.says("serving") {
		if !hangs {
			t.Fatal("the next taker failed too")
		}
		next = start(t, dir, "none") // that one was too slow for so short a patience
	}
	if server.await("given") != "true" {
		t.Error("the giver did not notice")
	}
	l.progress(2 * clients)
	l.finish()
	l.checkStore(dir)
}

// TestGiverDies kills the old process at every step. The new one serves; the
// connections that it had received go on.
func TestGiverDies(t *testing.T) {
	for _, test := range []struct {
		step string
		live bool // connections survive
	}{
		{"prepare", false},
		{"freeze", false},
		{"close", true},
		{"closed", true},
		{"release", true},
	} {
		t.Run(test.step, func(t *testing.T) {
			t.Parallel()
			testGiverDies(t, test.step, test.live)
		})
	}
}

func testGiverDies(t *testing.T, step string, live bool) {
	const clients = 5
	dir := t.TempDir()
	server := start(t, dir, "die at "+step)
	l := startLoad(t, server.await("serving"), clients)
	l.progress(2 * clients)
	next := start(t, dir, "none")
	if next.await("died") != "true" {
		t.Error("the taker did not notice the giver's death")
	}
	addr := next.await("serving")
	server.awaitEnd()
	if live {
		l.progress(2 * clients)
		l.finish()
		l.checkStore(dir)
	}
	later := startLoad(t, addr, clients)
	later.progress(2 * clients)
	later.finish()
}
