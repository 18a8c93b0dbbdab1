package memcachedfront_test

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"

	"cairn/memcachedfront"
)

// TestIdleConnectionsCostLittle measures the memory that connections keep which
// have been used and are silent now: goroutines, buffers and the protocol's
// state. The clients' half is in it too. CAIRN_IDLE_CONNECTIONS gives another
// number of connections.
func TestIdleConnectionsCostLittle(t *testing.T) {
	count := 300
	if n, err := strconv.Atoi(os.Getenv("CAIRN_IDLE_CONNECTIONS")); err == nil {
		count = n
	}
	secure, plain, _, config := startMixed(t, func(o *memcachedfront.Options) { o.ConnLimit = 3 * count })
	for _, c := range []struct {
		name    string
		connect func() net.Conn
		most    int // bytes per connection
	}{
		{"plain text", func() net.Conn { return dial(t, "tcp", plain) }, 16 << 10},
		{"TLS", func() net.Conn { return dialTLS(t, secure, config) }, 96 << 10},
	} {
		before := memoryInUse()
		connections := make([]net.Conn, count)
		for i := range connections {
			connections[i] = c.connect()
			ask(t, connections[i], "set k 0 0 1\r\nv\r\nget k\r\n", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n")
		}
		each := (memoryInUse() - before) / count
		t.Logf("%s: %d idle connections keep %d bytes each", c.name, count, each)
		if most := c.most * raceFactor; each > most {
			t.Errorf("%s: that is more than %d", c.name, most)
		}
		runtime.KeepAlive(connections)
	}
}

// memoryInUse is what the heap and the stacks take, in bytes.
func memoryInUse() int {
	for range 3 { // pools need two collections to become empty
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
