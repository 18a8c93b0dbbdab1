package takeover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// GiverOptions configure a Giver.
type GiverOptions struct {
	// Path of the socket, usually SocketName in the data directory. A socket
	// left behind there is replaced, so the caller must hold the store's lock.
	Path string

	// Dialect names the meaning of Conn.State. Only a taker that understands
	// it gets the connections.
	Dialect string

	// Manager describes the service manager to tell the taker about.
	Manager Manager

	Timeouts Timeouts
	Logger   *slog.Logger // default: slog.Default()
}

// Manager is what a taker needs to speak to the giver's service manager
// (sd_notify(3), sd_watchdog_enabled(3)). It is empty without one.
type Manager struct {
	NotifySocket string
	Watchdog     time.Duration
}

// Giver waits for a process that wants to take the server over.
type Giver struct {
	o        GiverOptions
	listener *net.UnixListener
	stop     func() // closes the listener; idempotent
}

// NewGiver listens on o.Path, for processes of the same user.
func NewGiver(o GiverOptions) (*Giver, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Timeouts = o.Timeouts.withDefaults()
	l, err := listen(o.Path)
	if err != nil {
		return nil, err
	}
	g := &Giver{o: o, listener: l}
	g.stop = sync.OnceFunc(func() { l.Close() })
	return g, nil
}

// Serve waits for takers until the server is given away, which it reports, or
// ctx is done. A hand-over that failed leaves the server as it was. A non-nil
// error means that there is no server any more: its store could not be opened
// again. A hand-over under way when ctx is done is aborted up to the freeze
// and completed after it.
//
// Serve removes the socket, unless the server was given away: then the next
// owner may have put its own there already.
func (g *Giver) Serve(ctx context.Context, s Server) (given bool, err error) {
	defer g.stop()
	defer context.AfterFunc(ctx, g.stop)()
	for {
		conn, err := g.listener.AcceptUnix()
		if err != nil {
			os.Remove(g.o.Path)
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return false, nil
			}
			return false, err
		}
		given, err := g.give(ctx, conn, s)
		if given || err != nil {
			return given, err
		}
	}
}

// Close makes Serve return and frees the socket's name.
func (g *Giver) Close() { g.stop() }

func (g *Giver) give(ctx context.Context, conn *net.UnixConn, s Server) (given bool, err error) {
	h := &handover{channel: channel{conn}, server: s, times: g.o.Timeouts, log: g.o.Logger}
	defer h.end()
	began := time.Now()
	if err := h.greet(ctx, g.o); err != nil {
		h.log.Warn("takeover refused", "err", err)
		h.abort(err)
		return false, nil
	}
	h.log.Info("takeover begins", "pid", h.taker.pid)
	given, err = h.run(ctx)
	switch {
	case err != nil:
		h.log.Error("takeover failed, and the other process holds the store", "err", err)
	case given:
		h.given = true
		h.log.Info("takeover complete", "pid", h.taker.pid, "connections", h.conns,
			"took", time.Since(began), "paused", time.Since(h.frozen),
			"freeze", h.spent.freeze, "send", h.spent.send, "close", h.spent.close, "open", h.spent.open)
	}
	return given, err
}

// handover is one attempt to give a server away.
type handover struct {
	channel
	server Server
	times  Timeouts
	log    *slog.Logger
	taker  *peer // nil until it is known
	given  bool
	conns  int       // sent
	frozen time.Time // when clients began to wait
	spent  steps
}

// steps is what the clients' wait was spent on.
type steps struct{ freeze, send, close, open time.Duration }

// timed calls f and sets spent to the time that it took.
func timed(spent *time.Duration, f func() error) error {
	began := time.Now()
	defer func() { *spent = time.Since(began) }()
	return f()
}

// end closes the conversation. A taker that was told to give up gets a moment
// for it.
func (h *handover) end() {
	h.conn.Close()
	if h.taker == nil {
		return
	}
	if !h.given && !h.taker.wait(h.times.GiveUp) {
		h.log.Warn("the new process hangs and is killed", "pid", h.taker.pid)
		h.taker.kill()
	}
	h.taker.forget()
}

// greet decides whether the peer may have the server, gives it the listeners,
// waits until it is prepared, and prepares the server last, so that as little as
// possible happens between that and the freeze.
func (h *handover) greet(ctx context.Context, o GiverOptions) error {
	h.deadline(h.times.Prepare)
	defer context.AfterFunc(ctx, func() { h.conn.SetDeadline(time.Unix(1, 0)) })()
	m, err := h.expect(kindHello)
	if err != nil {
		return err
	}
	hello, err := parseHello(m)
	if err != nil {
		return err
	}
	taker, err := peerOf(h.conn)
	if errors.Is(err, ErrNobody) {
		return errors.New("the new process has ended")
	}
	if err != nil {
		return err
	}
	h.taker = taker
	if err := taker.vet(o.Manager); err != nil {
		return err
	}
	if err := hello.vet(o.Dialect); err != nil {
		return err
	}
	if err := h.welcome(o.Manager); err != nil {
		return err
	}
	if _, err := h.expect(kindPrepared); err != nil {
		return err
	}
	prepareCtx, cancel := context.WithTimeout(ctx, h.times.Prepare)
	defer cancel()
	if err := h.server.Prepare(prepareCtx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
}

func (h *handover) welcome(manager Manager) error {
	listeners := h.server.Listeners()
	w := welcome{Manager: manager, Names: make([]string, len(listeners))}
	fds := make([]int, len(listeners))
	for i, l := range listeners {
		w.Names[i], fds[i] = l.Name, l.FD
	}
	if len(fds) > maxRights {
		return fmt.Errorf("%d listening sockets, at most %d can be handed over", len(fds), maxRights)
	}
	return h.sendJSON(kindWelcome, w, fds)
}

// run does all that happens while clients wait. From here on only the steps'
// own deadlines count.
func (h *handover) run(ctx context.Context) (given bool, err error) {
	h.frozen = time.Now()
	since := monotonic()
	freezeCtx, cancel := context.WithTimeout(ctx, h.times.Freeze)
	var conns []Conn
	err = timed(&h.spent.freeze, func() (err error) {
		conns, err = h.server.Freeze(freezeCtx)
		return err
	})
	cancel()
	if err != nil {
		h.abort(fmt.Errorf("freeze: %w", err))
		return false, nil
	}
	if err := timed(&h.spent.send, func() error { return h.sendConns(conns) }); err != nil {
		h.carryOn("connections were not received", err)
		return false, nil
	}
	err = timed(&h.spent.close, h.server.CloseStore)
	if err == nil {
		err = timed(&h.spent.open, func() error { return h.awaitOpened(since) })
	}
	if err != nil {
		return false, h.takeBack(err)
	}
	h.server.Release(h.taker.pid)
	if err := h.send(message{kind: kindGo}); err != nil {
		// The taker reads the end of the connection as consent.
		h.log.Warn("the new server has already exited", "err", err)
	}
	return true, nil
}

func (h *handover) sendConns(conns []Conn) error {
	h.deadline(h.times.Transfer)
	for len(conns) > 0 {
		n := batchLen(conns)
		if err := h.sendBatch(conns[:n]); err != nil {
			return err
		}
		conns = conns[n:]
		h.conns += n
	}
	return nil
}

// sendBatch waits for the acknowledgement, so that only one batch of
// descriptors is in flight: the kernel limits their number.
func (h *handover) sendBatch(conns []Conn) error {
	m := message{kind: kindConns, fds: make([]int, len(conns))}
	for i, c := range conns {
		m.fds[i] = c.FD
		m.body = appendState(m.body, c.State)
	}
	if err := h.send(m); err != nil {
		return err
	}
	_, err := h.expect(kindReceived)
	return err
}

// batchLen returns how many connections go into one message.
func batchLen(conns []Conn) int {
	const softBody = 1 << 20
	size := 0
	for i, c := range conns {
		if i == maxRights || (i > 0 && size+len(c.State) > softBody) {
			return i
		}
		size += 4 + len(c.State)
	}
	return len(conns)
}

func (h *handover) awaitOpened(since int64) error {
	h.deadline(h.times.Open)
	if err := h.sendJSON(kindClosed, closed{Conns: h.conns, FrozenAt: since}, nil); err != nil {
		return err
	}
	_, err := h.expect(kindOpened)
	return err
}

// takeBack reopens the store after the taker failed to.
func (h *handover) takeBack(cause error) error {
	if !errors.Is(cause, ErrAborted) {
		h.taker.kill()
	}
	if err := h.server.ReopenStore(); err != nil {
		return fmt.Errorf("reopen the store: %w (after: %w)", err, cause)
	}
	h.carryOn("the new server did not come up", cause)
	return nil
}

// carryOn ends a failed hand-over while the store is open.
func (h *handover) carryOn(what string, cause error) {
	h.abort(cause)
	h.server.Thaw()
	h.log.Error("takeover failed, this server goes on: "+what, "err", cause,
		"paused", time.Since(h.frozen))
}

// abort tells the taker to give up, and kills it if it cannot be told: it must
// not take the end of the connection for the death of this process.
func (h *handover) abort(reason error) {
	h.deadline(time.Second)
	if err := h.send(message{kind: kindAbort, body: []byte(reason.Error())}); err != nil {
		h.taker.kill()
	}
}

// monotonic reads a clock that all processes of the machine share, in
// nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
