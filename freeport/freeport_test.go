package freeport

import (
	"net"
	"testing"
)

func TestAddress(t *testing.T) {
	for range 100 {
		addr, err := Address()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if port := l.Addr().(*net.TCPAddr).Port; port < first || port >= ephemeralFrom() {
			t.Errorf("port %d", port)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
