package torture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestImportFromLiveMemcached imports the sessions of a memcached that somebody uses.
// That client is answered all the time; the long form compares its p99 with that of
// before. memcached and its client have a processor of their own, as they would have a
// machine of their own.
func TestImportFromLiveMemcached(t *testing.T) {
	n := rounds(50_000, 1_000_000)
	need(t, runtime.NumCPU() >= 2, "two processors")
	address := startLiveMemcached(t, n)
	admin := freeAddress(t)
	s := newServer(t, "--http-listen", admin)
	s.start()
	if err := unix.SchedSetaffinity(s.cmd.Process.Pid, processor(1)); err != nil {
		t.Fatal(err)
	}
	c := newLiveClient(t, address, n)
	before := c.untilDone(time.After(span(2*time.Second, 20*time.Second)))

	out := new(bytes.Buffer)
	importing := exec.Command("taskset", "-c", "1", cairn(t), "import", "--from-memcached", address, "--url", "http://"+admin, "-o", "json")
	importing.Stdout, importing.Stderr = out, os.Stderr
	began := time.Now()
	if err := importing.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan time.Time)
	var failure error
	go func() {
		failure = importing.Wait()
		close(ended)
	}()
	during := c.untilDone(ended)
	took := time.Since(began)
	var result struct{ Stored, Unsuitable, Gone int64 }
	if err := json.Unmarshal(out.Bytes(), &result); err != nil || failure != nil || result.Stored != int64(n) {
		t.Fatalf("%v, %v: %s", failure, err, out)
	}
	ratio := float64(during.p99()) / float64(before.p99())
	figures(t, "%d sessions imported in %v; another client's p99 %v before (%d requests), %v during the import (%d), %.2f times as long; at worst %v, and %v",
		n, took.Round(100*time.Millisecond), before.p99(), len(before), during.p99(), len(during), ratio, before.worst(), during.worst())
	if long && ratio > 2 && during.p99() > time.Millisecond {
		t.Errorf("the other client's p99 is %.2f times as long", ratio)
	}
}

// processor is a set of one.
func processor(n int) *unix.CPUSet {
	set := new(unix.CPUSet)
	set.Set(n)
	return set
}

// preferThreads lets the threads of a process go before those of others, where that is
// allowed: somebody else's work on the same machine would be measured otherwise.
func preferThreads(t *testing.T, pid int) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		tid, _ := strconv.Atoi(thread.Name())
		prefer(t, tid)
	}
}

func prefer(t *testing.T, tid int) {
	if err := unix.Setpriority(unix.PRIO_PROCESS, tid, -15); err != nil {
		t.Logf("thread %d has no priority: %v", tid, err)
	}
}

// liveValue is a session of 1.8 KB, half of which is like that of others.
func liveValue(r *rand.Rand) []byte {
	value := bytes.Repeat([]byte(`{"cart":[],"user":`), 50)
	for len(value) < 1800 {
		value = append(value, byte('a'+r.IntN(26)))
	}
	return value
}

// startLiveMemcached starts a memcached with n sessions on the first processor.
func startLiveMemcached(t *testing.T, n int) (address string) {
	t.Helper()
	for _, program := range []string{"memcached", "taskset"} {
		_, err := exec.LookPath(program)
		need(t, err == nil, program)
	}
	address = freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command("taskset", "-c", "0", "memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "8192")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	nc := dialLive(t, address)
	preferThreads(t, cmd.Process.Pid)
	defer nc.Close()
	w := bufio.NewWriterSize(nc, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		value := liveValue(r)
		fmt.Fprintf(w, "set sess:%d 3 86400 %d noreply\r\n%s\r\n", i, len(value), value)
	}
	fmt.Fprint(w, "mn\r\n")
	answer := make([]byte, 4)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, answer); err != nil || string(answer) != "MN\r\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	return address
}

func dialLive(t *testing.T, address string) net.Conn {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			return nc
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// liveClient asks a memcached for one session after the other, and stores one now and
// then.
//
// It uses its socket without Go's scheduler, whose other threads are not bound and
// would be measured, too.
type liveClient struct {
	t        *testing.T
	in       *bufio.Reader
	out      io.Writer
	rand     *rand.Rand
	sessions int
}

// blocking is a socket whose reads and writes block their thread.
type blocking int

func (b blocking) Read(p []byte) (int, error)  { return uninterrupted(unix.Read, int(b), p) }
func (b blocking) Write(p []byte) (int, error) { return uninterrupted(unix.Write, int(b), p) }

// uninterrupted makes a system call again that a signal has ended. Linux does that by
// itself only for sockets that have no timeout.
func uninterrupted(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		n, err := call(fd, p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func newLiveClient(t *testing.T, address string, sessions int) *liveClient {
	t.Helper()
	nc := dialLive(t, address)
	defer nc.Close()
	file, err := nc.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	fd := int(file.Fd()) // which makes it block
	// A source that is held up does not answer for 30 s.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 15}); err != nil {
		t.Fatal(err)
	}
	socket := blocking(fd)
	return &liveClient{t, bufio.NewReader(socket), socket, rand.New(rand.NewPCG(3, 4)), sessions}
}

// answerTimes are how long a client has waited for its answers, ascending.
type answerTimes []time.Duration

func (w answerTimes) p99() time.Duration   { return w[len(w)*99/100].Round(time.Microsecond) }
func (w answerTimes) worst() time.Duration { return w[len(w)-1].Round(time.Microsecond) }

// untilDone sends requests until done, on the first processor.
func (c *liveClient) untilDone(done <-chan time.Time) (all answerTimes) {
	c.t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine or stays bound
	if err := unix.SchedSetaffinity(0, processor(0)); err != nil {
		c.t.Fatal(err)
	}
	prefer(c.t, unix.Gettid())
	for {
		select {
		case <-done:
			slices.Sort(all)
			return all
		default:
		}
		request, began := c.next(), time.Now()
		c.ask(request)
		all = append(all, time.Since(began))
		unix.Nanosleep(&unix.Timespec{Nsec: 200_000}, nil) // the client thinks
	}
}

// next returns a request.
func (c *liveClient) next() []byte {
	key := c.rand.IntN(c.sessions)
	if c.rand.IntN(10) > 0 {
		return fmt.Appendf(nil, "get sess:%d\r\n", key)
	}
	value := liveValue(c.rand)
	return fmt.Appendf(nil, "set sess:%d 3 86400 %d\r\n%s\r\n", key, len(value), value)
}

func (c *liveClient) ask(request []byte) {
	c.t.Helper()
	_, err := c.out.Write(request)
	if err != nil {
		c.t.Fatal(err)
	}
	line, err := c.in.ReadString('\n')
	if err == nil && line != "STORED\r\n" {
		_, err = c.in.Discard(1800 + len("\r\nEND\r\n"))
	}
	if err != nil {
		c.t.Fatalf("the other client: %q, %v", line, err)
	}
}
