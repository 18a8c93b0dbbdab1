package torture

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"cairn/session"
)

// neighbour is a well-behaved client that must not notice what others do: its
// item stays as it is, and it gets answers.
type neighbour struct {
	t *testing.T
	c *client
}

func newNeighbour(t *testing.T, s *server) *neighbour {
	t.Helper()
	n := &neighbour{t: t, c: s.mustConnect(text{})}
	n.c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("neighbour"), Value: []byte("untouched"), Expiry: session.Never})
	return n
}

func (n *neighbour) check() {
	n.t.Helper()
	a := n.c.mustDo(n.t, session.OK, session.Command{Op: session.OpGet, Key: []byte("neighbour")})
	if string(a.value) != "untouched" {
		n.t.Errorf("the neighbour's item is %q", a.value)
	}
}

// memory gives a figure of the process in bytes, by its name in /proc: VmRSS
// now, VmHWM at its highest.
func (s *server) memory(name string) int64 {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return kb << 10
		}
	}
	s.t.Fatalf("no %s", name)
	return 0
}

// TestManyConnections opens thousands of connections, lets each speak, and
// opens and closes more in a loop.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	n := rounds(1500, 10_000)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	need(t, limit.Cur > uint64(n)+500, "a limit on open files above the number of connections")
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	before := s.memory("VmRSS")
	clients := make([]*client, n)
	for i := range clients {
		var err error
		if clients[i], err = connect(s.sock, dialects[i%len(dialects)]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer clients[i].close()
	}
	for round := range 2 {
		for i, c := range clients {
			key := fmt.Appendf(nil, "conn%d", i)
			if round == 0 {
				c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: key, Value: key, Expiry: session.Never})
			} else if a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: key}); !bytes.Equal(a.value, key) {
				t.Errorf("connection %d got %q", i, a.value)
			}
		}
	}
	neighbour.check()
	perConnection := (s.memory("VmRSS") - before) / int64(n)
	for range n { // open and close
		c, err := dialPatiently("unix", s.sock)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	neighbour.check()
	figures(t, "%d connections at a time, %d bytes of memory each", n, perConnection)
}

// TestSlowWriters sends requests one byte at a time, on many connections.
func TestSlowWriters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	const clients = 60
	var wg sync.WaitGroup
	for i := range clients {
		c := s.mustConnect(text{})
		wg.Go(func() {
			for _, b := range fmt.Appendf(nil, "set slow%d 0 0 5\r\nhello\r\nget slow%d\r\n", i, i) {
				if _, err := c.conn.Write([]byte{b}); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(span(2*time.Millisecond, time.Second)) // so that each byte travels alone
			}
			want := fmt.Sprintf("STORED\r\nVALUE slow%d 0 5\r\nhello\r\nEND\r\n", i)
			got := make([]byte, len(want))
			c.conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
				t.Errorf("slow client %d: %q, %v", i, got, err)
			}
		})
	}
	for range 50 {
		neighbour.check()
	}
	wg.Wait()
}

// TestNeverReading asks for far more than the sockets hold and never reads it.
// The server must not keep the replies in its memory.
func TestNeverReading(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	confined := newGroup(t, 1<<30)
	confined.start(s)
	neighbour := newNeighbour(t, s)
	neighbour.c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("big"), Value: make([]byte, 1<<20), Expiry: session.Never})
	clients := rounds(30, 200)
	request := bytes.Repeat([]byte("get big\r\n"), 200) // of 200 MB
	for range clients {
		c := s.mustConnect(text{})
		c.conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		for {
			if _, err := c.conn.Write(request); err != nil {
				break // the server takes no more before it is rid of the replies
			}
		}
	}
	for range 20 {
		neighbour.check()
	}
	peak := s.memory("VmHWM")
	if most := int64(600<<20) + int64(clients)*(3<<20); peak > most {
		t.Errorf("%d bytes of memory for %d clients that do not read", peak, clients)
	}
	figures(t, "%d clients asked for 200 MB and more each and read nothing: %d MB of memory at the highest%s", clients, peak>>20, confined.judge())
}

// TestMillionPipelined sends a pipeline of commands on one connection without
// waiting for any reply, and reads all replies.
func TestMillionPipelined(t *testing.T) {
	n := rounds(40_000, 1_000_000)
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	c := s.mustConnect(text{})
	c.conn.SetDeadline(time.Now().Add(10 * patience))
	go func() {
		w := bufio.NewWriterSize(c.conn, 1<<20)
		for i := range n {
			if i%2 == 0 {
				fmt.Fprintf(w, "set p%d 0 0 %d\r\n%d\r\n", i%1000, len(strconv.Itoa(i)), i)
			} else {
				fmt.Fprintf(w, "get p%d\r\n", (i-1)%1000)
			}
		}
		w.Flush()
	}()
	for i := range n {
		want := "STORED"
		if i%2 == 1 {
			want = fmt.Sprintf("VALUE p%d 0 %d|%d|END", (i-1)%1000, len(strconv.Itoa(i-1)), i-1)
		}
		for part := range strings.SplitSeq(want, "|") {
			if line, err := readLine(c.r); err != nil || line != part {
				t.Fatalf("reply %d: %q, %v, want %q", i, line, err, part)
			}
		}
		if i%20_000 == 0 {
			neighbour.check()
		}
	}
	figures(t, "%d commands in one pipeline, %d MB of memory at the highest", n, s.memory("VmHWM")>>20)
}

// TestLargestValues writes and reads values of the largest size from many
// clients at once, under a memory limit.
func TestLargestValues(t *testing.T) {
	s := newServer(t, "--max-item-size", "8m")
	clients, each := rounds(8, 32), rounds(2, 6)
	confined := newGroup(t, 700<<20+int64(clients)*(40<<20))
	confined.start(s)
	var wg sync.WaitGroup
	for i := range clients {
		c := s.mustConnect(dialects[i%len(dialects)])
		wg.Go(func() {
			value := bytes.Repeat([]byte{byte('a' + i%26)}, 8<<20)
			key := fmt.Appendf(nil, "large%d", i)
			for range each {
				c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: key, Value: value, Expiry: session.Never})
				if a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: key}); !bytes.Equal(a.value, value) {
					t.Errorf("%s came back with %d bytes", key, len(a.value))
				}
			}
			tooLarge := session.Command{Op: session.OpSet, Key: key, Value: append(value, 'x'), Expiry: session.Never}
			c.mustDo(t, session.TooLarge, tooLarge)
			if a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: key}); !bytes.Equal(a.value, value) {
				t.Errorf("%s was changed by a value that is too large", key)
			}
		})
	}
	wg.Wait()
	peak := s.memory("VmHWM")
	if most := int64(700<<20) + int64(clients)*(40<<20); peak > most {
		t.Errorf("%d bytes of memory for %d clients with 8 MB each", peak, clients)
	}
	figures(t, "%d clients with values of 8 MB at once: %d MB of memory at the highest%s", clients, peak>>20, confined.judge())
}

// TestRandomBytes sends noise, and requests that turn into noise.
func TestRandomBytes(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	openings := []string{"", "get ", "set k 0 0 ", "set k 0 0 5\r\n", "mg ", "ms k ", "\x80", "\x80\x01\x00\x01\x08\x00\x00\x00",
		"gat 0 ", "ma k ", "\x81", "set k 0 0 99999999999999999999\r\n", "set k 0 0 -1\r\n", "GET / HTTP/1.1\r\n", "\x16\x03\x01"}
	count := rounds(400, 20_000)
	for range count {
		conn, err := net.Dial("unix", s.sock)
		if err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, rng.IntN(pick(rng, 10, 300, 20_000)))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(append([]byte(pick(rng, openings...)), noise...))
		if rng.IntN(2) == 0 {
			conn.(*net.UnixConn).CloseWrite()
			io.Copy(io.Discard, conn)
		}
		conn.Close()
		if rng.IntN(20) == 0 {
			neighbour.check()
		}
	}
	neighbour.check()
	figures(t, "%d connections of noise", count)
}

// TestOutOfFiles runs out of file descriptors: the server answers whom it has,
// takes new connections as soon as others leave, and does not spin.
func TestOutOfFiles(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	wrapper := filepath.Join(filepath.Dir(s.sock), "limited")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n 160\nexec %s \"$@\"\n", cairn(t))
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s.program = wrapper
	s.start()
	neighbour := newNeighbour(t, s)
	var conns []net.Conn
	for range 300 {
		c, err := net.Dial("unix", s.sock)
		if err != nil {
			break // the backlog is full
		}
		conns = append(conns, c)
	}
	for range 100 {
		neighbour.check()
	}
	for i := range 50 { // tables and logs need files too
		neighbour.c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: fmt.Appendf(nil, "f%d", i), Value: make([]byte, 100_000), Expiry: session.Never})
	}
	for _, c := range conns {
		c.Close()
	}
	if err := s.awaitReady(patience); err != nil {
		t.Error("after the crowd left: ", err)
	}
	neighbour.check()
	if lines, _ := s.log.count(); lines > 2000 {
		t.Errorf("a flood of %d lines in the log", lines)
	}
	figures(t, "%d connections wanted in with 160 files", len(conns))
}

// TestGreedyClient measures what a polite client waits while others pipeline
// without end. Only the long form, which has the machine for itself, judges the
// wait.
func TestGreedyClient(t *testing.T) {
	s := newServer(t)
	s.start()
	neighbour := newNeighbour(t, s)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	const greedy = 4
	for range greedy {
		c := s.mustConnect(text{})
		batch := bytes.Repeat(fmt.Appendf(nil, "set greedy 0 0 1000\r\n%s\r\n", bytes.Repeat([]byte("g"), 1000)), 500)
		c.conn.SetDeadline(time.Time{})
		wg.Go(func() { io.Copy(io.Discard, c.r) })
		wg.Go(func() {
			for {
				select {
				case <-stop:
					c.close()
					return
				default:
					c.conn.SetWriteDeadline(time.Now().Add(time.Second))
					c.conn.Write(batch)
				}
			}
		})
	}
	waits := hdr.New(1, int64(time.Minute), 3)
	for end := time.Now().Add(span(time.Second, time.Minute)); time.Now().Before(end); {
		began := time.Now()
		neighbour.check()
		waits.RecordValue(int64(time.Since(began)))
	}
	close(stop)
	wg.Wait()
	if p99 := time.Duration(waits.ValueAtQuantile(99)); long && p99 > 100*time.Millisecond {
		t.Errorf("a polite client waited %v at p99", p99)
	}
	figures(t, "beside %d greedy clients a polite one waited %v at p50, %v at p99, %v at worst", greedy,
		time.Duration(waits.ValueAtQuantile(50)), time.Duration(waits.ValueAtQuantile(99)), time.Duration(waits.Max()))
}

// TestSlowLoris opens many HTTP connections that never finish their request.
// Others are answered meanwhile.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	s := newServer(t, "--http-listen", address)
	s.start()
	for range rounds(100, 2000) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
	for range 20 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if line, err := readLine(bufio.NewReader(c)); err != nil || !strings.HasPrefix(line, "HTTP/1.1 ") {
			t.Errorf("%q, %v", line, err)
		}
		c.Close()
	}
	s.stop(20 * time.Second) // the slow ones do not hold it up
}
