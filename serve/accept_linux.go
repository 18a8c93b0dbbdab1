package serve

import (
	"context"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newLoops makes the loops that serve plain connections.
func newLoops(s *Server) ([]*loop, error) {
	if s.options.Blocking {
		return nil, nil
	}
	var loops []*loop
	for i := range s.options.Threads {
		l, err := newLoop(s, i)
		if err != nil {
			for _, l := range loops {
				l.close()
			}
			return nil, err
		}
		loops = append(loops, l)
	}
	return loops, nil
}

// nextLoop returns the loop for a new connection.
func (s *Server) nextLoop() *loop { return s.loops[s.shard()] }

// acceptForLoops takes new clients from l until it is closed, and gives them to
// the loops.
func (s *Server) acceptForLoops(l *listener) {
	var pause time.Duration
	for {
		s.gate.pass(s.life)
		fd, from, err := accept(l.raw)
		switch {
		case err == nil:
			pause = 0
			s.admitToLoop(l, fd, from)
		case s.isStopping():
			return
		case s.isFrozen():
		default:
			pause = s.pauseAccepting(l, err, pause)
		}
	}
}

// acceptRaw makes l give descriptors instead of connections, until the server
// stops.
func (s *Server) acceptRaw(l *listener) error {
	file, err := l.Listener.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return err
	}
	context.AfterFunc(s.life, func() { file.Close() })
	l.setDeadline = func(t time.Time) { file.SetReadDeadline(t) }
	if l.raw, err = file.SyscallConn(); err != nil {
		return err
	}
	return l.raw.Control(prepareListener)
}

// prepareListener makes accepted connections send small answers at once, and
// notice when the other side has died. On Linux they inherit that.
func prepareListener(fd uintptr) {
	unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60)
	unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
	unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 5)
}

// accept waits for a client and returns its descriptor, which does not block, and its
// address. unix.Accept4 would ask for the protocol of each socket.
func accept(raw syscall.RawConn) (fd int, from net.Addr, err error) {
	var sa unix.RawSockaddrAny
	readErr := raw.Read(func(listener uintptr) bool {
		for {
			size := uint32(unix.SizeofSockaddrAny)
			n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, listener, uintptr(unsafe.Pointer(&sa)),
				uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
			switch errno {
			case 0:
				fd, err = int(n), nil
				return true
			case unix.EINTR, unix.ECONNABORTED:
			case unix.EAGAIN:
				return false
			default:
				fd, err = -1, errno
				return true
			}
		}
	})
	if readErr != nil {
		return -1, nil, readErr
	}
	return fd, addrOf(&sa), err
}

// addrOf returns an address as the kernel has written it.
func addrOf(sa *unix.RawSockaddrAny) net.Addr {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return clientAddr(&unix.SockaddrInet4{Addr: in.Addr, Port: hostOrder(in.Port)})
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return clientAddr(&unix.SockaddrInet6{Addr: in.Addr, Port: hostOrder(in.Port), ZoneId: in.Scope_id})
	}
	return clientAddr(nil)
}

// hostOrder returns a port that is in the order of the network.
func hostOrder(port uint16) int {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return int(b[0])<<8 | int(b[1])
}

func clientAddr(from unix.Sockaddr) net.Addr {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: net.IP(from.Addr[:]), Port: from.Port}
	case *unix.SockaddrInet6:
		addr := &net.TCPAddr{IP: net.IP(from.Addr[:]), Port: from.Port}
		if from.ZoneId != 0 {
			addr.Zone = strconv.Itoa(int(from.ZoneId))
		}
		return addr
	}
	return &net.UnixAddr{Net: "unix"}
}

// admitToLoop returns the client behind fd to a loop, or tells it that there is no
// room.
func (s *Server) admitToLoop(on *listener, fd int, from net.Addr) {
	l := s.nextLoop()
	cl := newLoopClient(s, l, on, fd, from)
	if !s.enter(cl) {
		unix.Write(fd, s.options.Rejection)
		unix.Close(fd)
		return
	}
	cl.conn.Opened()
	if !l.announce(cl) {
		s.clients.remove(cl)
		unix.Close(fd)
		cl.conn.Closed(net.ErrClosed)
	}
}
