package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"cairn/origin"
)

// frozen is what a loop that stands still gives.
type frozen struct {
	conns []FrozenConn
	err   error
}

// freezeLoops makes all loops stand still, each when nothing is under way there
// any more, and gives their connections.
func (s *Server) freezeLoops(ctx context.Context) ([]FrozenConn, error) {
	s.budget.setHandover(true)
	results := make(chan frozen, len(s.loops))
	for _, l := range s.loops {
		if !l.do(func() { l.freezing = results }) {
			return nil, ErrNoHandover
		}
	}
	var conns []FrozenConn
	for range s.loops {
		select {
		case f := <-results:
			if f.err != nil {
				return nil, f.err
			}
			conns = append(conns, f.conns...)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return conns, nil
}

// thaw makes the loop go on.
func (l *loop) thaw() {
	l.do(func() {
		l.freezing, l.isFrozen = nil, false
		for _, cl := range l.clients {
			l.queue(cl)
		}
	})
}

// release closes the descriptors of all connections, which live on elsewhere.
func (l *loop) release() {
	l.do(func() {
		for _, cl := range l.clients {
			l.drop(cl, ErrReleased)
		}
	})
}

// do makes the loop call f. It reports false if the loop has ended.
func (l *loop) do(f func()) bool {
	return l.tell(func(m *mailbox) { m.tasks = append(m.tasks, f) })
}

// stand freezes the loop if that was asked for and nothing is under way.
func (l *loop) stand() {
	if l.freezing == nil || l.isFrozen {
		return
	}
	for _, cl := range l.clients {
		l.hurry(cl)
	}
	for _, cl := range l.clients {
		if cl.busy && !cl.sending() {
			return // its turn or errand has not ended
		}
	}
	var f frozen
	for _, cl := range l.clients {
		l.settle(cl)
		state, err := cl.connState(cl.in, cl.unsent.joined())
		f.err = errors.Join(f.err, err)
		f.conns = append(f.conns, FrozenConn{FD: cl.fd, State: state})
	}
	l.isFrozen = true
	l.freezing <- f
}

// settle makes cl independent of the turn that its answers come from.
func (l *loop) settle(cl *loopClient) {
	t := cl.held
	if t == nil {
		return
	}
	for done := false; !done; {
		l.out.Reset()
		done = cl.conn.Reply(&l.out, &t.burst)
		cl.unsent = append(cl.unsent, l.out.rest(0)...)
	}
	cl.unsent = pieces{cl.unsent.joined()} // values may stand in the turn
	l.out.Reset()
	cl.discard(t.used)
	cl.held = nil
	l.end(t)
	cl.settleMemory()
}

// Resume goes on with connections that another process has frozen. It is called
// before Serve. A connection that cannot be gone on with is closed; the error
// tells of all of those.
func (s *Server) Resume(conns []FrozenConn) error {
	if len(s.loops) == 0 {
		return ErrNoHandover
	}
	var errs []error
	for _, c := range conns {
		if err := s.resume(c); err != nil {
			unix.Close(c.FD)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Server) resume(c FrozenConn) error {
	state, err := parseConnState(c.State)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(c.FD, true); err != nil {
		return fmt.Errorf("serve: resuming a connection: %w", err)
	}
	unix.CloseOnExec(c.FD)
	from, err := unix.Getpeername(c.FD)
	if err != nil {
		return fmt.Errorf("serve: a client has gone: %w", err)
	}
	l := s.nextLoop()
	cl := newLoopClient(s, l, s.listenerNamed(state.Listener), c.FD, clientAddr(from))
	if err := cl.restore(&state); err != nil {
		return err
	}
	s.clients.know(cl.id)
	cl.in = slices.Clone(state.input) // they would keep all of the message
	cl.more = len(cl.in) > 0
	if len(state.output) > 0 {
		cl.unsent, cl.busy = pieces{slices.Clone(state.output)}, true
	}
	cl.settleMemory()
	s.clients.add(cl)
	cl.conn.Opened()
	if !l.announce(cl) {
		s.clients.remove(cl)
		cl.conn.Closed(ErrNoHandover)
		return ErrNoHandover
	}
	return nil
}

// listenerNamed returns the listener with that name, or else any.
func (s *Server) listenerNamed(name string) *listener {
	for _, l := range s.listeners {
		if l.address.String() == name {
			return l
		}
	}
	return s.listeners[0]
}

func newLoopClient(s *Server, l *loop, on *listener, fd int, from net.Addr) *loopClient {
	cl := &loopClient{loop: l, fd: fd, heard: time.Now(), writable: true}
	cl.Link.init(s, on, from, origin.OfSocket(fd, from), l.shard)
	cl.claim.granted = func() { l.tell(func(m *mailbox) { m.unparked = append(m.unparked, cl) }) }
	return cl
}
