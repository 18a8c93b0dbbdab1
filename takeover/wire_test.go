package takeover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// holder is a server that only holds sockets.
type holder struct {
	conns    []Conn
	released chan int
}

func (h *holder) Listeners() []Listener                  { return nil }
func (h *holder) Prepare(context.Context) error          { return nil }
func (h *holder) Freeze(context.Context) ([]Conn, error) { return h.conns, nil }
func (h *holder) Thaw()                                  {}
func (h *holder) CloseStore() error                      { return nil }
func (h *holder) ReopenStore() error                     { return nil }
func (h *holder) Release(pid int)                        { h.released <- pid }

// giveAway serves h on a socket whose path is longer than an address may be.
func giveAway(t *testing.T, h *holder) (path string, done chan error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, SocketName)
	h.released = make(chan int, 1)
	g, err := NewGiver(GiverOptions{Path: path, Dialect: "d", Logger: slog.New(slog.DiscardHandler),
		Manager: Manager{Watchdog: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() {
		given, err := g.Serve(context.Background(), h)
		if err == nil && !given {
			err = errors.New("not given away")
		}
		done <- err
	}()
	t.Cleanup(g.Close)
	return path, done
}

// TestStatesOfAllSizes hands over more connections than one message holds,
// with states from empty to several megabytes, and finds each with its own.
func TestStatesOfAllSizes(t *testing.T) {
	const conns = 2*maxRights + 10
	h := new(holder)
	var ours []*os.File
	for i := range conns {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		state := bytes.Repeat([]byte{byte(i)}, rand.IntN(2000))
		if i%100 == 50 {
			state = bytes.Repeat([]byte{byte(i)}, 3<<20)
		}
		h.conns = append(h.conns, Conn{FD: pair[0], State: state})
		f := os.NewFile(uintptr(pair[1]), "ours")
		defer f.Close()
		ours = append(ours, f)
	}
	path, done := giveAway(t, h)
	taker, err := Dial(t.Context(), TakerOptions{Path: path, Dialects: []string{"c", "d"}})
	if err != nil {
		t.Fatal(err)
	}
	defer taker.Close()
	if got := taker.Manager().Watchdog; got != time.Minute {
		t.Errorf("watchdog %v, want 1m", got)
	}
	received, err := taker.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if err := taker.Opened(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if pid := <-h.released; pid != os.Getpid() {
		t.Errorf("released to process %d, want %d", pid, os.Getpid())
	}
	if len(received) != conns {
		t.Fatalf("%d connections arrived, want %d", len(received), conns)
	}
	for i, c := range received {
		if !bytes.Equal(c.State, h.conns[i].State) {
			t.Errorf("connection %d arrived with a state of %d bytes, want %d", i, len(c.State), len(h.conns[i].State))
		}
		f := os.NewFile(uintptr(c.FD), "theirs")
		fmt.Fprintf(f, "%04d", i)
		f.Close()
		unix.Close(h.conns[i].FD)
		got := make([]byte, 4)
		if _, err := ours[i].Read(got); err != nil || string(got) != fmt.Sprintf("%04d", i) {
			t.Errorf("connection %d says %q, %v", i, got, err)
		}
	}
}

// TestStrangers talks nonsense to a giver, which still can be taken over.
func TestStrangers(t *testing.T) {
	h := new(holder)
	path, done := giveAway(t, h)
	ctx := t.Context()
	for _, nonsense := range []string{
		"", "G", "GET / HTTP/1.1\r\n\r\n",
		"\x01\x00\x00\xff\xff\xff\xff", // a hello of 4 GB
		"\x01\x00\x01\x00\x00\x00\x00", // a descriptor that is not there
		"\x01\x00\x00\x00\x00\x00\x02{}",
		"\x01\x00\x00\x00\x00\x00\x01{",
		"\x63\x00\x00\x00\x00\x00\x00",
	} {
		conn, err := dial(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, nonsense)
		conn.Close() // the giver must not be waiting for more
	}
	taker, err := Dial(ctx, TakerOptions{Path: path, Dialects: []string{"d"}})
	if err != nil {
		t.Fatal(err)
	}
	defer taker.Close()
	if _, err := taker.Receive(); err != nil {
		t.Fatal(err)
	}
	if err := taker.Opened(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	if _, err := Dial(t.Context(), TakerOptions{Path: path}); !errors.Is(err, ErrNobody) {
		t.Errorf("without a socket: %v, want ErrNobody", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := Dial(t.Context(), TakerOptions{Path: path}); !errors.Is(err, ErrNobody) {
		t.Errorf("with a socket left behind: %v, want ErrNobody", err)
	}
}

// TestSocketMode checks that the socket is closed to everybody else.
func TestSocketMode(t *testing.T) {
	path, _ := giveAway(t, new(holder))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

func FuzzSplitStates(f *testing.F) {
	f.Add(appendState(appendState(nil, []byte("one")), nil), 2)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		if n < 0 || n > maxRights {
			return
		}
		conns, err := splitStates(message{body: body, fds: make([]int, n)})
		if err != nil {
			return
		}
		var again []byte
		for _, c := range conns {
			again = appendState(again, c.State)
		}
		if !bytes.HasPrefix(body, again) {
			t.Errorf("states %v are not those of %q", conns, body)
		}
	})
}
