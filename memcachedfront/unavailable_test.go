package memcachedfront_test

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"cairn/memcachedfront"
	"cairn/session"
	"cairn/session/sessiontest"
)

// awayStore is a model that fails what is asked about keys that begin with
// "away", as long as err is set, and counts how often it is asked.
type awayStore struct {
	*sessiontest.Model
	mu    sync.Mutex
	err   error
	asked int // bursts with such a key
}

func newAwayStore(err error) *awayStore {
	return &awayStore{Model: sessiontest.NewModel(0), err: err}
}

func (s *awayStore) Try(*session.Burst) bool { return false }

func (s *awayStore) Apply(b *session.Burst, to session.Completer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.SizeResults()
	away := false
	for i := range b.Commands {
		if bytes.HasPrefix(b.Commands[i].Key, []byte("away")) {
			away = true
			if s.err != nil {
				b.Results[i] = session.Result{Status: session.Failed, Err: s.err}
				continue
			}
		}
		one := session.Burst{Now: b.Now, Commands: b.Commands[i : i+1]}
		session.Do(s.Model, &one)
		b.Results[i] = one.Results[0]
	}
	if away {
		s.asked++
	}
	go to.Complete([]*session.Burst{b})
}

// awaitAsked waits until the store has been asked n times.
func (s *awayStore) awaitAsked(t *testing.T, n int) {
	t.Helper()
	await(t, "questions to the store", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.asked >= n
	})
}

// comeBack ends the absence, and returns how often the store was asked.
func (s *awayStore) comeBack() (asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = nil
	return s.asked
}

// bothWays runs a test for both ways to serve a connection.
func bothWays(t *testing.T, test func(t *testing.T, blocking bool)) {
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) { test(t, blocking) })
	}
}

// unavailableTalks are the same conversation in each protocol. Only part of it
// is about a key that is away; "n" counts how often the rest is carried out.
var unavailableTalks = map[string]struct{ says, want string }{
	"text": {
		"set n 0 0 1\r\n0\r\nset away 0 0 1\r\na\r\nincr n 1\r\nappend away 0 0 1\r\nb\r\nget away n\r\n",
		"STORED\r\nSTORED\r\n1\r\nSTORED\r\nVALUE away 0 2\r\nab\r\nVALUE n 0 1\r\n1\r\nEND\r\n",
	},
	"meta": {
		"ms n 1\r\n0\r\nms away 1\r\na\r\nma n v\r\nms away 1 MA\r\nb\r\nmg away v\r\nmg n v\r\n",
		"HD\r\nHD\r\nVA 1\r\n1\r\nHD\r\nVA 2\r\nab\r\nVA 1\r\n1\r\n",
	},
}

var binaryUnavailableTalk = struct {
	says string
	want []string
}{
	request(0x01, "n", "0", 0, 0) + request(0x01, "away", "a", 0, 0) + request(0x05, "n", "", 0, 1, 0, 0, 0) +
		request(0x0e, "away", "b") + request(0x00, "away", "") + request(opNoop, "", ""),
	[]string{"1 0 ", "1 0 ", "5 0 \x00\x00\x00\x00\x00\x00\x00\x01", "e 0 ", "0 0 \x00\x00\x00\x00ab", noop},
}

const failedText = "SERVER_ERROR storage failure\r\n"

// While the store is unavailable, clients wait: only what failed is carried out
// again, in its order, and no answer goes out before.
func TestClientsWaitForUnavailableStore(t *testing.T) {
	bothWays(t, func(t *testing.T, blocking bool) {
		for name, talk := range unavailableTalks {
			t.Run(name, func(t *testing.T) {
				waitOut(t, blocking, talk.says, func(t *testing.T, answers []byte) {
					if string(answers) != talk.want {
						t.Errorf("%q, want %q", answers, talk.want)
					}
				}, len(talk.want))
			})
		}
		t.Run("binary", func(t *testing.T) {
			size := 0
			for _, packet := range binaryUnavailableTalk.want {
				size += 24 + len(packet[4:])
			}
			waitOut(t, blocking, binaryUnavailableTalk.says, func(t *testing.T, answers []byte) {
				if got := packets(t, string(answers)); !slices.Equal(got, binaryUnavailableTalk.want) {
					t.Errorf("%q, want %q", got, binaryUnavailableTalk.want)
				}
			}, size)
		})
	})
}

// waitOut says something while the store is away, and checks the answers, of
// size bytes, that come when it is back.
func waitOut(t *testing.T, blocking bool, says string, check func(t *testing.T, answers []byte), size int) {
	store := newAwayStore(session.ErrUnavailable)
	_, address := serverWith(t, func(o *memcachedfront.Options) {
		o.Store, o.Blocking, o.Threads, o.Patience = store, blocking, 1, time.Hour
	})
	c, other := dial(t, "tcp", address), dial(t, "tcp", address)
	send(t, c, says)
	store.awaitAsked(t, 3)
	ask(t, other, "get here\r\n", "END\r\n") // others are served
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 {
		t.Fatalf("an answer before the store was back, %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	store.comeBack()
	answers := make([]byte, size)
	if _, err := io.ReadFull(c, answers); err != nil {
		t.Fatal(err)
	}
	check(t, answers)
}

// When patience is over, a client hears of the failure once; what did not fail
// is answered as ever. What has an unknown outcome is never carried out again.
func TestPatienceEnds(t *testing.T) {
	bothWays(t, func(t *testing.T, blocking bool) {
		for _, err := range []error{session.ErrUnavailable, session.ErrUnknownOutcome} {
			store := newAwayStore(err)
			_, address := serverWith(t, func(o *memcachedfront.Options) {
				o.Store, o.Blocking, o.Threads, o.Patience = store, blocking, 1, 20*time.Millisecond
			})
			c := dial(t, "tcp", address)
			ask(t, c, "set n 0 0 1\r\n0\r\nset away 0 0 1\r\na\r\nincr n 1\r\n", "STORED\r\n"+failedText+"1\r\n")
			asked := store.comeBack()
			ask(t, c, "get away\r\n", "END\r\n")
			if err == session.ErrUnknownOutcome && asked != 1 {
				t.Errorf("%v: asked %d times", err, asked)
			}
		}
	})
}

// A server that stops does not wait for an unavailable store.
func TestShutdownWithUnavailableStore(t *testing.T) {
	bothWays(t, func(t *testing.T, blocking bool) {
		store := newAwayStore(session.ErrUnavailable)
		s, address := serverWith(t, func(o *memcachedfront.Options) {
			o.Store, o.Blocking, o.Patience = store, blocking, time.Hour
		})
		c := dial(t, "tcp", address)
		send(t, c, "set away 0 0 1\r\na\r\n")
		store.awaitAsked(t, 2)
		stopped := make(chan error)
		go func() { stopped <- s.Shutdown(t.Context()) }()
		expect(t, c, failedText)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
