package memcachedfront_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/memcachedfront"
	"cairn/session"
	"cairn/session/sessiontest"
)

// committingStore is a store whose writes are not durable at once: the results
// of a burst that writes are final when durable returns.
type committingStore struct {
	session.Store
	durable func()
}

func (s committingStore) Apply(b *session.Burst, to session.Completer) {
	session.Do(s.Store, b)
	final := b.Results
	b.Results = nil // nobody may look yet
	go func() {
		s.durable()
		b.Results = final
		to.Complete([]*session.Burst{b})
	}()
}

// Those who read do not wait for what others write, and no answer to a write
// goes out before it is durable.
func TestReadsDoNotWaitForWrites(t *testing.T) {
	durable := make(chan struct{})
	address := startServer(t, func(o *memcachedfront.Options) {
		o.Store = committingStore{sessiontest.NewModel(0), func() { <-durable }}
		o.Threads = 1
	})
	writer, second, reader := dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address)
	send(t, writer, "set a 0 0 1\r\nx\r\nget a\r\n")
	for range 10 {
		send(t, reader, "get nothing\r\n")
		expect(t, reader, "END\r\n")
	}
	send(t, second, "set b 0 0 1\r\ny\r\n")
	send(t, reader, "get nothing\r\n")
	expect(t, reader, "END\r\n")
	writer.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := writer.Read(make([]byte, 1)); n > 0 {
		t.Fatalf("an answer before the write was durable, %v", err)
	}
	writer.SetReadDeadline(time.Now().Add(time.Minute))
	send(t, writer, "get b\r\n") // waits its turn
	close(durable)
	expect(t, writer, "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nVALUE b 0 1\r\ny\r\nEND\r\n")
	expect(t, second, "STORED\r\n")
}

// stallingStore takes no writes for a while.
type stallingStore struct {
	session.Store
	taken <-chan struct{}
}

func (s stallingStore) Apply(b *session.Burst, to session.Completer) {
	go func() {
		<-s.taken
		s.Store.Apply(b, to)
	}()
}

// Those who read do not wait when the store cannot take writes.
func TestReadsDoNotWaitForStalls(t *testing.T) {
	taken := make(chan struct{})
	address := startServer(t, func(o *memcachedfront.Options) {
		o.Store, o.Threads = stallingStore{sessiontest.NewModel(0), taken}, 1
	})
	writer, reader := dial(t, "tcp", address), dial(t, "tcp", address)
	send(t, writer, "set a 0 0 1\r\nx\r\n")
	for range 10 {
		send(t, reader, "get nothing\r\n")
		expect(t, reader, "END\r\n")
	}
	close(taken)
	expect(t, writer, "STORED\r\n")
}

// A shutdown waits for writes under way and lets their answers out.
func TestShutdownWaitsForCommits(t *testing.T) {
	durable := make(chan struct{})
	s, address := serverWith(t, func(o *memcachedfront.Options) {
		o.Store = committingStore{sessiontest.NewModel(0), func() { <-durable }}
	})
	c := dial(t, "tcp", address)
	send(t, c, "set a 0 0 1\r\nx\r\n")
	await(t, "a request", func() bool { return len(s.Connections()) > 0 && s.Connections()[0].Requests > 0 })
	stopped := make(chan error)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	time.AfterFunc(10*time.Millisecond, func() { close(durable) })
	if got, err := io.ReadAll(c); string(got) != "STORED\r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Many clients, pipelining, with answers of all sizes and commits that take
// random times: every client gets its own answers in order.
func TestManyClients(t *testing.T) {
	for name, threads := range map[string]int{"one loop": 1, "four loops": 4} {
		t.Run(name, func(t *testing.T) {
			address := startServer(t, func(o *memcachedfront.Options) {
				o.Store = committingStore{sessiontest.NewModel(0), func() {
					time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
				}}
				o.Threads = threads
			})
			var clients sync.WaitGroup
			for id := range 30 {
				clients.Go(func() { converseAtRandom(t, address, id) })
			}
			clients.Wait()
		})
	}
}

// converseAtRandom sends pipelined requests whose answers depend on those
// before, and checks them.
func converseAtRandom(t *testing.T, address string, id int) {
	rng := rand.New(rand.NewPCG(uint64(id), 0))
	c := dial(t, "tcp", address)
	answers := bufio.NewReader(c)
	value, counter := "", 0
	send(t, c, fmt.Sprintf("set v%d 0 0 0 noreply\r\n\r\n", id))
	for round := range 15 {
		var says, want strings.Builder
		for range rng.IntN(12) {
			switch rng.IntN(4) {
			case 0:
				value = strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(1+rng.IntN(60_000)))
				fmt.Fprintf(&says, "set v%d 0 0 %d\r\n%s\r\n", id, len(value), value)
				want.WriteString("STORED\r\n")
			case 1:
				fmt.Fprintf(&says, "get v%d\r\n", id)
				fmt.Fprintf(&want, "VALUE v%d 0 %d\r\n%s\r\nEND\r\n", id, len(value), value)
			case 2:
				fmt.Fprintf(&says, "ma n%d N0 v\r\n", id)
				fmt.Fprintf(&want, "VA %d\r\n%d\r\n", len(fmt.Sprint(counter)), counter)
				counter++
			case 3:
				says.WriteString("get nothing\r\nmn\r\n")
				want.WriteString("END\r\nMN\r\n")
			}
		}
		go io.WriteString(c, says.String())
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(answers, got); err != nil || string(got) != want.String() {
			t.Errorf("client %d, round %d: %v: %.300q, want %.300q", id, round, err, got, want.String())
			return
		}
	}
}
