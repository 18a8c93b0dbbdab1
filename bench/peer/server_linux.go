package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cairn/bench/dialect"
	"cairn/bench/load"
)

// How long a server may take to answer after its start (a large append-only
// file is read first) and to end after it was told to.
const (
	startLimit = 10 * time.Minute
	stopLimit  = time.Minute
)

// A question may stay open for answerLimit, and silentLimit of them while a
// server starts.
const (
	answerLimit = 10 * time.Second
	silentLimit = 3
)

// Server is a running server. It is not safe for concurrent use.
type Server struct {
	Spec    Spec
	Address string // TCP, host:port
	Command []string

	options Options
	process *os.Process
	exited  chan struct{}    // closed once the process has ended
	state   *os.ProcessState // valid then
}

// Start runs s and waits until it answers. The caller stops it.
func (s Spec) Start(ctx context.Context, o Options) (*Server, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	server := &Server{Spec: s, options: o}
	const attempts = 3 // somebody else may take the free port in between
	var err error
	for range attempts {
		if err = server.launch(); err != nil {
			return nil, err
		}
		if err = server.awaitReady(ctx); err == nil {
			return server, nil
		}
		server.Kill()
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("peer: %s does not answer: %w\n%s", s.Name, err, server.logTail())
}

// Restart runs a stopped or killed server again on its data and reports how
// long it took until it answered.
func (s *Server) Restart(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	if err := s.launch(); err != nil {
		return 0, err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return 0, fmt.Errorf("peer: %s does not answer after a restart: %w\n%s", s.Spec.Name, err, s.logTail())
	}
	return time.Since(start), nil
}

// launch starts the process on a fresh port.
func (s *Server) launch() error {
	b, err := s.Spec.base()
	if err != nil {
		return err
	}
	path, err := s.Spec.Find()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	args, err := b.command(&s.options, port)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, append(args, s.Spec.Args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.options.Dir
	cmd.Env = ownEnvironment()
	s.Address, s.Command = net.JoinHostPort("127.0.0.1", port), cmd.Args
	if err := startOn(cmd, s.options.CPUs); err != nil {
		return fmt.Errorf("peer: %s: %w", s.Spec.Name, err)
	}
	s.watch(cmd.Process)
	return nil
}

// watch makes a child of this process the server's.
func (s *Server) watch(process *os.Process) {
	exited := make(chan struct{})
	s.process, s.exited = process, exited
	go func() {
		state, _ := process.Wait() // only fails for what is no child
		s.state = state
		close(exited)
	}()
}

// Succeed makes a Cairn hand itself over to a new process of its own program,
// and waits until that serves and the old one has ended. It returns for how long
// nobody served, as the new process logs it: in whole milliseconds.
func (s *Server) Succeed(ctx context.Context) (paused time.Duration, err error) {
	old, before := s.process.Pid, len(s.log())
	if err := s.process.Signal(syscall.SIGUSR2); err != nil {
		return 0, err
	}
	next := 0
	err = s.until(ctx, func() bool {
		text, _ := os.ReadFile(filepath.Join(s.options.Dir, pidFile))
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		next = pid
		return err == nil && pid != old
	})
	if err != nil {
		return 0, err
	}
	if err := s.follow(next); err != nil {
		return 0, err
	}
	var logged [][]byte
	err = s.until(ctx, func() bool {
		text := s.log()
		logged = tookOver.FindSubmatch(text[min(before, len(text)):])
		return logged != nil
	})
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(string(logged[1]))
}

// tookOver is what a process logs that has taken over.
var tookOver = regexp.MustCompile(`msg="took the server over".* paused=(\S+)\n`)

// until waits for a step of a takeover, stopLimit at most.
func (s *Server) until(ctx context.Context, done func() bool) error {
	for deadline := time.Now().Add(stopLimit); !done(); time.Sleep(time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("peer: %s has no successor that says it took over\n%s", s.Spec.Name, s.logTail()), ctx.Err())
		}
	}
	return nil
}

// follow goes on with the process that has taken over. It is a child of this
// one, too.
func (s *Server) follow(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	<-s.exited
	s.watch(process)
	return nil
}

// startOn starts cmd so that all its threads run on cpus only: a child inherits
// the cores of the thread that starts it. The child dies with this process.
func startOn(cmd *exec.Cmd, cpus []int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, wanted unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for _, cpu := range cpus {
		wanted.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return fmt.Errorf("pin to cores %v: %w", cpus, err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return cmd.Start()
}

// ownEnvironment leaves out what configures a Cairn.
func ownEnvironment() []string {
	var kept []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "CAIRN_") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// awaitReady asks the server until it answers as one that serves. It may refuse
// connections or answers for long, but not leave questions open.
func (s *Server) awaitReady(ctx context.Context) error {
	deadline := time.Now().Add(startLimit)
	for silent := 0; ; {
		err := s.ping()
		if err == nil {
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			silent++
		}
		select {
		case <-s.exited:
			return fmt.Errorf("it ended: %v", s.state)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
		if silent == silentLimit || time.Now().After(deadline) {
			return err
		}
	}
}

func (s *Server) ping() error {
	if s.Spec.SpeaksMemcached() {
		text := dialect.Text{}
		return ask(s.Address, text, text.AppendVersion(nil), func(dialect.Reply) {})
	}
	var client dialect.Redis
	return ask(s.Address, &client, client.AppendPing(nil), func(dialect.Reply) {})
}

// Statistics asks a server that speaks memcached's protocol for its general
// statistics.
func (s *Server) Statistics() (map[string]string, error) {
	statistics := map[string]string{}
	text := dialect.Text{}
	err := ask(s.Address, text, text.AppendStats(nil, ""), func(r dialect.Reply) {
		if r.Status == dialect.Value {
			statistics[string(r.Key)] = string(r.Value)
		}
	})
	return statistics, err
}

// ask sends one request on a connection of its own and hands out the replies.
func ask(address string, d load.Dialect, request []byte, each func(dialect.Reply)) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var buf []byte
	chunk := make([]byte, 16<<10)
	for {
		reply, n, err := d.Next(buf)
		switch {
		case err != nil:
			return err
		case n > 0 && reply.Status == dialect.Failed:
			return errors.New(string(reply.Value))
		case n > 0:
			each(reply)
			if buf = buf[n:]; reply.Last {
				return nil
			}
		default:
			n, err := conn.Read(chunk)
			if err != nil {
				return err
			}
			buf = append(buf, chunk[:n]...)
		}
	}
}

// ErrHung is why Stop killed a server.
var ErrHung = fmt.Errorf("did not end within %v", stopLimit)

// Stop asks the server to end and waits for it, and says how long that took.
// One that hangs is killed, and the error wraps ErrHung. Its Final usage can be
// read then.
func (s *Server) Stop() (time.Duration, error) {
	start := time.Now()
	_ = s.process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-s.exited:
		return time.Since(start), nil
	case <-time.After(stopLimit):
		s.Kill()
		return 0, fmt.Errorf("peer: %s: %w of SIGTERM", s.Spec.Name, ErrHung)
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	_ = s.process.Kill() // an error means that it has ended
	<-s.exited
}

// Remove deletes the server's directory. The server must not run.
func (s *Server) Remove() error { return os.RemoveAll(s.options.Dir) }

func (s *Server) logPath() string { return filepath.Join(s.options.Dir, "server.log") }

// log returns what the server and those before it printed.
func (s *Server) log() []byte {
	text, _ := os.ReadFile(s.logPath()) // an error means that it has printed nothing
	return text
}

// logTail returns the end of what the server printed.
func (s *Server) logTail() string {
	const tail = 2000
	out := s.log()
	return string(out[max(0, len(out)-tail):])
}
