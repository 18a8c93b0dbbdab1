package serve_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"cairn/serve"
)

// await waits until the figures are as wanted.
func await(t *testing.T, s *serve.Server, what string, wanted func(serve.Figures) bool) {
	t.Helper()
	for range 60_000 {
		if wanted(s.Figures()) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no %s: %+v", what, s.Figures())
}

// withLittleMemory runs a test for connections that share 4 MiB, on a loop and on
// goroutines.
func withLittleMemory(t *testing.T, test func(t *testing.T, s *serve.Server, connect func() net.Conn)) {
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, func(o *serve.Options) {
				o.BufferBytes, o.StallTimeout, o.Blocking = 4<<20, time.Minute, blocking
			})
			test(t, s, func() net.Conn { return dial(t, "tcp", s.Addrs()[0].String()) })
		})
	}
}

// Many large requests at once take no more memory than there is, and all are
// carried out; small ones do not wait for them.
func TestLargeRequestsWaitForMemory(t *testing.T) {
	withLittleMemory(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		const clients, size = 20, 3 << 20
		body := strings.Repeat("x", size)
		var conns []net.Conn
		small := connect()
		for range clients {
			c := connect()
			send(t, c, "blob 3145728\n"+body[:100_000])
			conns = append(conns, c)
		}
		await(t, s, "waiting clients", func(f serve.Figures) bool { return f.Waiting == clients-1 })
		send(t, small, "put a 1\nget a\n")
		expect(t, small, "ok\n1\n")
		for _, c := range conns {
			go io.WriteString(c, body[100_000:])
		}
		for _, c := range conns {
			if f := s.Figures(); f.Buffered > 4<<20+clients*128<<10 {
				t.Errorf("%d bytes are held", f.Buffered)
			}
			expect(t, c, "3145728\n")
		}
		await(t, s, "memory back", func(f serve.Figures) bool { return f.Buffered == 0 && f.Waiting == 0 })
	})
}

// Large answers that nobody takes make others wait who want more of them, not
// those who want little.
func TestLargeAnswersCount(t *testing.T) {
	withLittleMemory(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		hoarder, other, small := connect(), connect(), connect()
		send(t, other, "fill v 3000000\nget v\n")
		large := strings.Repeat("x", 3_000_000) + "\n"
		expect(t, other, "ok\n"+large)
		send(t, hoarder, strings.Repeat("get v\n", 15))
		await(t, s, "answers held", func(f serve.Figures) bool { return f.Buffered > 10_000_000 })
		send(t, other, "get v\n")
		send(t, small, "whoami\n")
		expect(t, small, "\n")
		expect(t, hoarder, strings.Repeat(large, 15))
		expect(t, other, large)
		await(t, s, "memory back", func(f serve.Figures) bool { return f.Buffered == 0 && f.Waiting == 0 })
	})
}

// A connection that has got memory for answers, and sends a large request instead,
// waits for memory again if another has taken it.
func TestMemoryForAnswersGoesToOthers(t *testing.T) {
	withLittleMemory(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		const size = 3 << 20
		body := strings.Repeat("x", size)
		begin, rest := "blob 3145728\n"+body[:100_000], body[100_000:]
		holder, reader, writer := connect(), connect(), connect()
		send(t, reader, "fill v 3000000\nget v\n")
		expect(t, reader, "ok\n"+strings.Repeat("x", 3_000_000)+"\n")
		for range 20 {
			send(t, holder, begin)
			await(t, s, "memory held", func(f serve.Figures) bool { return f.Buffered >= size })
			send(t, reader, "get v\n")
			await(t, s, "waiting reader", func(f serve.Figures) bool { return f.Waiting == 1 })
			send(t, holder, rest)
			expect(t, holder, "3145728\n")
			expect(t, reader, strings.Repeat("x", 3_000_000)+"\n")

			send(t, holder, begin)
			await(t, s, "memory held", func(f serve.Figures) bool { return f.Buffered >= size })
			send(t, reader, begin)
			await(t, s, "waiting reader", func(f serve.Figures) bool { return f.Waiting == 1 })
			send(t, writer, begin)
			await(t, s, "waiting writer", func(f serve.Figures) bool { return f.Waiting == 2 })
			send(t, holder, rest)
			expect(t, holder, "3145728\n")
			go io.WriteString(reader, rest)
			go io.WriteString(writer, rest)
			expect(t, writer, "3145728\n")
			expect(t, reader, "3145728\n")
			await(t, s, "memory back", func(f serve.Figures) bool { return f.Buffered == 0 && f.Waiting == 0 })
			send(t, reader, "get v\n")
			expect(t, reader, strings.Repeat("x", 3_000_000)+"\n")
		}
	})
}

// A client that begins a large request and says no more does not keep others
// from theirs for ever.
func TestStalledClientsEnd(t *testing.T) {
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, func(o *serve.Options) {
				o.BufferBytes, o.StallTimeout, o.Blocking = 4<<20, 50*time.Millisecond, blocking
			})
			stalled, other := dial(t, "tcp", s.Addrs()[0].String()), dial(t, "tcp", s.Addrs()[0].String())
			body := strings.Repeat("x", 3<<20)
			send(t, stalled, "blob 3145728\n"+body[:100_000])
			await(t, s, "memory held", func(f serve.Figures) bool { return f.Buffered >= 3<<20 })
			time.Sleep(200 * time.Millisecond) // nobody waits for it: nothing happens
			if n := s.Figures().Stalled; n > 0 {
				t.Fatalf("%d were closed although nobody waits", n)
			}
			send(t, other, "blob 3145728\n"+body)
			expect(t, other, "3145728\n")
			if n, err := stalled.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("the client that stalled is still there")
			}
		})
	}
}

// Whoever waits for memory can leave, be closed, and does not hold up a stop.
func TestWaitingForMemoryEnds(t *testing.T) {
	withLittleMemory(t, func(t *testing.T, s *serve.Server, connect func() net.Conn) {
		begin := "blob 3145728\n" + strings.Repeat("x", 100_000)
		holder, waiting := connect(), connect()
		send(t, holder, begin)
		await(t, s, "memory held", func(f serve.Figures) bool { return f.Buffered >= 3<<20 })
		send(t, waiting, begin)
		await(t, s, "waiting client", func(f serve.Figures) bool { return f.Waiting == 1 })
		for _, l := range s.Links() {
			if l.Remote().String() == waiting.LocalAddr().String() {
				s.CloseConnection(l.ID())
			}
		}
		await(t, s, "end of the wait", func(f serve.Figures) bool { return f.Waiting == 0 })
		last := connect()
		send(t, last, begin)
		await(t, s, "waiting client", func(f serve.Figures) bool { return f.Waiting == 1 })
	})
}
