package memcachedfront_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
)

// TestConnectionsForgetValues lets connections store a large value and stay: none
// keeps it.
func TestConnectionsForgetValues(t *testing.T) {
	const count, size = 40, 1 << 20
	_, plain, _, _ := startMixed(t, nil)
	value := strings.Repeat("v", size)
	connections := make([]net.Conn, count)
	ask := func(c net.Conn) { ask(t, c, fmt.Sprintf("set k 0 0 %d\r\n%s\r\n", size, value), "STORED\r\n") }
	for i := range connections {
		connections[i] = dial(t, "tcp", plain)
	}
	ask(connections[0])
	before := memoryInUse()
	for _, c := range connections {
		ask(c)
	}
	if kept := memoryInUse() - before; kept > count*size/4 {
		t.Errorf("%d connections keep %d bytes", count, kept)
	}
	runtime.KeepAlive(connections)
}
