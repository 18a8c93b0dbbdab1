package serve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Resolve returns the addresses that have to be bound for those that were asked
// for, each once: as in memcached, a name stands for all that it resolves to, and
// every interface for an IPv4 address and an IPv6 one, where there is IPv6.
func Resolve(ctx context.Context, asked []Address) ([]Address, error) {
	var all []Address
	for _, a := range asked {
		resolved, err := a.resolve(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range resolved {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

func (a Address) resolve(ctx context.Context) ([]Address, error) {
	if a.Network == "unix" {
		return []Address{a}, nil
	}
	host, port, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return nil, fmt.Errorf("serve: listen address: %w", err)
	}
	hosts := []string{host}
	if host == "" {
		hosts = everyInterface()
	} else if _, err := netip.ParseAddr(host); err != nil {
		if hosts, err = net.DefaultResolver.LookupHost(ctx, host); err != nil {
			return nil, fmt.Errorf("serve: listen address %s: %w", host, err)
		}
	}
	list := make([]Address, len(hosts))
	for i, host := range hosts {
		list[i] = a
		list[i].Addr = net.JoinHostPort(host, port)
	}
	return list, nil
}

// everyInterface returns the addresses that stand for all of the machine's.
func everyInterface() []string {
	l, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		return []string{"0.0.0.0"}
	}
	l.Close()
	return []string{"0.0.0.0", "::"}
}

// tcpNetwork is the network to listen on for an address: an IPv6 socket takes no
// IPv4 clients, and the other way round, if the address says which it is.
func tcpNetwork(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "tcp"
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Is4() || ip.Is4In6():
		return "tcp4"
	}
	return "tcp6"
}

// parseHost returns the host of an address without a port, which may be an IPv6
// address in brackets or without, with a zone or without. ok: it is an address.
func parseHost(s string) (host string, ok bool) {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	_, err := netip.ParseAddr(bare)
	return bare, err == nil
}
