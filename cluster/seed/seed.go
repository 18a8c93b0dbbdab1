// Package seed finds the addresses at which a process looks for the nodes of a cluster. An
// entry of --join is host:port, or the name of SRV records, which have the ports.
package seed

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// IsSRV reports whether an entry is the name of SRV records: it begins with an underscore, as
// no host does.
func IsSRV(entry string) bool { return strings.HasPrefix(entry, "_") }

// Resolve returns the addresses of entries, as far as they have any, and of those that have
// none why. nil is the resolver of the system.
func Resolve(ctx context.Context, r *net.Resolver, entries []string) (addresses, failures []string) {
	for _, entry := range entries {
		found, errs := Lookup(ctx, r, entry)
		addresses = append(addresses, found...)
		for _, err := range errs {
			failures = append(failures, fmt.Sprintf("%s: %v", entry, err))
		}
	}
	return addresses, failures
}

// Lookup returns the addresses of an entry, as IP:port, and why it has none; of SRV records
// those of all targets, whatever their priorities and weights, and why some have none.
func Lookup(ctx context.Context, r *net.Resolver, entry string) (addresses []string, errs []error) {
	targets, err := targetsOf(ctx, r, entry)
	if err != nil {
		errs = append(errs, err)
	}
	for _, t := range targets {
		ips, err := r.LookupHost(ctx, t.host)
		if err != nil {
			errs = append(errs, err)
		}
		for _, ip := range ips {
			addresses = append(addresses, net.JoinHostPort(ip, t.port))
		}
	}
	return addresses, errs
}

type target struct{ host, port string }

// targetsOf returns what an entry names. There may be some and an error, if not all records
// are valid.
func targetsOf(ctx context.Context, r *net.Resolver, entry string) (targets []target, err error) {
	if !IsSRV(entry) {
		host, port, err := net.SplitHostPort(entry)
		if err != nil {
			return nil, err
		}
		return []target{{host, port}}, nil
	}
	_, records, err := r.LookupSRV(ctx, "", "", entry)
	for _, s := range records {
		targets = append(targets, target{s.Target, strconv.Itoa(int(s.Port))})
	}
	return targets, err
}
