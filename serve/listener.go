package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// listener is one place where clients connect.
type listener struct {
	net.Listener
	address Address

	// raw is where event loops get their clients from; nil if they do not.
	raw syscall.RawConn

	// setDeadline makes an attempt to accept a client fail at that time.
	setDeadline func(time.Time)
}

// Bind listens on an address, for Options.Bound. late reports that the machine
// does not have the address yet: clients can connect as soon as it does.
func Bind(a Address) (nl net.Listener, late bool, err error) {
	if a.Network == "unix" {
		nl, err = listenUnix(a)
	} else {
		nl, late, err = listenTCP(a.Addr)
	}
	if err != nil {
		return nil, false, fmt.Errorf("serve: %w", err)
	}
	return nl, late, nil
}

func listenTCP(addr string) (nl net.Listener, late bool, err error) {
	network := tcpNetwork(addr)
	nl, err = net.Listen(network, addr)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nl, false, err
	}
	free := net.ListenConfig{Control: freeBind}
	if nl, freeErr := free.Listen(context.Background(), network, addr); freeErr == nil {
		return nl, true, nil
	}
	return nil, false, err
}

func listen(a Address, o *Options) (_ *listener, err error) {
	nl := o.Bound[a.String()]
	if nl == nil {
		if nl, _, err = Bind(a); err != nil {
			return nil, err
		}
	}
	l := &listener{Listener: nl, address: a, setDeadline: func(time.Time) {}}
	if d, ok := nl.(interface{ SetDeadline(time.Time) error }); ok {
		l.setDeadline = func(t time.Time) { d.SetDeadline(t) }
	}
	return l, nil
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
	if err := os.Chmod(a.Addr, a.UnixMode()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Place is where a server listens.
type Place struct {
	Address Address  // as it was asked for
	Addr    net.Addr // as it is
}

// place tells others about l, which may be nil.
func (l *listener) place() Place {
	if l == nil {
		return Place{}
	}
	return Place{l.address, l.Addr()}
}

// Places returns where the server listens, in the order of the options.
func (s *Server) Places() []Place {
	places := make([]Place, len(s.listeners))
	for i, l := range s.listeners {
		places[i] = l.place()
	}
	return places
}
