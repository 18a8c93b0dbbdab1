package takeover_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cairn/takeover"
)

// The toy is a server in a process of its own: this test binary, run again. It
// keeps one number per connection and adds one to it for every line it gets;
// its store is a file under a lock that grows by one byte per line.

const (
	toyVariable = "TAKEOVER_TOY" // its value is the fault to show, or "none"
	toyDialect  = "toy/1"
)

func TestMain(m *testing.M) {
	if fault := os.Getenv(toyVariable); fault != "" {
		if err := runToy(os.Args[1], fault); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type toy struct {
	dir      string
	fault    string
	store    *toyStore
	listener *net.TCPListener

	mu     sync.Mutex
	idle   sync.Cond
	frozen bool
	busy   int // goroutines between enter and leave
	conns  map[*toyConn]struct{}
}

type toyConn struct {
	net.Conn
	count  int
	unread []byte // an incomplete line
}

// say tells the test how far the process has come.
func (y *toy) say(words ...any) { fmt.Println(words...) }

// at shows the fault if it belongs to this step.
func (y *toy) at(step string) error {
	switch y.fault {
	case "die at " + step:
		os.Exit(3)
	case "hang at " + step:
		time.Sleep(time.Hour)
	case "fail once at " + step:
		y.fault = "none"
		fallthrough
	case "fail at " + step:
		return errors.New("the fault that was asked for")
	}
	return nil
}

func runToy(dir, fault string) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	y := &toy{dir: dir, fault: fault, conns: make(map[*toyConn]struct{})}
	y.idle.L = &y.mu
	if err := y.start(); err != nil {
		return err
	}
	giver, err := takeover.NewGiver(takeover.GiverOptions{
		Path:    filepath.Join(dir, takeover.SocketName),
		Dialect: toyDialect,
		Timeouts: takeover.Timeouts{
			Prepare: toyPatience(), Freeze: toyPatience(), Transfer: toyPatience(), Open: toyPatience(), GiveUp: toyPatience(),
		},
	})
	if err != nil {
		return err
	}
	go y.accept()
	y.say("serving", y.listener.Addr())
	given, err := giver.Serve(context.Background(), y)
	y.say("given", given)
	return err
}

// toyPatience is short only where a peer hangs on purpose.
func toyPatience() time.Duration {
	d, err := time.ParseDuration(os.Getenv("TAKEOVER_PATIENCE"))
	if err != nil {
		return time.Minute
	}
	return d
}

func (y *toy) start() error {
	dialect := toyDialect
	if y.fault == "another dialect" {
		dialect = "toy/0"
	}
	t, err := takeover.Dial(context.Background(), takeover.TakerOptions{
		Path:     filepath.Join(y.dir, takeover.SocketName),
		Dialects: []string{dialect},
		Version:  "1",
	})
	if errors.Is(err, takeover.ErrNobody) {
		return y.startAlone()
	}
	if err != nil {
		return err
	}
	defer t.Close()
	if err := y.takeOver(t); err != nil {
		t.Fail(err)
		return err
	}
	y.say("paused", t.Paused().Milliseconds(), "ms")
	return nil
}

func (y *toy) startAlone() (err error) {
	if y.store, err = openToyStore(y.dir); err != nil {
		return err
	}
	y.listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	return err
}

func (y *toy) takeOver(t *takeover.Taker) error {
	if err := y.at("dialed"); err != nil {
		return err
	}
	listeners := t.Listeners()
	if len(listeners) != 1 || listeners[0].Name != "toy" {
		return fmt.Errorf("listeners %v", listeners)
	}
	l, err := net.FileListener(os.NewFile(uintptr(listeners[0].FD), "toy"))
	if err != nil {
		return err
	}
	y.listener = l.(*net.TCPListener)
	conns, err := t.Receive()
	if err != nil {
		return err
	}
	if err := y.at("received"); err != nil {
		return err
	}
	if y.store, err = openToyStore(y.dir); err != nil {
		return err
	}
	if err := y.at("opened"); err != nil {
		y.store.close()
		return err
	}
	if err := t.Opened(); err != nil {
		return err
	}
	y.say("died", t.Died())
	return y.resume(conns)
}

func (y *toy) resume(conns []takeover.Conn) error {
	for _, c := range conns {
		f := os.NewFile(uintptr(c.FD), "conn")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return err
		}
		count, unread, _ := strings.Cut(string(c.State), "|")
		tc := &toyConn{Conn: conn, unread: []byte(unread)}
		if tc.count, err = strconv.Atoi(count); err != nil {
			return err
		}
		y.serve(tc)
	}
	return nil
}

func (y *toy) accept() {
	for {
		y.enter()
		conn, err := y.listener.Accept()
		if err == nil {
			y.serve(&toyConn{Conn: conn})
		}
		y.leave()
	}
}

// enter waits while the server is frozen and keeps it from freezing.
func (y *toy) enter() {
	y.mu.Lock()
	defer y.mu.Unlock()
	for y.frozen {
		y.idle.Wait()
	}
	y.busy++
}

func (y *toy) leave() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.busy--
	y.idle.Broadcast()
}

func (y *toy) serve(c *toyConn) {
	y.mu.Lock()
	y.conns[c] = struct{}{}
	y.mu.Unlock()
	go func() {
		for y.burst(c) {
		}
	}()
}

// burst answers what has arrived. It reports whether the connection lives on;
// while the server is frozen it waits.
func (y *toy) burst(c *toyConn) bool {
	y.enter()
	defer y.leave()
	c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	buffer := make([]byte, 4096)
	n, err := c.Read(buffer)
	c.unread = append(c.unread, buffer[:n]...)
	for {
		i := strings.IndexByte(string(c.unread), '\n')
		if i < 0 {
			break
		}
		c.unread = c.unread[i+1:]
		c.count++
		y.store.add()
		fmt.Fprintln(c, c.count)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	y.mu.Lock()
	delete(y.conns, c)
	y.mu.Unlock()
	c.Close()
	return false
}

func (y *toy) Listeners() []takeover.Listener {
	return []takeover.Listener{{Name: "toy", FD: fdOf(y.listener)}}
}

func (y *toy) Prepare(context.Context) error { return y.at("prepare") }

func (y *toy) Freeze(context.Context) ([]takeover.Conn, error) {
	y.listener.SetDeadline(time.Unix(1, 0))
	y.mu.Lock()
	y.frozen = true
	for y.busy > 0 {
		y.idle.Wait()
	}
	y.mu.Unlock()
	if err := y.at("freeze"); err != nil {
		y.Thaw()
		return nil, err
	}
	var conns []takeover.Conn
	for c := range y.conns {
		state := fmt.Appendf(nil, "%d|%s", c.count, c.unread)
		conns = append(conns, takeover.Conn{FD: fdOf(c.Conn.(*net.TCPConn)), State: state})
	}
	return conns, nil
}

func (y *toy) Thaw() {
	y.listener.SetDeadline(time.Time{})
	y.mu.Lock()
	y.frozen = false
	y.idle.Broadcast()
	y.mu.Unlock()
	y.say("thawed")
}

func (y *toy) CloseStore() error {
	if err := y.at("close"); err != nil {
		return err
	}
	y.store.close()
	return y.at("closed")
}

func (y *toy) ReopenStore() (err error) {
	y.store.close()
	y.store, err = openToyStore(y.dir)
	return err
}

func (y *toy) Release(int) { y.at("release") }

// fdOf returns the descriptor of a socket without changing its mode.
func fdOf(c syscall.Conn) int {
	fd := -1
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

type toyStore struct {
	mu   sync.Mutex
	file *os.File
	lock *os.File
}

func openToyStore(dir string) (*toyStore, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("store is locked: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lines"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &toyStore{file: file, lock: lock}, err
}

func (s *toyStore) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.WriteString("."); err != nil {
		fmt.Println("store:", err)
		os.Exit(4)
	}
}

func (s *toyStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file.Close()
	s.lock.Close()
}
