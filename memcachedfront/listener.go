package memcachedfront

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// listener is one place where clients connect.
type listener struct {
	net.Listener
	address Address
}

func listen(a Address, o *Options) (*listener, error) {
	var nl net.Listener
	var err error
	if a.Network == "unix" {
		nl, err = listenUnix(a)
	} else {
		nl, err = net.Listen("tcp", a.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("memcachedfront: %w", err)
	}
	return &listener{Listener: nl, address: a}, nil
}

// listenUnix listens on a Unix socket. One that a dead process left behind is
// replaced; one in use is an error.
func listenUnix(a Address) (net.Listener, error) {
	if conn, err := net.Dial("unix", a.Addr); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen unix %s: another process is listening there", a.Addr)
	}
	if info, err := os.Lstat(a.Addr); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(a.Addr)
	}
	l, err := net.Listen("unix", a.Addr)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(a.Addr, a.mode()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// describe gives an address on the listener's network as "stats conns" shows
// it.
func (l *listener) describe(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	switch {
	case !ok:
		return "unix:" + l.address.Addr
	case tcp.IP.To4() == nil:
		return "tcp6:" + tcp.String()
	}
	return "tcp:" + tcp.String()
}
