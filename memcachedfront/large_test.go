package memcachedfront_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"cairn/bench/dialect"
	"cairn/memcachedfront"
	"cairn/memcachedfront/protocol"
	"cairn/session"
)

// largeStore answers every get with the same value and forgets what it is told
// to store, so that all memory is the front end's.
type largeStore struct{ value []byte }

func (s largeStore) Apply(*session.Burst, session.Completer) { panic("Try has answered") }

func (s largeStore) Try(b *session.Burst) bool {
	b.SizeResults()
	for i := range b.Commands {
		r := &b.Results[i]
		r.Status, r.Item.Key = session.OK, b.Commands[i].Key
		if b.Commands[i].Op == session.OpGet {
			r.Item.Value = s.value
		}
	}
	return true
}

const largeSize = 8 << 20

// withLargeValues runs a test for both ways to serve a connection.
func withLargeValues(t *testing.T, test func(t *testing.T, address string, value []byte)) {
	value := bytes.Repeat([]byte("0123456789abcdef"), largeSize/16)
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) {
			_, address := serverWith(t, func(o *memcachedfront.Options) {
				o.Store, o.Blocking, o.MaxItemSize = largeStore{value}, blocking, 2*largeSize
			})
			test(t, address, value)
		})
	}
}

// A large value is read into the memory that its command has, and sent from
// where the store has it.
func TestLargeValuesAreNotCopied(t *testing.T) {
	withLargeValues(t, func(t *testing.T, address string, value []byte) {
		binaryGet := dialect.Binary{}.AppendGet(nil, []byte("k"))
		set := fmt.Appendf(nil, "set k 0 0 %d\r\n%s\r\n", len(value), value)
		got := fmt.Appendf(nil, "VALUE k 0 %d\r\n%s\r\nEND\r\n", len(value), value)
		for _, e := range []struct {
			name           string
			request, reply []byte
			most           int // bytes allocated
		}{
			{"set", set, []byte("STORED\r\n"), largeSize * 3 / 2},
			{"get", []byte("get k\r\n"), got, 1 << 20},
			{"mg", []byte("mg k v\r\n"), fmt.Appendf(nil, "VA %d\r\n%s\r\n", len(value), value), 1 << 20},
			{"binary get", binaryGet, binaryItem(binaryGet, value), 1 << 20},
		} {
			c := dial(t, "tcp", address)
			if n := allocated(t, c, e.request, e.reply); n > e.most {
				t.Errorf("%s: %d bytes allocated for a value of %d", e.name, n, largeSize)
			}
		}
	})
}

// binaryItem is the answer to a request in the binary protocol for the key k.
func binaryItem(request, value []byte) []byte {
	h := protocol.BinaryHeader{Opcode: request[1], Opaque: binary.BigEndian.Uint32(request[12:])}
	return protocol.AppendBinaryItem(nil, h, &session.Item{Key: []byte("k"), Value: value}, protocol.RepeatsKey(h.Opcode), true)
}

// allocated returns the bytes that the process allocates for one exchange. The
// lowest of several figures is that of the exchange alone.
func allocated(t *testing.T, c net.Conn, request, reply []byte) int {
	t.Helper()
	got := make([]byte, len(reply))
	lowest := uint64(1) << 62
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		go c.Write(request)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, reply) {
			t.Fatalf("answer %.60q, %v, want %.60q", got, err, reply)
		}
		runtime.ReadMemStats(&after)
		lowest = min(lowest, after.TotalAlloc-before.TotalAlloc)
	}
	return int(lowest)
}

// Clients that do not read keep no copies of what they asked for, and get it
// whole in the end.
func TestSlowReadersHoldReferences(t *testing.T) {
	withLargeValues(t, func(t *testing.T, address string, value []byte) {
		const clients = 10
		line := func(key string) string { return fmt.Sprintf("VALUE %s 0 %d\r\n", key, len(value)) }
		before := memoryInUse()
		var conns []net.Conn
		for range clients {
			c := dial(t, "tcp", address)
			send(t, c, "get first k\r\nmn\r\nget k\r\n")
			expect(t, c, line("first"))
			conns = append(conns, c)
		}
		if held := memoryInUse() - before; held > largeSize {
			t.Errorf("%d clients that do not read hold %d bytes", clients, held)
		}
		k := fmt.Sprintf("%s%s\r\n", line("k"), value)
		for _, c := range conns {
			expect(t, c, string(value)+"\r\n"+k+"END\r\nMN\r\n"+k+"END\r\n")
		}
	})
}

// Large and small values mix in one answer, whatever the dialect.
func TestLargeValuesInOrder(t *testing.T) {
	for name, blocking := range map[string]bool{"loop": false, "goroutine": true} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, "tcp", startServer(t, func(o *memcachedfront.Options) { o.Blocking = blocking }))
			var says, want, keys strings.Builder
			for i, size := range []int{0, 64 << 10, 64<<10 - 1, 500 << 10, 1, 64<<10 + 1, 300 << 10} {
				value := strings.Repeat(string(rune('a'+i)), size)
				fmt.Fprintf(&says, "set k%d 0 0 %d noreply\r\n%s\r\n", i, size, value)
				fmt.Fprintf(&want, "VALUE k%d 0 %d\r\n%s\r\n", i, size, value)
				fmt.Fprintf(&keys, " k%d", i)
			}
			go io.WriteString(c, says.String()+strings.Repeat("get"+keys.String()+"\r\nmg k3 v\r\n", 3))
			meta := "VA 512000\r\n" + strings.Repeat("d", 500<<10) + "\r\n"
			expect(t, c, strings.Repeat(want.String()+"END\r\n"+meta, 3))
		})
	}
}
