package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Endpoint is one address to listen on for memcached clients.
type Endpoint struct {
	Network string // tcp or unix
	Address string // host:port, or the path of the socket
	TLS     bool
}

// Endpoints are the addresses that the settings name together. As in
// memcached, a Unix socket turns TCP off; here addresses that are named all
// the same turn it on again.
func (c *Config) Endpoints() ([]Endpoint, error) {
	var all []Endpoint
	if c.UnixSocket != "" {
		all = append(all, Endpoint{Network: "unix", Address: c.UnixSocket})
		if !c.flags.Changed("listen") {
			return all, nil
		}
	}
	for _, entry := range c.Listen {
		e, ok, err := c.endpoint(strings.TrimSpace(entry))
		if err != nil {
			return nil, fmt.Errorf("listen %q: %w", entry, err)
		}
		if ok {
			all = append(all, e)
		}
	}
	return all, nil
}

// endpoint reads one entry of Listen: [notls:]host[:port]. ok is false where
// it has no port because TCP is off.
func (c *Config) endpoint(entry string) (e Endpoint, ok bool, err error) {
	address, plain := strings.CutPrefix(entry, "notls:")
	host, port, err := splitAddress(address)
	if err != nil {
		return e, false, err
	}
	if port == "" {
		if c.Port == 0 {
			return e, false, nil
		}
		port = strconv.Itoa(c.Port)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return e, false, fmt.Errorf("port %q is not a number up to 65535 (%d)", port, n)
	}
	if host == "*" {
		host = ""
	}
	return Endpoint{"tcp", net.JoinHostPort(host, port), c.TLS && !plain}, true, nil
}

// splitAddress takes host, host:port, [v6], [v6]:port and a bare v6 address
// apart. port is empty where none is given.
func splitAddress(address string) (host, port string, err error) {
	if ip := net.ParseIP(address); ip != nil {
		return address, "", nil
	}
	if strings.HasPrefix(address, "[") && strings.HasSuffix(address, "]") {
		return address[1 : len(address)-1], "", nil
	}
	if !strings.Contains(address, ":") {
		return address, "", nil
	}
	return net.SplitHostPort(address)
}
