package micro_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"cairn/bench/dialect"
	"cairn/engine"
	"cairn/memcachedfront"
	"cairn/memcachedfront/protocol"
	"cairn/serve"
)

// Values on their way from a socket to the disk and back. The client here
// allocates nothing, so B/op is what the server does.
func BenchmarkValues(b *testing.B) {
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		for _, size := range []int{1 << 10, 64 << 10, 1 << 20, 8 << 20} {
			b.Run(fmt.Sprintf("%s/set/%dK", name, size>>10), func(b *testing.B) {
				request, stored := setOf(size)
				benchExchange(b, dialServer(b, blocking), request, stored)
			})
			b.Run(fmt.Sprintf("%s/get/%dK", name, size>>10), func(b *testing.B) {
				c := dialServer(b, blocking)
				request, stored := setOf(size)
				exchange(b, c, request, stored)
				benchExchange(b, c, dialect.Text{}.AppendGet(nil, []byte(key)), replyWith(size))
			})
		}
	}
}

func setOf(size int) (request, reply []byte) {
	return dialect.Text{}.AppendStore(nil, dialect.Set, []byte(key), make([]byte, size), 0, 1800), []byte(protocol.Stored)
}

func replyWith(size int) []byte {
	reply := fmt.Appendf(nil, "VALUE %s 0 %d\r\n", key, size)
	return append(append(reply, make([]byte, size)...), "\r\nEND\r\n"...)
}

// dialServer starts a server of its own, with the defaults but for the size of
// values, and connects to it.
func dialServer(b *testing.B, blocking bool) net.Conn {
	quiet := slog.New(slog.DiscardHandler)
	store, err := engine.Open(engine.Options{Dir: b.TempDir(), MaxValueSize: 16 << 20, Logger: quiet, DiskReserve: -1})
	if err != nil {
		b.Fatal(err)
	}
	server, err := memcachedfront.Listen(memcachedfront.Options{
		Options: serve.Options{
			Store: store, Clock: store, Blocking: blocking, Logger: quiet,
			Addresses: []serve.Address{{Network: "tcp", Addr: "127.0.0.1:0"}},
		},
		MaxItemSize: 16 << 20,
	})
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(context.Background()) })
	c, err := net.Dial("tcp", server.Addrs()[0].String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.Close()
		if err := server.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		serving.Wait()
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return c
}

func benchExchange(b *testing.B, c net.Conn, request, reply []byte) {
	got := make([]byte, len(reply))
	b.SetBytes(int64(max(len(request), len(reply))))
	b.ReportAllocs()
	for b.Loop() {
		exchangeInto(b, c, request, got)
	}
	if !bytes.Equal(got, reply) {
		b.Errorf("the reply is not the right one: %.40q", got)
	}
}

func exchange(b *testing.B, c net.Conn, request, reply []byte) {
	exchangeInto(b, c, request, make([]byte, len(reply)))
}

func exchangeInto(b *testing.B, c net.Conn, request, reply []byte) {
	if _, err := c.Write(request); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, reply); err != nil {
		b.Fatal(err)
	}
}
