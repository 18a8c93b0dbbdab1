// Package visit asks the nodes of a cluster how they are, from outside: each over a
// connection of its own, as a proxy would. It is for commands that look at a cluster
// and do not belong to it.
package visit

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"cairn/cluster/peer"
	"cairn/cluster/remote"
	"cairn/cluster/seed"
	"cairn/session/codec"
)

// Options say whom to visit.
type Options struct {
	Cluster   string         // its name
	Addresses []string       // entries of package seed; members that these nodes name are visited too
	Resolver  *net.Resolver  // of names in Addresses. nil: the system's
	Security  *peer.Security // nil: plaintext
	Program   string         // the visitor's version, for people
}

// Node is what a visit to an address has found.
type Node struct {
	Address string
	Err     error // why the node could not be asked; what follows is empty then

	Node      uint64
	Program   string        // its version
	RoundTrip time.Duration // the shortest of several
	Ahead     time.Duration // by how much its clock is before the visitor's; negative: behind
	Known     bool          // Ahead is
	Expires   time.Time     // when the certificate that it shows does; zero: plaintext
	Status    remote.Status
}

const (
	patience = 10 * time.Second // for all of a visit
	asked    = 5                // times, for the round trip
	maxFrame = 64 << 20
)

// All visits the addresses, and those of members that are found, at the same time. The
// answer has each node once, and each address at which there is none, in ascending order
// of the addresses. An entry of which SRV records, or a target of them, are not found is in it,
// too, with the reason.
func All(ctx context.Context, o Options) []Node {
	self := peer.Hello{Cluster: o.Cluster, Node: number(), Level: uint8(codec.Latest), Program: o.Program}
	next, all := resolve(ctx, o.Resolver, o.Addresses)
	seen := map[string]bool{}
	for len(next) > 0 {
		var fresh []string
		for _, a := range next {
			if !seen[a] {
				seen[a] = true
				fresh = append(fresh, a)
			}
		}
		found := make([]Node, len(fresh))
		var visits sync.WaitGroup
		for i, address := range fresh {
			visits.Go(func() { found[i] = one(ctx, address, self, o.Security) })
		}
		visits.Wait()
		next = nil
		for _, n := range found {
			if n.Err == nil && slices.ContainsFunc(all, func(m Node) bool { return m.Node == n.Node }) {
				continue // another name of it
			}
			all = append(all, n)
			for _, member := range n.Status.Nodes {
				next = append(next, member.Address)
			}
		}
	}
	slices.SortFunc(all, func(a, b Node) int { return strings.Compare(a.Address, b.Address) })
	return all
}

// resolve returns the addresses of all entries, and what SRV records lack. A host that has no
// address stays, and the visit says why.
func resolve(ctx context.Context, r *net.Resolver, entries []string) (addresses []string, lacking []Node) {
	for _, entry := range entries {
		found, errs := seed.Lookup(ctx, r, entry)
		if !seed.IsSRV(entry) && len(found) < 2 {
			addresses = append(addresses, entry)
			continue
		}
		addresses = append(addresses, found...)
		for _, err := range errs {
			lacking = append(lacking, Node{Address: entry, Err: err})
		}
	}
	return addresses, lacking
}

// number makes up a number for the visitor. It has the highest bit, as proxies' have.
func number() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:]) | 1<<63
}

func one(ctx context.Context, address string, self peer.Hello, security *peer.Security) (n Node) {
	n.Address = address
	deadline := time.Now().Add(patience)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	v, err := peer.Visit(ctx, address, self, security, maxFrame)
	if err != nil {
		n.Err = err
		return n
	}
	defer v.Close()
	for range asked {
		if n.Err = n.ask(v, deadline); n.Err != nil {
			return n
		}
	}
	n.Node, n.Program = v.To.Node, v.To.Program
	for _, certificate := range v.Shown {
		if n.Expires.IsZero() || certificate.NotAfter.Before(n.Expires) {
			n.Expires = certificate.NotAfter
		}
	}
	return n
}

// ask takes what the node says, and the clock's difference of the shortest round trip.
func (n *Node) ask(v *peer.Visitor, deadline time.Time) error {
	began := time.Now()
	answer, err := v.Call(remote.AppendCall(nil, remote.KindStatus), deadline)
	took := time.Since(began)
	if err == nil {
		answer, err = remote.Open(answer)
	}
	n.Status = remote.Status{}
	if err == nil {
		err = json.Unmarshal(answer, &n.Status)
	}
	if err != nil {
		return err
	}
	if n.RoundTrip == 0 || took < n.RoundTrip {
		n.RoundTrip = took
		if n.Known = !n.Status.Now.IsZero(); n.Known {
			n.Ahead = n.Status.Now.Sub(began.Round(0).Add(took / 2))
		}
	}
	return nil
}
