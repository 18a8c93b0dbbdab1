// Package freeport finds addresses for servers that tests and benchmarks are about to
// start, or to start again, by their number.
package freeport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
)

// Ports from first up to those that the system gives to connections. One of the latter
// may be taken by any connection on the machine before the server listens, or while it
// is down.
const (
	first     = 10_000
	ephemeral = 32_768 // Linux' default
	fewest    = 1_000  // so many are enough to choose from
)

const attempts = 100

// Address returns a loopback address, as host:port, that nobody listens on, and that
// no later call returns as long as this process lives, neither its own nor, on Linux,
// one of another process.
func Address() (string, error) {
	var errs []error
	for limit := ephemeralFrom(); len(errs) < attempts; {
		addr, err := reserve(first + rand.IntN(limit-first))
		if err == nil {
			return addr, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no free port was found: %w", errors.Join(errs...))
}

// reserved has the ports that Address has returned, each with what tells other
// processes so.
var reserved = struct {
	sync.Mutex
	ports map[int]io.Closer
}{ports: map[int]io.Closer{}}

// reserve returns the loopback address with port if nobody listens there and nobody
// has reserved it.
func reserve(port int) (addr string, err error) {
	reserved.Lock()
	defer reserved.Unlock()
	if _, taken := reserved.ports[port]; taken {
		return "", fmt.Errorf("port %d is reserved", port)
	}
	claim, err := claimPort(port)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", errors.Join(err, claim.Close())
	}
	reserved.ports[port] = claim
	return l.Addr().String(), l.Close()
}

// ephemeralFrom returns the lowest port that the system gives to connections, or the
// default of that if the system leaves too few below.
func ephemeralFrom() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return ephemeral
	}
	var from int
	if _, err := fmt.Sscan(string(text), &from); err != nil || from < first+fewest {
		return ephemeral
	}
	return from
}
