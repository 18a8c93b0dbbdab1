package serve

import (
	"context"
	"errors"
	"net"
	"time"
)

// FrozenConn is an open connection between two owners.
type FrozenConn struct {
	// FD is the connection's socket. One that Freeze gives stays the server's,
	// one given to Resume becomes the server's.
	FD int

	// State is what else the new owner needs to go on exactly where the old
	// one stopped.
	State []byte
}

// ErrNoHandover says that connections cannot be handed over: only those that
// event loops serve can.
var ErrNoHandover = errors.New("serve: connections cannot be handed over")

// ErrReleased is what a connection is closed with, here, that another process goes
// on with.
var ErrReleased = errors.New("serve: another process goes on with the connection")

// blockingGrace is how long Freeze waits for connections that cannot be handed
// over to finish what is under way. The others are served meanwhile.
const blockingGrace = 500 * time.Millisecond

// Freeze stops serving without closing a connection: it accepts nobody, finishes
// what is under way, and reads no more. It returns the connections as they are
// then. Those with TLS, and those that watch or dump at the moment, are closed, as
// are logins that take longer than a right password does. Thaw or Release comes
// next. On an error the server has thawed.
func (s *Server) Freeze(ctx context.Context) ([]FrozenConn, error) {
	if len(s.loops) == 0 {
		return nil, ErrNoHandover
	}
	conns, err := s.freeze(ctx)
	if err != nil {
		s.Thaw()
	}
	return conns, err
}

func (s *Server) freeze(ctx context.Context) ([]FrozenConn, error) {
	if err := s.gate.close(ctx, len(s.listeners), s.interruptAccepting); err != nil {
		return nil, err
	}
	s.clients.wakeAll()
	s.endErrands.Load().cancel()
	if err := s.partWithBlocking(ctx); err != nil {
		return nil, err
	}
	return s.freezeLoops(ctx)
}

// partWithBlocking waits until the connections that cannot be handed over have
// ended. One whose client does not take its answers is cut.
func (s *Server) partWithBlocking(ctx context.Context) error {
	grace, cancel := context.WithTimeout(ctx, blockingGrace)
	defer cancel()
	if s.clients.awaitGone(grace, isBlocking) == nil {
		return nil
	}
	for _, cl := range s.clients.list() {
		if isBlocking(cl) {
			cl.hangUp()
		}
	}
	return s.clients.awaitGone(ctx, isBlocking)
}

// Thaw undoes Freeze.
func (s *Server) Thaw() {
	s.renewErrands()
	s.budget.setHandover(false)
	for _, l := range s.loops {
		l.thaw()
	}
	s.resumeAccepting()
	s.gate.open()
}

// Release forgets the frozen connections and the listeners: they are another
// process's now. What remains is to shut the server down.
func (s *Server) Release() {
	for _, l := range s.listeners {
		if unix, ok := l.Listener.(*net.UnixListener); ok {
			unix.SetUnlinkOnClose(false)
		}
	}
	for _, l := range s.loops {
		l.release()
	}
}

// isFrozen reports whether clients are not to be served at the moment.
func (s *Server) isFrozen() bool { return s.gate.isClosed() }

// interruptAccepting makes those who wait for clients look at the gate.
func (s *Server) interruptAccepting() {
	for _, l := range s.listeners {
		l.setDeadline(time.Unix(1, 0))
	}
}

func (s *Server) resumeAccepting() {
	for _, l := range s.listeners {
		l.setDeadline(time.Time{})
	}
}

func isBlocking(cl client) bool {
	_, ok := cl.(*netClient)
	return ok
}

// errands is what the errands under way live by.
type errands struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// renewErrands lets new errands run.
func (s *Server) renewErrands() {
	e := new(errands)
	e.ctx, e.cancel = context.WithCancel(s.life)
	s.endErrands.Store(e)
}
