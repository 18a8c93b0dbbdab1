package torture

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/engine/enginetest"
	"cairn/memcachedfront"
	"cairn/serve"
	"cairn/session"
)

// coldServer serves sessions cold0 to cold(n-1), which are in tables only, in one
// event loop.
func coldServer(t *testing.T, n int) (*memcachedfront.Server, *engine.Store, *enginetest.Tables) {
	tables := enginetest.NewTables(vfs.NewMem())
	quiet := slog.New(slog.DiscardHandler)
	o := engine.Options{Dir: "data", FS: tables, Logger: quiet, DropEvery: -1, DiskReserve: -1, Compression: engine.CompressionOff}
	store := openCold(t, o)
	for i := range n {
		keep(t, store, fmt.Sprint("cold", i), coldValue(i))
	}
	keep(t, store, "a first one, which Open reads", coldValue(0))
	keep(t, store, "warm", coldValue(0))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = openCold(t, o)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	server, err := memcachedfront.Listen(memcachedfront.Options{Options: serve.Options{
		Store: store, Clock: store, Logger: quiet, Threads: 1,
		Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(context.Background()) })
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return server, store, tables
}

func openCold(t *testing.T, o engine.Options) *engine.Store {
	store, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func keep(t *testing.T, store *engine.Store, key, value string) {
	b := &session.Burst{Now: store.Now()}
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: session.Never}
	if session.Do(store, b); b.Results[0].Status != session.OK {
		t.Fatalf("set %s: %v", key, b.Results[0].Err)
	}
}

// coldValue is a value that is alone in its block.
func coldValue(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 0))
	value := make([]byte, 40_000)
	for i := range value {
		value[i] = byte('a' + r.IntN(26))
	}
	return string(value)
}

// coldClient is a connection and what it says and hears.
type coldClient struct {
	net.Conn
	answers *bufio.Reader
}

func dialCold(t *testing.T, s *memcachedfront.Server) coldClient {
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return coldClient{c, bufio.NewReader(c)}
}

func (c coldClient) say(t *testing.T, what string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
}

func (c coldClient) hear(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.answers, got); err != nil || string(got) != want {
		t.Fatalf("heard %.60q (%v), want %.60q", got[:n], err, want)
	}
}

// Connections whose sessions are on a disk that does not answer hold up neither
// the others of their event loop nor a write; their own answers come in order.
// A takeover waits for them.
func TestSlowDiskHoldsNoConnectionUp(t *testing.T) {
	const n = 32
	server, store, tables := coldServer(t, n)
	hot := dialCold(t, server)
	hot.say(t, "get warm\r\n") // opens the table, and has its index and filter read
	hot.hear(t, fmt.Sprintf("VALUE warm 0 40000\r\n%s\r\nEND\r\n", coldValue(0)))
	hot.say(t, "set hot 0 0 1\r\n0\r\n")
	hot.hear(t, "STORED\r\n")
	tables.Hold()
	defer tables.Release()
	var stuck []coldClient
	for i := range n {
		c := dialCold(t, server)
		if i%2 == 0 {
			c.say(t, fmt.Sprintf("get cold%d\r\nget hot\r\n", i))
		} else {
			c.say(t, fmt.Sprintf("append cold%d 0 0 1\r\n!\r\nget cold%d\r\nget hot\r\n", i, i))
		}
		stuck = append(stuck, c)
	}
	tables.AwaitHeld(n)
	for i := range 100 {
		hot.say(t, "get hot\r\nget nothing\r\n")
		hot.hear(t, fmt.Sprintf("VALUE hot 0 %d\r\n%d\r\nEND\r\nEND\r\n", len(fmt.Sprint(i)), i))
		hot.say(t, fmt.Sprintf("set hot 0 0 %d\r\n%d\r\n", len(fmt.Sprint(i+1)), i+1))
		hot.hear(t, "STORED\r\n")
	}
	if held := tables.Held(); held != n {
		t.Errorf("%d reads are held up, want %d", held, n)
	}
	frozen := make(chan error, 1)
	go func() {
		conns, err := server.Freeze(t.Context())
		if err == nil && len(conns) != n+1 {
			err = fmt.Errorf("%d connections", len(conns))
		}
		frozen <- err
	}()
	select {
	case err := <-frozen:
		t.Fatalf("frozen with bursts under way, %v", err)
	case <-time.After(20 * time.Millisecond): // enough for one that does not wait
	}
	tables.Release()
	if err := <-frozen; err != nil {
		t.Fatal(err)
	}
	server.Thaw()
	for i, c := range stuck {
		value := coldValue(i)
		if i%2 == 1 {
			value += "!"
			c.hear(t, "STORED\r\n")
		}
		c.hear(t, fmt.Sprintf("VALUE cold%d 0 %d\r\n%s\r\nEND\r\nVALUE hot 0 ", i, len(value), value))
	}
	if stats := store.Figures(); stats.ReadErrors+stats.Corruptions > 0 {
		t.Errorf("%d read errors, %d corruptions", stats.ReadErrors, stats.Corruptions)
	}
}
