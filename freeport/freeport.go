// Package freeport finds addresses for servers that tests and benchmarks are about to
// start, or to start again, by their number.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
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

// Address returns a loopback address, as host:port, that nobody listens on.
func Address() (string, error) {
	var errs []error
	for limit := ephemeralFrom(); len(errs) < attempts; {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(limit-first))))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no free port was found: %w", errors.Join(errs...))
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
