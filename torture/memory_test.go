package torture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"cairn/session"
)

const largest = 8 << 20 // what --max-item-size allows unless it is set

// TestManyLargeSets lets many clients store a value of 8 MB each at the same
// time, on a server whose control group has 512 MB. Each of them is answered,
// nobody is killed, and a client with small requests hardly notices.
func TestManyLargeSets(t *testing.T) {
	g := newGroup(t, 512<<20)
	s := newServer(t)
	g.start(s)
	neighbour := newNeighbour(t, s)
	clients := rounds(100, 1000)
	value := bytes.Repeat([]byte("v"), largest)
	stop := neighbour.watch()
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range clients {
		wg.Go(func() {
			if err := storeLarge(s.sock, i, value); err != nil && failed.Add(1) <= 3 {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	waits := stop()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d clients had no STORED", n, clients)
	}
	if t.Failed() {
		t.Fatalf("%d kills, %s", g.kills(), waits)
	}
	peak := peakWithin(t, g, s, waits)
	figures(t, "%d clients set 8 MB each at once: %d MB of memory at the highest, a neighbour waited %s%s",
		clients, peak>>20, waits, g.judge())
}

// peakWithin returns the most memory that the server has had, in bytes. It must be
// within its group's, and in the long form a neighbour must not have waited long.
func peakWithin(t *testing.T, g *group, s *server, waits waits) int64 {
	t.Helper()
	peak := s.memory("VmHWM")
	if peak > g.bytes {
		t.Errorf("%d MB of memory, of %d MB", peak>>20, g.bytes>>20)
	}
	if p99 := waits.at(99); long && p99 > 100*time.Millisecond {
		t.Errorf("a neighbour waited %v at p99", p99)
	}
	return peak
}

// TestManyLargeReplies lets clients pipeline gets of 8 MB each, on a server whose
// control group has 512 MB. All answers come, nobody is killed, and a client with
// small requests hardly notices.
func TestManyLargeReplies(t *testing.T) {
	g := newGroup(t, 512<<20)
	s := newServer(t)
	g.start(s)
	neighbour := newNeighbour(t, s)
	clients, gets := rounds(16, 20), rounds(8, 25)
	value := bytes.Repeat([]byte("v"), largest)
	for n := range gets {
		if err := storeLarge(s.sock, n, value); err != nil {
			t.Fatal(err)
		}
	}
	stop := neighbour.watch()
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if err := fetchLarge(s.sock, gets); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	waits := stop()
	if t.Failed() {
		t.Fatalf("%d kills, %s", g.kills(), waits)
	}
	peak := peakWithin(t, g, s, waits)
	figures(t, "%d clients pipelined %d gets of 8 MB each: %d MB of memory at the highest, a neighbour waited %s%s",
		clients, gets, peak>>20, waits, g.judge())
}

// fetchLarge pipelines gets of large values and takes the answers.
func fetchLarge(sock string, gets int) error {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * patience))
	var request bytes.Buffer
	want := int64(0)
	for n := range gets {
		fmt.Fprintf(&request, "get large%d\r\n", n)
		want += int64(len(fmt.Sprintf("VALUE large%d 0 %d\r\n\r\nEND\r\n", n, largest)) + largest)
	}
	if _, err := conn.Write(request.Bytes()); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, conn, want)
	return err
}

// storeLarge stores a large value on a connection of its own.
func storeLarge(sock string, n int, value []byte) error {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * patience))
	head := fmt.Appendf(nil, "set large%d 0 0 %d\r\n", n, len(value))
	request := net.Buffers{head, value, []byte("\r\n")}
	if _, err := request.WriteTo(conn); err != nil {
		return err
	}
	reply := make([]byte, len("STORED\r\n"))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	if string(reply) != "STORED\r\n" {
		return errors.New(string(reply))
	}
	return nil
}

// waits are how long a neighbour waited for its answers.
type waits struct{ *hdr.Histogram }

func (w waits) at(percentile float64) time.Duration {
	return time.Duration(w.ValueAtQuantile(percentile))
}

func (w waits) String() string {
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	return fmt.Sprintf("%v at p50, %v at p99, %v at worst", round(w.at(50)), round(w.at(99)), round(time.Duration(w.Max())))
}

// watch lets the neighbour ask, one request after the other, until stop is
// called.
func (n *neighbour) watch() (stop func() waits) {
	w := waits{hdr.New(1, int64(10*time.Minute), 3)}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for !n.t.Failed() {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
			began := time.Now()
			n.look()
			w.RecordValue(int64(time.Since(began)))
		}
	}()
	return func() waits {
		close(end)
		<-ended
		return w
	}
}

// look is check for any goroutine.
func (n *neighbour) look() {
	const request, reply = "get neighbour\r\n", "VALUE neighbour 0 9\r\nuntouched\r\nEND\r\n"
	n.c.conn.SetDeadline(time.Now().Add(patience))
	got := make([]byte, len(reply))
	_, err := io.WriteString(n.c.conn, request)
	if err == nil {
		_, err = io.ReadFull(n.c.r, got)
	}
	if err != nil || string(got) != reply {
		n.t.Errorf("the neighbour got %q, %v", got, err)
	}
}

// TestSmallGroups serves within control groups that have little memory, with the
// defaults that follow from it: sessions beyond the cache, large ones, and idle
// connections. Nobody is killed, and what was acknowledged is there, also after a
// kill of ours and a start in the same group.
func TestSmallGroups(t *testing.T) {
	sizes := []int64{64, 128}
	if long {
		sizes = append(sizes, 256)
	}
	for _, megabytes := range sizes {
		t.Run(fmt.Sprint(megabytes), func(t *testing.T) { smallGroup(t, megabytes<<20) })
	}
}

func smallGroup(t *testing.T, limit int64) {
	g := newGroup(t, limit)
	s := newServer(t)
	s.wholeMemory = true
	g.start(s)
	for range 300 {
		s.mustConnect(text{})
	}
	const clients, each = 8, 100
	bursts := rounds(20, 400)
	var wg sync.WaitGroup
	for n := range clients {
		c := s.mustConnect(dialects[n%len(dialects)])
		wg.Go(func() {
			for burst := range bursts {
				if err := storeAndRead(c, n, burst, each); err != nil {
					t.Errorf("client %d, burst %d: %v", n, burst, err)
					return
				}
			}
		})
	}
	for n := range 20 {
		if err := storeLarge(s.sock, n, bytes.Repeat([]byte("v"), 1<<20)); err != nil {
			t.Error("a large value: ", err)
		}
	}
	wg.Wait()
	peak := s.memory("VmHWM")
	s.kill()
	s.start()
	for n := range clients {
		c := s.mustConnect(dialects[n%len(dialects)])
		for burst := range bursts {
			if err := readBack(c, n, burst, each); err != nil {
				t.Fatalf("after a kill: client %d, burst %d: %v", n, burst, err)
			}
		}
	}
	figures(t, "%d sessions of 2 KB: %d MB of memory at the highest, %d MB after a restart%s",
		clients*bursts*each, peak>>20, s.memory("VmHWM")>>20, g.judge())
}

// smallSession is a value of 2 KB that does not compress much.
func smallSession(client, burst, i int) (key, value []byte) {
	rng := rand.New(rand.NewPCG(uint64(client)<<32|uint64(burst), uint64(i)))
	value = make([]byte, 2000)
	for j := range value {
		value[j] = byte(32 + rng.Uint32()%64)
	}
	return fmt.Appendf(nil, "small:%d:%d:%d", client, burst, i), value
}

func storeAndRead(c *client, n, burst, each int) error {
	var sets []session.Command
	for i := range each {
		key, value := smallSession(n, burst, i)
		sets = append(sets, session.Command{Op: session.OpSet, Key: key, Value: value, Expiry: session.Never})
	}
	answers, err := c.do(sets, wallNow())
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.status != session.OK {
			return fmt.Errorf("set: status %d %s", a.status, a.message)
		}
	}
	return readBack(c, n, burst/2, each) // an older one: it is not in the cache any more
}

func readBack(c *client, n, burst, each int) error {
	var gets []session.Command
	for i := range each {
		key, _ := smallSession(n, burst, i)
		gets = append(gets, session.Command{Op: session.OpGet, Key: key})
	}
	answers, err := c.do(gets, wallNow())
	if err != nil {
		return err
	}
	for i, a := range answers {
		if key, value := smallSession(n, burst, i); !bytes.Equal(a.value, value) {
			return fmt.Errorf("%s: status %d, %d bytes", key, a.status, len(a.value))
		}
	}
	return nil
}
