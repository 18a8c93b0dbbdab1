package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// protocol is the version of the messages. Both processes must speak the same.
const protocol = 1

type hello struct {
	Protocol int
	Dialects []string // of Conn.State that the taker understands
	Version  string   // of the taker's program, for logs
}

type welcome struct {
	Manager Manager
	Names   []string // of the listeners
}

type closed struct {
	Conns    int   // that were sent
	FrozenAt int64 // CLOCK_MONOTONIC, nanoseconds
}

func parseHello(m message) (hello, error) {
	var h hello
	if err := json.Unmarshal(m.body, &h); err != nil {
		return h, fmt.Errorf("hello: %w", err)
	}
	if h.Protocol != protocol {
		return h, fmt.Errorf("the other process speaks version %d of the takeover protocol, this one %d", h.Protocol, protocol)
	}
	return h, nil
}

func (h hello) vet(dialect string) error {
	if !slices.Contains(h.Dialects, dialect) {
		return fmt.Errorf("cairn %s understands connections in %q, not in %q", h.Version, h.Dialects, dialect)
	}
	return nil
}

// TakerOptions configure Dial.
type TakerOptions struct {
	Path     string   // as in GiverOptions
	Dialects []string // those of Conn.State that this process understands
	Version  string   // of this program

	// Timeout bounds each wait for the giver. It must outlast the giver's own
	// limits. Default 2 min.
	Timeout time.Duration
}

// Taker is a new process that takes a server over: Listeners, Receive, Opened,
// Close, in this order. After an error of one of them only Close follows.
type Taker struct {
	channel
	timeout   time.Duration
	giver     *peer
	listeners []Listener
	manager   Manager
	conns     []Conn
	frozenAt  int64
	gone      bool // the giver died
	stop      func() bool
}

// Dial announces this process to the giver behind o.Path and receives its
// listening sockets. The error is ErrNobody if no process listens there, and
// an ErrAborted with a reason if the giver refuses. ctx bounds the whole
// hand-over up to Opened.
func Dial(ctx context.Context, o TakerOptions) (*Taker, error) {
	conn, err := dial(ctx, o.Path)
	if err != nil {
		return nil, err
	}
	return meet(ctx, conn, o)
}

// meet is Dial once the giver, or what was its socket, has been reached.
func meet(ctx context.Context, conn *net.UnixConn, o TakerOptions) (*Taker, error) {
	setDefault(&o.Timeout, 2*time.Minute)
	giver, err := peerOf(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	t := &Taker{channel: channel{conn}, timeout: o.Timeout, giver: giver}
	t.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if err := t.greet(o); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Taker) greet(o TakerOptions) error {
	t.deadline(t.timeout)
	h := hello{Protocol: protocol, Dialects: o.Dialects, Version: o.Version}
	if err := t.sendJSON(kindHello, h, nil); err != nil && !died(err) {
		return err
	}
	m, err := t.expect(kindWelcome)
	if t.noticeDeath(err) {
		return ErrNobody
	}
	if err != nil {
		return err
	}
	var w welcome
	if err := json.Unmarshal(m.body, &w); err != nil {
		closeAll(m.fds)
		return err
	}
	if len(w.Names) != len(m.fds) {
		closeAll(m.fds)
		return errShortBody
	}
	t.manager = w.Manager
	for i, name := range w.Names {
		t.listeners = append(t.listeners, Listener{Name: name, FD: m.fds[i]})
	}
	return nil
}

// Listeners returns the giver's listening sockets, which are the caller's from
// now on. It must accept nothing from them before Opened.
func (t *Taker) Listeners() []Listener {
	l := t.listeners
	t.listeners = nil
	return l
}

// Manager describes the service manager of the giver.
func (t *Taker) Manager() Manager { return t.manager }

// Receive tells the giver that this process has prepared all that it can do
// without the store. It returns the connections, which are the caller's, once
// the giver has closed the store. The caller then opens the store and calls
// Opened; it must not use a connection before.
//
// If the giver died on the way, Receive returns what arrived without an error:
// Died reports it, and the store is free.
func (t *Taker) Receive() ([]Conn, error) {
	err := t.tell(kindPrepared)
	if err == nil {
		err = t.receiveConns()
	}
	if t.noticeDeath(err) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	conns := t.conns
	t.conns = nil
	return conns, nil
}

func (t *Taker) receiveConns() error {
	for {
		t.deadline(t.timeout)
		m, err := t.receive()
		if err != nil {
			return err
		}
		switch m.kind {
		case kindConns:
			err = t.addConns(m)
		case kindClosed:
			return t.closed(m)
		case kindAbort:
			return fmt.Errorf("%w: %s", ErrAborted, m.body)
		default:
			closeAll(m.fds)
			return fmt.Errorf("takeover: unexpected message of kind %d", m.kind)
		}
		if err != nil {
			return err
		}
	}
}

func (t *Taker) addConns(m message) error {
	conns, err := splitStates(m)
	if err != nil {
		closeAll(m.fds)
		return err
	}
	t.conns = append(t.conns, conns...)
	return t.tell(kindReceived)
}

func (t *Taker) closed(m message) error {
	var c closed
	if err := json.Unmarshal(m.body, &c); err != nil {
		return err
	}
	if c.Conns != len(t.conns) {
		return fmt.Errorf("takeover: %d of %d connections arrived", len(t.conns), c.Conns)
	}
	t.frozenAt = c.FrozenAt
	return nil
}

// Died reports whether the giver died before it could close the store itself.
func (t *Taker) Died() bool { return t.gone }

// Opened tells the giver that the store is open here. When it returns nil the
// server is this process's: it may use the connections and the listeners.
func (t *Taker) Opened() error {
	if t.gone {
		return nil
	}
	t.deadline(t.timeout)
	err := t.tell(kindOpened)
	if err == nil {
		_, err = t.expect(kindGo)
	}
	if t.noticeDeath(err) {
		err = nil
	}
	t.stop()
	return err
}

// noticeDeath reports whether err is the giver's death, after waiting until the
// giver's hold on the store has died too.
func (t *Taker) noticeDeath(err error) bool {
	if died(err) {
		t.gone = t.giver.wait(t.timeout)
	}
	return t.gone
}

// tell sends a message without a body. That the giver does not read any more is
// no error yet: what it said before is still to be read.
func (t *Taker) tell(k kind) error {
	if err := t.send(message{kind: k}); !died(err) {
		return err
	}
	return nil
}

// Paused returns how long the clients have waited so far; 0 if that is unknown.
func (t *Taker) Paused() time.Duration {
	if t.frozenAt == 0 {
		return 0
	}
	return time.Duration(monotonic() - t.frozenAt)
}

// Fail tells the giver to carry on because of reason. The caller must have
// closed the store, if it had opened it, and must not use a connection after.
func (t *Taker) Fail(reason error) {
	t.deadline(time.Second)
	t.send(message{kind: kindAbort, body: []byte(reason.Error())})
}

// Close ends the conversation and closes the sockets that the caller did not
// take.
func (t *Taker) Close() error {
	t.stop()
	for _, l := range t.listeners {
		closeAll([]int{l.FD})
	}
	for _, c := range t.conns {
		closeAll([]int{c.FD})
	}
	t.listeners, t.conns = nil, nil
	t.giver.forget()
	return t.conn.Close()
}

// died reports whether err is the end of the giver's process: it never ends
// the conversation of its own accord without an abort.
func died(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Timeout() {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isBroken(err)
}
