package serve

import (
	"bytes"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cairn/session"
	"cairn/session/sessiontest"
)

// sized is a protocol of lines with a number, each answered by as many bytes.
type sized struct{ value []byte }

func (p sized) NewConn(*Link) Conn { return &sizedConn{protocol: p} }

type sizedConn struct {
	protocol sized
	plan     []int
}

func (c *sizedConn) Opened()                {}
func (c *sizedConn) Closed(error)           {}
func (c *sizedConn) Replied(time.Duration)  {}
func (c *sizedConn) Closing() bool          { return false }
func (c *sizedConn) Errand() Errand         { return nil }
func (c *sizedConn) State() ([]byte, error) { return nil, nil }
func (c *sizedConn) Restore([]byte) error   { return nil }

func (c *sizedConn) Consume(in []byte, b *session.Burst) (used, need int) {
	for {
		line, _, found := bytes.Cut(in[used:], []byte("\n"))
		if !found {
			return used, 0
		}
		n, _ := strconv.Atoi(string(line))
		c.plan = append(c.plan, n)
		used += len(line) + 1
	}
}

func (c *sizedConn) Reply(out *Output, b *session.Burst) (done bool) {
	for len(c.plan) > 0 && !out.Enough(out.Text) {
		out.Text = out.AppendValue(out.Text, c.protocol.value[:c.plan[0]])
		c.plan = c.plan[1:]
	}
	return len(c.plan) == 0 && !out.Lends()
}

type noClock struct{}

func (noClock) Now() session.Time { return 1 }

// bench is a loop that the test turns by hand, and its clients.
type loopBench struct {
	*loop
	t     *testing.T
	peers []int
	got   []int // bytes, by peer
}

func newLoopBench(t *testing.T, p Protocol) *loopBench {
	s, err := newServer(Options{Protocol: p, Store: sessiontest.NewModel(0), Clock: noClock{}, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return &loopBench{loop: l, t: t}
}

// connect adds a client that sends this.
func (b *loopBench) connect(says string) (peer int) {
	b.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
	i := len(b.peers)
	b.t.Cleanup(func() { unix.Close(b.peers[i]) })
	b.peers, b.got = append(b.peers, fds[1]), append(b.got, 0)
	b.announce(newLoopClient(b.server, b.loop, nil, fds[0], nil))
	if says != "" {
		b.send(len(b.peers)-1, says)
	}
	return len(b.peers) - 1
}

func (b *loopBench) send(peer int, says string) {
	if _, err := unix.Write(b.peers[peer], []byte(says)); err != nil {
		b.t.Fatal(err)
	}
}

// round is one round of the loop, after which the clients take what has come.
func (b *loopBench) round() {
	b.loop.round()
	buf := make([]byte, 1<<20)
	for i, fd := range b.peers {
		for n := 1; n > 0; {
			n, _ = unix.Read(fd, buf)
			b.got[i] += max(n, 0)
		}
	}
}

// diary is a protocol of lines that notes what its connections do. A line with a
// number is so many gets of a key that is not there.
type diary struct{ does []string }

func (d *diary) NewConn(*Link) Conn { return &diaryConn{diary: d} }

type diaryConn struct {
	sizedConn
	diary *diary
}

func (c *diaryConn) Consume(in []byte, b *session.Burst) (used, need int) {
	line, _, found := bytes.Cut(in, []byte("\n"))
	if !found {
		return 0, 0
	}
	n, _ := strconv.Atoi(string(line))
	for range n {
		b.Add().Key = []byte("key")
	}
	c.diary.does = append(c.diary.does, "reads")
	return len(line) + 1, 0
}

func (c *diaryConn) Reply(out *Output, b *session.Burst) (done bool) {
	c.diary.does = append(c.diary.does, "answers")
	out.Text = append(out.Text, "x"...)
	return true
}

// handy is a store that has everything in memory.
type handy struct{ *sessiontest.Model }

func (s handy) Try(b *session.Burst) bool {
	b.SizeResults()
	return true
}

// foresight is a handy store that notes what it is asked.
type foresight struct {
	handy
	diary *diary
}

func (f foresight) Prefetch(*session.Burst) { f.diary.does = append(f.diary.does, "prefetches") }

func (f foresight) Try(b *session.Burst) bool {
	f.diary.does = append(f.diary.does, "tries")
	return f.handy.Try(b)
}

// Of several commands, of one client or of several, the store hears before it is asked for
// the first. Who is answered from memory leaves the arena empty for the next.
func TestPrefetchesBeforeItTries(t *testing.T) {
	for _, test := range []struct {
		name string
		asks []string
		want string
	}{
		{"one command", []string{"1\n"}, "reads tries answers"},
		{"one client", []string{"2\n"}, "reads prefetches tries answers"},
		{"two clients", []string{"1\n", "1\n"}, "reads reads prefetches prefetches tries answers tries answers"},
		{"many commands", []string{"255\n", "1\n", "1\n"}, "reads reads prefetches prefetches tries answers tries answers reads tries answers"},
		{"no command", []string{"0\n"}, "reads answers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := new(diary)
			b := newLoopBench(t, d)
			store := foresight{handy{sessiontest.NewModel(0)}, d}
			b.server.options.Store, b.server.prefetcher = store, store
			for _, asks := range test.asks {
				b.connect(asks)
			}
			b.round()
			if got := strings.Join(d.does, " "); got != test.want {
				t.Errorf("it %s, want %s", got, test.want)
			}
			for peer, n := range b.got {
				if n != 1 {
					t.Errorf("client %d has got %d answers", peer, n)
				}
			}
			if b.arena.used != 0 || b.arena.users != 1 {
				t.Errorf("the arena has %d bytes of %d users", b.arena.used, b.arena.users)
			}
		})
	}
}

// A client that says nothing yet does not wake the loop, and is served in the round in
// which it says something.
func TestNewcomerWakesNobody(t *testing.T) {
	b := newLoopBench(t, new(diary))
	b.server.options.Store = handy{sessiontest.NewModel(0)}
	b.asleep.Store(true)
	peer := b.connect("")
	if !b.asleep.Load() {
		t.Error("it wakes the loop")
	}
	b.send(peer, "1\n")
	b.round()
	if b.got[peer] != 1 {
		t.Errorf("%d answers after a round", b.got[peer])
	}
}

// A loop that nothing wakes looks for silent clients all the same.
func TestLoopWakesForSilentClients(t *testing.T) {
	s, err := newServer(Options{Protocol: new(diary), Store: sessiontest.NewModel(0), Clock: noClock{}, Threads: 1, IdleTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if l.sleepsUntil().IsZero() {
		t.Error("it would sleep for ever")
	}
}

// A client that goes between its request and the answers is closed, and those that
// were read with it are answered.
func TestClientGoesBeforeItsAnswer(t *testing.T) {
	b := newLoopBench(t, new(diary))
	b.server.options.Store = handy{sessiontest.NewModel(0)}
	for range 3 {
		b.connect("1\n")
	}
	unix.Close(b.peers[1])
	b.peers[1] = -1
	b.round()
	if b.got[0] != 1 || b.got[2] != 1 {
		t.Errorf("the others have got %d and %d answers", b.got[0], b.got[2])
	}
	if len(b.clients) != 2 {
		t.Errorf("%d connections are left", len(b.clients))
	}
}

// Whoever asks for little is answered in the next round, whatever others have
// asked for; a round moves a bounded number of bytes; and those who asked for
// much are served evenly.
func TestLargeAnswersHoldUpNobody(t *testing.T) {
	const heavy, each = 20, 5
	b := newLoopBench(t, sized{make([]byte, 2<<20)})
	for range heavy {
		b.connect(string(bytes.Repeat([]byte("2000000\n"), each)))
	}
	light := b.connect("1\n")
	for round := 1; ; round++ {
		b.round()
		if b.got[light] != round {
			t.Fatalf("round %d: the other client has got %d answers", round, b.got[light])
		}
		if b.moved > maxBulk+maxShare {
			t.Fatalf("round %d moved %d bytes", round, b.moved)
		}
		least, most := b.got[0], b.got[0]
		for _, n := range b.got[:heavy] {
			least, most = min(least, n), max(most, n)
		}
		if most-least > 2*maxShare && most < each*2_000_000 {
			t.Fatalf("round %d: a client has got %d bytes and another one %d", round, most, least)
		}
		if least == each*2_000_000 {
			return
		}
		b.send(light, "1\n")
	}
}

// A loop ends although its last connection ends only in the round that notices the
// stop: nothing would wake it after that.
func TestLastConnectionEndsWithTheStop(t *testing.T) {
	b := newLoopBench(t, sized{make([]byte, 2<<20)})
	peer := b.connect("2000000\n2000000\n")
	b.loop.round() // the answer is larger than what the socket takes
	if len(b.clients) != 1 {
		t.Fatal("there is no connection any more")
	}
	b.server.endLife()
	unix.Shutdown(b.peers[peer], unix.SHUT_RDWR)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b.loop.round() {
		}
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the loop sleeps, with nothing left to wake it")
	}
}

// A loop that has not slept for a while lets the others run, then and a while later.
func TestLoopYields(t *testing.T) {
	const moment = yieldAfter / 2
	for _, test := range []struct {
		name  string
		loops int
		after []time.Duration // the rounds begin, since the loop slept
		want  string
	}{
		{"several loops", 3, []time.Duration{0, moment, yieldAfter, yieldAfter + moment, 2 * yieldAfter}, "no no yes no yes"},
		{"a long round", 2, []time.Duration{0, 5 * yieldAfter, 5*yieldAfter + moment}, "no yes no"},
		{"one loop", 1, []time.Duration{0, yieldAfter, 5 * yieldAfter}, "no no no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newLoopBench(t, new(diary))
			b.server.loops = make([]*loop, test.loops)
			b.awake = time.Now()
			slept := b.awake
			var got []string
			for _, after := range test.after {
				b.began = slept.Add(after)
				if b.shouldYield() {
					got = append(got, "yes")
				} else {
					got = append(got, "no")
				}
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("it yields: %s, want %s", got, test.want)
			}
		})
	}
}

// Sleep counts as letting others run, and work does not.
func TestSleepIsAYield(t *testing.T) {
	b := newLoopBench(t, new(diary))
	b.server.loops = make([]*loop, 2)
	b.server.options.Store = handy{sessiontest.NewModel(0)}
	peer := b.connect("1\n")
	b.round()
	if b.awake.IsZero() {
		t.Fatal("it does not know that it works")
	}
	b.send(peer, "1\n")
	b.round()
	if b.awake.IsZero() {
		t.Error("work counts as sleep")
	}
	for tries := 0; ; tries++ { // the wake-up may come before the sleep
		woken := make(chan struct{})
		go func() {
			for !b.asleep.Load() {
				runtime.Gosched()
			}
			b.do(func() {})
			close(woken)
		}()
		b.round()
		<-woken
		if b.awake.IsZero() {
			return
		}
		if tries == 1000 {
			t.Fatal("sleep does not count")
		}
	}
}
