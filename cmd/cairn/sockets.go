package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"

	"cairn/cmd/cairn/config"
	"cairn/serve"
	"cairn/takeover"
)

// Purposes of listening sockets. The service manager says them as
// FileDescriptorName= (systemd.socket(5)).
const (
	forMemcached = "memcached"
	forPlain     = "notls" // memcached's protocols without TLS
	forHTTP      = "http"
)

// activatedPrefix marks, between two processes, a socket that the service
// manager opened for the first of them.
const activatedPrefix = "activated "

// sockets are the listening sockets of a server. It opens those itself that it
// did not find open when it started.
type sockets struct {
	// activated are the service manager's, by purpose. They stand in for the
	// configured addresses of that purpose.
	activated map[string][]net.Listener

	// former are those of the process before, by name.
	former map[string]net.Listener

	memcached []serve.Address
	bound     map[string]net.Listener // by the String of its address
	http      []*lentListener
	names     map[net.Listener]string // all of them, for the process after

	logger *slog.Logger
}

// newSockets takes what the service manager gave, by FileDescriptorName=. A
// socket unit without that has its own name there.
func newSockets(given map[string][]net.Listener) (*sockets, error) {
	s := &sockets{
		activated: map[string][]net.Listener{},
		former:    map[string]net.Listener{},
		bound:     map[string]net.Listener{},
		names:     map[net.Listener]string{},
	}
	for name, listeners := range given {
		purpose := name
		if strings.HasSuffix(name, ".socket") {
			purpose = forMemcached
		}
		switch purpose {
		case forMemcached, forPlain, forHTTP:
			s.activated[purpose] = append(s.activated[purpose], listeners...)
		default:
			return nil, fmt.Errorf("a socket from the service manager is called %q: FileDescriptorName= must be %s, %s or %s",
				name, forMemcached, forPlain, forHTTP)
		}
	}
	return s, nil
}

// inherit takes the sockets of the process before.
func (s *sockets) inherit(listeners []takeover.Listener) error {
	var errs []error
	for _, l := range listeners {
		file := os.NewFile(uintptr(l.FD), l.Name)
		listener, err := net.FileListener(file)
		errs = append(errs, err, file.Close())
		if err != nil {
			continue
		}
		if purpose, ok := strings.CutPrefix(l.Name, activatedPrefix); ok {
			s.activated[purpose] = append(s.activated[purpose], listener)
		} else {
			s.former[l.Name] = listener
		}
	}
	return errors.Join(errs...)
}

// bind makes sure that there is a socket for everything that cfg asks for, and
// closes what it does not.
func (s *sockets) bind(cfg *config.Config, logger *slog.Logger) error {
	s.logger = logger
	if err := s.bindHTTP(cfg); err != nil {
		return err
	}
	if err := s.bindMemcached(cfg); err != nil {
		return err
	}
	for _, l := range s.former {
		l.Close()
	}
	clear(s.former)
	return nil
}

func (s *sockets) bindMemcached(cfg *config.Config) error {
	if len(s.activated[forMemcached])+len(s.activated[forPlain]) > 0 {
		for _, purpose := range []string{forMemcached, forPlain} {
			for _, l := range s.activated[purpose] {
				a := serve.Address{Network: l.Addr().Network(), Addr: l.Addr().String(), Plain: purpose == forPlain}
				s.add(a, l, activatedPrefix+purpose)
			}
		}
		return nil
	}
	addresses, err := cfg.Addresses()
	if err != nil {
		return err
	}
	return s.open(forMemcached, addresses, s.add)
}

// open makes sure that there is a socket for all addresses, and passes each to
// add with its name. What a name or every interface stands for is looked up, unless
// the process before had one socket for it.
func (s *sockets) open(purpose string, addresses []serve.Address, add func(serve.Address, net.Listener, string)) error {
	var missing []serve.Address
	for _, a := range addresses {
		name := purpose + " " + a.String()
		if l := s.former[name]; l != nil {
			delete(s.former, name)
			add(a, l, name)
		} else {
			missing = append(missing, a)
		}
	}
	missing, err := serve.Resolve(context.Background(), missing)
	if err != nil {
		return err
	}
	for _, a := range missing {
		name := purpose + " " + a.String()
		l := s.takeFormer(name, a.Network, a.Addr)
		if l == nil {
			if l, err = s.bindOne(a); err != nil {
				return err
			}
		}
		add(a, l, name)
	}
	return nil
}

func (s *sockets) bindOne(a serve.Address) (net.Listener, error) {
	l, late, err := serve.Bind(a)
	if late {
		s.logger.Warn("the machine does not have this address yet; clients can connect once it does", "address", a.String())
	}
	return l, err
}

func (s *sockets) add(a serve.Address, l net.Listener, name string) {
	s.memcached = append(s.memcached, a)
	s.bound[a.String()] = l
	s.names[l] = name
}

// takeFormer returns the socket of the process before that has the name, or else
// one that is bound to the address; nil if there is none.
func (s *sockets) takeFormer(name, network, address string) net.Listener {
	if _, ok := s.former[name]; !ok {
		name = s.formerAt(network, address)
	}
	l := s.former[name]
	delete(s.former, name)
	return l
}

func (s *sockets) formerAt(network, address string) (name string) {
	if network == "tcp" {
		if resolved, err := net.ResolveTCPAddr(network, address); err == nil {
			address = resolved.String()
		}
	}
	for name, l := range s.former {
		if l.Addr().Network() == network && l.Addr().String() == address {
			return name
		}
	}
	return ""
}

func (s *sockets) bindHTTP(cfg *config.Config) error {
	if given := s.activated[forHTTP]; len(given) > 0 {
		for _, l := range given {
			s.addHTTP(serve.Address{}, l, activatedPrefix+forHTTP)
		}
		return nil
	}
	addresses, err := cfg.HTTPAddresses()
	if err != nil {
		return err
	}
	err = s.open(forHTTP, addresses, s.addHTTP)
	if errors.Is(err, syscall.EADDRINUSE) && cfg.HTTPIsDefault() {
		s.logger.Warn("no HTTP API: its default address is in use, set another with http-listen", "address", cfg.HTTPListen)
		return nil
	}
	return err
}

func (s *sockets) addHTTP(_ serve.Address, l net.Listener, name string) {
	s.http = append(s.http, &lentListener{deadlineListener: l.(deadlineListener)})
	s.names[l] = name
}

// forTaker gives the sockets to the process that takes over. They stay this
// one's.
func (s *sockets) forTaker() []takeover.Listener {
	var list []takeover.Listener
	for l, name := range s.names {
		raw, err := l.(syscall.Conn).SyscallConn()
		if err == nil {
			raw.Control(func(fd uintptr) { list = append(list, takeover.Listener{Name: name, FD: int(fd)}) })
		}
	}
	return list
}

func (s *sockets) close() {
	for l := range s.names {
		l.Close()
	}
	for _, l := range s.former {
		l.Close()
	}
}
