package serve

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Address is one place to listen on.
type Address struct {
	Network string // "tcp" or "unix"
	Addr    string // host:port, or the path of a socket

	// Plain keeps the listener free of TLS where the others have it.
	Plain bool

	// Mode is the permission of a Unix socket. Default 0700.
	Mode os.FileMode
}

// String returns the address as operators write it.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Addr
	}
	if a.Plain {
		return "notls:" + a.Addr
	}
	return a.Addr
}

// UnixMode returns the permission that a Unix socket gets.
func (a Address) UnixMode() os.FileMode {
	if a.Mode == 0 {
		return 0o700
	}
	return a.Mode
}

// ParseListen reads memcached's option -l: addresses separated by commas, each
// a host name, an IP address, or either with a port, perhaps behind "notls:".
// An address without a port gets port. "*" and "" stand for all interfaces. IPv6
// addresses may have a zone.
func ParseListen(list string, port int) ([]Address, error) {
	var addresses []Address
	for field := range strings.SplitSeq(list, ",") {
		field = strings.TrimSpace(field)
		plain := strings.HasPrefix(field, "notls:")
		addr, err := parseHostPort(strings.TrimPrefix(field, "notls:"), port)
		if err != nil {
			return nil, fmt.Errorf("listen address %q: %w", field, err)
		}
		addresses = append(addresses, Address{Network: "tcp", Addr: addr, Plain: plain})
	}
	return addresses, nil
}

func parseHostPort(s string, port int) (string, error) {
	portText := strconv.Itoa(port)
	host, isAddr := parseHost(s)
	if !isAddr && strings.Contains(s, ":") {
		var err error
		if host, portText, err = net.SplitHostPort(s); err != nil {
			return "", err
		}
	}
	if host == "*" {
		host = ""
	}
	if n, err := strconv.Atoi(portText); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("port %q is not a number from 0 to 65535", portText)
	}
	return net.JoinHostPort(host, portText), nil
}
