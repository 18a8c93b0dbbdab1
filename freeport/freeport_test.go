package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

func TestAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		addr, err := Address()
		if err != nil {
			t.Fatal(err)
		}
		if seen[addr] {
			t.Errorf("%s is returned twice", addr)
		}
		seen[addr] = true
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

// A port that somebody listens on is not reserved, and is later when nobody does.
func TestReserve(t *testing.T) {
	eventually(t, func(port int) bool {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false // another process has it
		}
		if addr, err := reserve(port); err == nil {
			t.Errorf("%s, where somebody listens, is reserved", addr)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := reserve(port); err != nil {
			return false
		}
		if addr, err := reserve(port); err == nil {
			t.Errorf("%s is reserved a second time", addr)
		}
		return true
	})
}

// eventually calls holds with ports, which other processes may want as well, until it
// does once.
func eventually(t *testing.T, holds func(port int) bool) {
	t.Helper()
	for range attempts {
		if holds(first + rand.IntN(ephemeralFrom()-first)) {
			return
		}
	}
	t.Errorf("failed %d times", attempts)
}
