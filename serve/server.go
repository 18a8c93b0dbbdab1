package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves clients.
type Server struct {
	options   Options
	listeners []*listener
	loops     []*loop
	nextShard atomic.Uint32
	clients   clients
	traffic   []traffic // by shard
	budget    budget

	hurrier    hurrier    // the Store, if clients may wait for it; else nil
	prefetcher prefetcher // the Store, if it can prefetch; else nil

	// life ends when the server is to serve nobody any more.
	life     context.Context
	endLife  context.CancelFunc
	stopOnce sync.Once

	// endErrands ends those under way.
	endErrands atomic.Pointer[errands]

	// gate stops accepting while the server is frozen.
	gate *gate

	// serving waits for Serve; work for the goroutines of listeners and
	// clients.
	serving sync.WaitGroup
	work    sync.WaitGroup
}

// Listen opens the listeners of a Server. Clients may connect from then on;
// they are served once Serve runs.
func Listen(o Options) (*Server, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	for _, a := range s.options.Addresses {
		l, err := listen(a, &s.options)
		if err != nil {
			s.closeListeners()
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	if err := s.prepareLoops(); err != nil {
		s.closeListeners()
		return nil, fmt.Errorf("serve: %w", err)
	}
	s.serving.Add(1)
	return s, nil
}

// prepareLoops makes the event loops, if there are to be any, and the listeners
// that feed them.
func (s *Server) prepareLoops() (err error) {
	if s.loops, err = newLoops(s); err != nil || len(s.loops) == 0 {
		return err
	}
	for _, l := range s.listeners {
		if !s.isSecure(l) {
			err = errors.Join(err, s.acceptRaw(l))
		}
	}
	return err
}

// newServer makes a Server without listeners.
func newServer(o Options) (*Server, error) {
	if err := o.SetDefaults(); err != nil {
		return nil, err
	}
	if o.Protocol == nil {
		return nil, errors.New("serve: Options need a Protocol")
	}
	s := &Server{options: o, traffic: make([]traffic, o.Threads), budget: budget{limit: o.BufferBytes}}
	s.hurrier, _ = o.Store.(hurrier)
	s.prefetcher, _ = o.Store.(prefetcher)
	s.life, s.endLife = context.WithCancel(context.Background())
	s.renewErrands()
	s.gate = newGate()
	s.clients.admission = admission{
		limit:     o.ConnLimit,
		reserved:  max(o.ReservedConns, 0),
		perOrigin: o.OriginConnLimit,
		login:     o.Login,
		patience:  o.LoginTimeout,
	}
	return s, nil
}

// shard returns the next shard for a connection.
func (s *Server) shard() int { return int(s.nextShard.Add(1) % uint32(s.options.Threads)) }

// Addrs returns the addresses the server listens on, in the order of the options.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Serve serves clients until ctx ends or Shutdown is called, and returns when
// every connection is closed. It is called once. When ctx ends, bursts in
// flight are finished first.
func (s *Server) Serve(ctx context.Context) error {
	defer s.serving.Done()
	for _, l := range s.loops {
		s.work.Go(l.run)
	}
	for _, l := range s.listeners {
		if l.raw != nil {
			s.work.Go(func() { s.acceptForLoops(l) })
		} else {
			s.work.Go(func() { s.accept(l) })
		}
	}
	s.work.Go(s.expelStrangers)
	s.work.Go(s.endStalls)
	s.work.Go(func() {
		select {
		case <-ctx.Done():
			s.stop()
		case <-s.life.Done():
		}
	})
	s.work.Wait()
	return nil
}

// Shutdown stops the server: it accepts nobody any more, lets every burst in
// flight finish and its answers go out, and closes the connections. When ctx
// ends first they are closed as they are, and its error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.clients.closeAll()
		<-done
		return ctx.Err()
	}
}

// stop makes everything that serves clients come to an end.
func (s *Server) stop() {
	s.stopOnce.Do(func() {
		s.endLife()
		s.closeListeners()
		s.clients.wakeAll()
		for _, l := range s.loops {
			l.stop()
		}
	})
}

func (s *Server) isStopping() bool {
	return s.life.Err() != nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// accept takes new clients from l until it is closed.
func (s *Server) accept(l *listener) {
	var pause time.Duration
	for {
		s.gate.pass(s.life)
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(l, nc)
		case errors.Is(err, net.ErrClosed):
			return
		case s.isFrozen():
		default:
			pause = s.pauseAccepting(l, err, pause)
		}
	}
}

// pauseAccepting waits after a failed attempt to accept a client, and longer
// than the last time. Most likely the process has no descriptor left: waiting is
// all that can help, some client will go.
func (s *Server) pauseAccepting(l *listener, err error, last time.Duration) time.Duration {
	pause := min(max(2*last, 5*time.Millisecond), time.Second)
	s.options.Logger.Warn("cannot accept a connection", "listener", l.address.String(), "error", err)
	s.sleep(pause)
	return pause
}

// sleep waits for d or until the server stops.
func (s *Server) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.life.Done():
	}
}

// admit serves nc, or tells it that there is no room.
func (s *Server) admit(l *listener, nc net.Conn) {
	nc = s.secure(l, nc)
	cl := newNetClient(s, l, nc)
	if !s.enter(cl) {
		s.work.Go(func() { s.reject(nc) })
		return
	}
	s.work.Go(func() {
		defer s.clients.remove(cl)
		cl.serve()
	})
}

// enter lets a client in if there is room for it, or a stranger makes some.
func (s *Server) enter(cl client) bool {
	leaves, ok := s.clients.admit(cl)
	switch {
	case !ok:
		s.clients.rejected.Add(1)
	case leaves != nil:
		s.clients.expelled.Add(1)
		leaves.hangUp()
	}
	return ok
}

// reject tells a client that there is no room for it.
func (s *Server) reject(nc net.Conn) {
	nc.SetDeadline(time.Now().Add(rejectionTimeout))
	nc.Write(s.options.Rejection)
	nc.Close()
}
