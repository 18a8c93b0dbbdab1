package upstream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cairn/migrate"
)

const (
	// maxLinks is how many requests an old store gets at once. Others wait for
	// their turn, within the same timeout.
	maxLinks = 16

	// patience is how many failures in a row it takes until an old store is left
	// alone, shortest and longest for how long.
	patience = 5
	shortest = time.Second
	longest  = 30 * time.Second
)

// Errors of a request that was not sent.
var (
	errResting = errors.New("it did not answer before, and is asked again later")
	errBusy    = errors.New("too many requests wait for it")
)

// server is one old store: connections to it, and the breaker that leaves it alone
// while it does not answer.
type server struct {
	source  *migrate.Source
	timeout time.Duration
	logger  *slog.Logger
	now     func() time.Time
	slots   chan struct{} // one for each request under way

	mu       sync.Mutex
	idle     []migrate.Link
	failures int           // in a row
	rest     time.Duration // the length of the rest; 0: there is none
	until    time.Time     // its end
	probing  bool          // one request is under way to see whether it answers again
	closed   bool
	lastErr  string
	lastAt   time.Time
}

func newServer(o *Options, source *migrate.Source) *server {
	return &server{source: source, timeout: o.Timeout, logger: o.Logger, now: o.Now, slots: make(chan struct{}, maxLinks)}
}

// do carries out f on a connection, within the timeout. f must do no harm if it is
// carried out twice.
func (v *server) do(f func(migrate.Link) error) error {
	if !v.admit() {
		return errResting
	}
	ctx, cancel := context.WithTimeout(context.Background(), v.timeout)
	defer cancel()
	select {
	case v.slots <- struct{}{}:
	case <-ctx.Done():
		v.note(nil, errBusy)
		return errBusy
	}
	defer func() { <-v.slots }()
	link, err := v.once(ctx, v.takeIdle(), f)
	if err != nil && link == nil && ctx.Err() == nil { // an idle connection may have been closed meanwhile
		link, err = v.once(ctx, nil, f)
	}
	v.note(link, err)
	return err
}

// everywhere carries out f at every server, at all of them at once. f is told which
// server it is, and must do no harm if it is carried out twice.
func (s *Store) everywhere(f func(server int, link migrate.Link) error) error {
	errs := make([]error, len(s.servers))
	var others sync.WaitGroup
	for i, v := range s.servers[1:] {
		others.Go(func() { errs[i+1] = v.do(func(link migrate.Link) error { return f(i+1, link) }) })
	}
	errs[0] = s.servers[0].do(func(link migrate.Link) error { return f(0, link) })
	others.Wait()
	return errors.Join(errs...)
}

// once carries out f on link, or on a new connection if that is nil. It returns the
// connection if it can be used again. The second try after a fresh connection has
// failed ends as the first.
func (v *server) once(ctx context.Context, link migrate.Link, f func(migrate.Link) error) (migrate.Link, error) {
	var err error
	if link == nil {
		if link, err = v.source.Connect(ctx); err != nil {
			return nil, err
		}
	}
	end, _ := ctx.Deadline()
	link.Within(end)
	err = f(link)
	if _, ok := errors.AsType[*migrate.Refusal](err); err == nil || ok {
		return link, err
	}
	link.Close()
	return nil, err
}

// admit reports whether a request may be sent.
func (v *server) admit() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return false
	case v.rest == 0:
		return true
	case v.probing || v.now().Before(v.until):
		return false
	}
	v.probing = true
	return true
}

func (v *server) takeIdle() migrate.Link {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := len(v.idle)
	if n == 0 {
		return nil
	}
	link := v.idle[n-1]
	v.idle = v.idle[:n-1]
	return link
}

// note learns from how a request ended.
func (v *server) note(link migrate.Link, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.probing = false
	if err != nil {
		v.lastErr, v.lastAt = err.Error(), v.now()
	}
	if link != nil {
		if v.rest > 0 {
			v.logger.Info("the upstream answers again", "upstream", v.source.String())
		}
		v.failures, v.rest = 0, 0
		if v.closed {
			link.Close()
		} else {
			v.idle = append(v.idle, link)
		}
		return
	}
	if v.failures++; v.failures < patience {
		return
	}
	if v.rest == 0 {
		v.logger.Warn("the upstream does not answer; it is asked again later", "upstream", v.source.String(), "error", err)
	}
	v.rest = min(max(2*v.rest, shortest), longest)
	v.until = v.now().Add(v.rest)
}

// resting returns for how long the server is left alone; 0: it is not, or it is time
// to see whether it answers.
func (v *server) resting() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.rest == 0 {
		return 0
	}
	return max(v.until.Sub(v.now()), 0)
}

// open lets requests be sent, close ends that and the connections that are idle.
func (v *server) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = false
}

func (v *server) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	for _, link := range v.idle {
		link.Close()
	}
	v.idle = nil
}
