// Package origin says where a client comes from, as far as limits are
// concerned: what one host can have many of counts as one.
package origin

import (
	"net"
	"net/netip"
	"strconv"
)

// Origin is the network or the local user that a client belongs to: an IPv4
// address, the /64 of an IPv6 address, since a host has a whole one to choose
// from, or the user at the other end of a Unix socket. Origins are comparable.
// The zero Origin is a client that nothing is known of.
type Origin struct {
	network netip.Prefix // not valid for Unix sockets
	local   bool         // this machine's: loopback, or a Unix socket
	uid     uint32       // of the peer on a Unix socket
}

// OfAddr is the origin of an IP address. IPv4 addresses are the same in both of
// their forms, and zones do not count.
func OfAddr(addr netip.Addr) Origin {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return Origin{}
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	if addr.IsLoopback() {
		bits = addr.BitLen() // its /64 is not only loopback
	}
	network, _ := addr.Prefix(bits)
	return Origin{network: network, local: addr.IsLoopback()}
}

// OfUser is the origin of a local user who is connected by a Unix socket.
func OfUser(uid uint32) Origin { return Origin{local: true, uid: uid} }

// OfPeer is the origin of a client by its network address. All users of a Unix
// socket are one; OfConn tells them apart.
func OfPeer(addr net.Addr) Origin {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		return OfAddr(addr.AddrPort().Addr())
	case *net.UnixAddr:
		return Origin{local: true}
	}
	return Origin{}
}

// OfConn is the origin of the client at the other end of c.
func OfConn(c net.Conn) Origin {
	if unix, ok := c.(*net.UnixConn); ok {
		raw, err := unix.SyscallConn()
		if err != nil {
			return OfPeer(c.RemoteAddr())
		}
		var o Origin
		if err := raw.Control(func(fd uintptr) { o = OfSocket(int(fd), c.RemoteAddr()) }); err == nil {
			return o
		}
	}
	return OfPeer(c.RemoteAddr())
}

// OfSocket is the origin of the client at the other end of a connected socket,
// whose address is peer.
func OfSocket(fd int, peer net.Addr) Origin {
	if _, ok := peer.(*net.UnixAddr); ok {
		if uid, err := peerUser(fd); err == nil {
			return OfUser(uid)
		}
	}
	return OfPeer(peer)
}

// IsLocal reports whether the client is on this machine.
func (o Origin) IsLocal() bool { return o.local }

// String writes the origin for logs: an address, a network or a user.
func (o Origin) String() string {
	switch {
	case o.network.IsSingleIP():
		return o.network.Addr().String()
	case o.network.IsValid():
		return o.network.String()
	case o.local:
		return "unix uid " + strconv.FormatUint(uint64(o.uid), 10)
	}
	return "unknown"
}
