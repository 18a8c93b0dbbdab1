package serve

import (
	"context"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

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
			s.admitToLoop(l, fd, clientAddr(from))
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

// accept waits for a client and gives its descriptor, which does not block.
func accept(raw syscall.RawConn) (fd int, from unix.Sockaddr, err error) {
	readErr := raw.Read(func(listener uintptr) bool {
		for {
			fd, from, err = unix.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != unix.EINTR && err != unix.ECONNABORTED {
				return err != unix.EAGAIN
			}
		}
	})
	if readErr != nil {
		err = readErr
	}
	return fd, from, err
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
	if !l.tell(func(m *mailbox) { m.newcomers = append(m.newcomers, cl) }) {
		s.clients.remove(cl)
		unix.Close(fd)
	}
}
