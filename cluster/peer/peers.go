// Package peer carries what nodes of a cluster have to say to each other: raft's
// messages, calls with answers, and what each says of itself. Each node dials every
// other one; what it has to say goes that way, and answers come back on it.
package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"golang.org/x/time/rate"
)

// Handler is told what other nodes have to say. Its methods return quickly, and may
// be called by several goroutines at once.
type Handler interface {
	// Messages are raft's, for a group.
	Messages(from, group uint64, messages []*raftpb.Message)

	// Serve answers a call by calling reply once, from any goroutine. The body is
	// the handler's.
	Serve(from uint64, body []byte, reply func(body []byte))

	// ServeProxy is Serve for calls that come from a proxy.
	ServeProxy(body []byte, reply func(body []byte))

	// Heard tells what a node says of itself, twice a second at least.
	Heard(from Hello, state []byte)

	// Stream has a connection that another node has opened with Peers.Stream. It is
	// closed when Stream returns, or Peers are closed.
	Stream(from Hello, rw io.ReadWriter)

	// Gone tells that a node's process does not run any more: its connection was
	// closed, and a new one is refused.
	Gone(node uint64)
}

// Options of Peers.
type Options struct {
	Self     Hello        // Version is filled in
	Listener net.Listener // closed by Close; nil: nobody dials this process
	Security *Security    // nil: plaintext
	Handler  Handler
	State    func() []byte // what this node says of itself, as JSON
	Logger   *slog.Logger

	// MaxFrame is the most bytes of a frame. Default: 64 MiB.
	MaxFrame int

	// Backoff is the longest pause before an address is dialed again. Default: 2 s.
	Backoff time.Duration
}

// Peers are the other nodes. All methods may be called by anybody at any time.
type Peers struct {
	o       Options
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	firstBackoff time.Duration

	mu      sync.Mutex
	links   map[uint64]*conn   // dialed from here
	conns   map[*conn]bool     // all
	dialing map[string]*dialer // by address

	figures peerCounts
	refused rate.Sometimes // bounds the log lines about nodes that do not belong here: they come again
}

// dialer keeps a connection to whoever is at an address.
type dialer struct {
	stop   context.CancelFunc
	wake   chan struct{} // ends a pause
	failed error         // why there is no connection; nil: there is one, or it is not known yet
}

type peerCounts struct{ sent, received, dropped, calls, broken atomic.Int64 }

// New begins to listen.
func New(o Options) *Peers {
	o.Self.Version = Version
	if o.MaxFrame == 0 {
		o.MaxFrame = 64 << 20
	}
	if o.Backoff == 0 {
		o.Backoff = lastBackoff
	}
	p := &Peers{o: o, refused: rate.Sometimes{First: 10, Interval: 10 * time.Second}, firstBackoff: firstBackoff, links: make(map[uint64]*conn), conns: make(map[*conn]bool), dialing: make(map[string]*dialer)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if o.Listener != nil {
		p.running.Go(p.accept)
	}
	return p
}

// Close ends all connections.
func (p *Peers) Close() (err error) {
	p.stop()
	if p.o.Listener != nil {
		err = p.o.Listener.Close()
	}
	p.mu.Lock()
	var all []*conn
	for c := range p.conns {
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		c.fail(net.ErrClosed)
	}
	p.running.Wait()
	return err
}

// Dial makes the addresses those to which there are to be connections. Connections
// to others stay until they break.
func (p *Peers) Dial(addresses []string) {
	want := make(map[string]bool, len(addresses))
	for _, a := range addresses {
		want[a] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	for address, d := range p.dialing {
		if !want[address] {
			d.stop()
			delete(p.dialing, address)
		}
	}
	for address := range want {
		if p.dialing[address] == nil {
			ctx, stop := context.WithCancel(p.ctx)
			d := &dialer{stop: stop, wake: make(chan struct{}, 1)}
			p.dialing[address] = d
			p.running.Go(func() { p.keepDialing(ctx, address, d) })
		}
	}
}

// dialNow ends the pauses before addresses are dialed again.
func (p *Peers) dialNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.dialing {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// Failures tells of each address that is dialed in vain why that is so, ascending.
func (p *Peers) Failures() (texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for address, d := range p.dialing {
		if d.failed != nil {
			texts = append(texts, fmt.Sprintf("%s: %v", address, d.failed))
		}
	}
	slices.Sort(texts)
	return texts
}

// Connected returns the nodes to which there is a connection.
func (p *Peers) Connected() (nodes []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for node := range p.links {
		nodes = append(nodes, node)
	}
	return nodes
}

// Send sends raft's messages to a node. It returns false if they are lost.
func (p *Peers) Send(to, group uint64, messages []*raftpb.Message) bool {
	c := p.link(to)
	if c == nil || !c.sendRaft(group, messages) {
		p.figures.dropped.Add(int64(len(messages)))
		return false
	}
	p.figures.sent.Add(int64(len(messages)))
	return true
}

// Call asks a node. done is called once, from any goroutine, perhaps before Call
// returns; the reply is its own. The body may be used again when Call has returned.
func (p *Peers) Call(to uint64, body []byte, deadline time.Time, done func(reply []byte, err error)) {
	c := p.link(to)
	if c == nil {
		done(nil, ErrUnreachable)
		return
	}
	p.figures.calls.Add(1)
	c.call(body, deadline, done)
}

func (p *Peers) link(to uint64) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links[to]
}

const (
	dialTimeout  = time.Second
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// keepDialing keeps a connection to whoever is at an address. While there is none, it
// pauses for longer and longer; d.wake ends a pause.
func (p *Peers) keepDialing(ctx context.Context, address string, d *dialer) {
	backoff := p.firstBackoff
	last := uint64(0) // who was there
	for ctx.Err() == nil {
		c, err := p.dial(ctx, address)
		if errors.Is(err, ErrSelf) || errors.Is(err, errAlready) {
			backoff = p.o.Backoff
			err = nil
		}
		p.noteFailure(d, err)
		switch {
		case c != nil:
			backoff = p.firstBackoff
			last = c.to.Node
			if err := p.run(c, true); closedByOther(err) && ctx.Err() == nil {
				continue // at once: is it still there?
			}
		case errors.Is(err, syscall.ECONNREFUSED) && last != 0:
			p.o.Handler.Gone(last)
			last = 0
		case err != nil:
			p.o.Logger.Debug("another node cannot be reached", "address", address, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-d.wake:
			backoff = p.firstBackoff
		case <-time.After(backoff):
			backoff = min(2*backoff, p.o.Backoff)
		}
	}
}

// noteFailure notes why an address was dialed in vain; nil: it was not.
func (p *Peers) noteFailure(d *dialer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.failed = err
}

// closedByOther reports whether err is that of a connection that the other side, or
// its kernel, has closed.
func closedByOther(err error) bool {
	var timeout net.Error
	return err != nil && !errors.Is(err, net.ErrClosed) && !(errors.As(err, &timeout) && timeout.Timeout())
}

var errAlready = errors.New("peer: there is a connection to that node")

func (p *Peers) dial(ctx context.Context, address string) (*conn, error) {
	c, err := p.connect(ctx, address, p.o.Self)
	if err == nil && p.link(c.to.Node) != nil {
		_ = c.Close()
		err = errAlready
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// connect opens a connection and greets whoever is there.
func (p *Peers) connect(ctx context.Context, address string, self Hello) (*conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: time.Second}
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if p.o.Security != nil {
		raw = tls.Client(raw, p.o.Security.client())
	}
	c, err := p.meet(raw, self)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

func (p *Peers) meet(raw net.Conn, self Hello) (*conn, error) {
	received := new(atomic.Int64)
	r := bufio.NewReaderSize(counted{raw, received}, 64<<10)
	to, err := greet(raw, r, self)
	if err != nil {
		if !errors.Is(err, ErrSelf) && to.Node != 0 {
			p.refuse(raw, err)
		}
		return nil, err
	}
	c := newConn(raw, r, to)
	c.received = received
	return c, nil
}

// refuse tells why a node does not belong here.
func (p *Peers) refuse(raw net.Conn, why error) {
	p.refused.Do(func() {
		p.o.Logger.Warn("another node is refused", "address", raw.RemoteAddr().String(), "error", why)
	})
}

// Received is how many bytes have come from a node over the connection that was dialed
// to it; 0: there is none. A node from which much comes is not silent, though what it was
// asked last may have to wait for its turn.
func (p *Peers) Received(node uint64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.links[node]; c != nil {
		return c.received.Load()
	}
	return 0
}

// counted is a reader that counts what it reads.
type counted struct {
	io.Reader
	bytes *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (p *Peers) accept() {
	for {
		raw, err := p.o.Listener.Accept()
		if p.ctx.Err() != nil {
			if err == nil {
				_ = raw.Close()
			}
			return
		}
		if err != nil {
			time.Sleep(firstBackoff) // out of descriptors
			continue
		}
		p.running.Go(func() { p.serve(raw) })
	}
}

func (p *Peers) serve(raw net.Conn) {
	if p.o.Security != nil {
		raw = tls.Server(raw, p.o.Security.server())
	}
	c, err := p.meet(raw, p.o.Self)
	if err == nil {
		err = mayBeNode(raw, c.to)
	}
	if err != nil {
		_ = raw.Close()
		if errors.Is(err, errOnlyProxy) {
			p.refuse(raw, err)
		}
		return
	}
	if c.to.Stream != "" && !c.to.Proxy {
		p.serveStream(c)
		return
	}
	if !c.to.Proxy {
		// A node that was down is back, perhaps. It is heard now, but what this one has
		// to say to it, its votes among that, needs a connection from here.
		p.dialNow()
	}
	_ = p.run(c, false)
}

// serveStream lets the handler have a connection.
func (p *Peers) serveStream(c *conn) {
	if !p.keep(c) {
		return
	}
	p.o.Handler.Stream(c.to, stream{c})
	p.drop(c)
}

// keep makes Close close a connection. It returns false if it is too late for that.
func (p *Peers) keep(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Peers) drop(c *conn) {
	c.fail(net.ErrClosed)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// streamTimeout is how long a stream may stand still.
const streamTimeout = 15 * time.Second

// stream is a connection for one purpose, which breaks when it stands still.
type stream struct{ c *conn }

func (s stream) Read(b []byte) (int, error) {
	if err := s.c.SetReadDeadline(time.Now().Add(streamTimeout)); err != nil {
		return 0, err
	}
	return s.c.reader.Read(b)
}

func (s stream) Write(b []byte) (int, error) {
	if err := s.c.SetWriteDeadline(time.Now().Add(streamTimeout)); err != nil {
		return 0, err
	}
	return s.c.Write(b)
}

// Stream opens a connection to the node at an address, for a purpose that both know,
// and calls f with it. The connection is closed when f returns or ctx is done.
func (p *Peers) Stream(ctx context.Context, address, purpose string, f func(to Hello, rw io.ReadWriter) error) error {
	self := p.o.Self
	self.Stream = purpose
	c, err := p.connect(ctx, address, self)
	if err != nil {
		return err
	}
	if !p.keep(c) {
		return net.ErrClosed
	}
	defer p.drop(c)
	defer context.AfterFunc(ctx, func() { c.fail(ctx.Err()) })()
	return f(c.to, stream{c})
}

// run reads from a connection until it fails, and returns why.
func (p *Peers) run(c *conn, dialed bool) error {
	p.mu.Lock()
	if p.ctx.Err() != nil || dialed && p.links[c.to.Node] != nil {
		p.mu.Unlock()
		c.fail(net.ErrClosed)
		return net.ErrClosed
	}
	p.conns[c] = true
	if dialed {
		p.links[c.to.Node] = c
	}
	p.mu.Unlock()
	var writer sync.WaitGroup
	writer.Go(func() { c.write(p.o.State) })
	c.fail(p.read(c))
	writer.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	if dialed {
		delete(p.links, c.to.Node)
	}
	p.mu.Unlock()
	p.figures.broken.Add(1)
	return c.failure()
}

func (p *Peers) read(c *conn) error {
	for {
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		kind, body, err := readFrame(c.reader, p.o.MaxFrame)
		if err == nil {
			err = p.take(c, kind, body)
		}
		if err != nil {
			return err
		}
	}
}

// take passes a frame on.
func (p *Peers) take(c *conn, kind byte, body []byte) error {
	if c.to.Proxy {
		return p.takeFromProxy(c, kind, body)
	}
	switch kind {
	case frameState:
		p.o.Handler.Heard(c.to, body)
	case frameRaft:
		group, messages, err := decodeRaft(body)
		if err != nil {
			return err
		}
		p.figures.received.Add(int64(len(messages)))
		p.o.Handler.Messages(c.to.Node, group, messages)
	case frameCall:
		number, rest, err := splitNumbered(body)
		if err != nil {
			return err
		}
		p.o.Handler.Serve(c.to.Node, rest, func(body []byte) { c.reply(number, body) })
	case frameReply:
		return c.answered(body)
	default:
		return errFrame
	}
	return nil
}

// takeFromProxy passes on what a proxy may send: calls. What it says of itself does
// not matter.
func (p *Peers) takeFromProxy(c *conn, kind byte, body []byte) error {
	switch kind {
	case frameState:
		return nil
	case frameCall:
		number, rest, err := splitNumbered(body)
		if err == nil {
			p.o.Handler.ServeProxy(rest, func(body []byte) { c.reply(number, body) })
		}
		return err
	}
	return errFrame
}

// Proxies returns how many connections there are from proxies.
func (p *Peers) Proxies() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.to.Proxy {
			n++
		}
	}
	return n
}

// Figures are what Peers have counted since they were made.
type Figures struct {
	Sent, Received, Dropped int64 // messages of raft
	Calls                   int64
	Broken                  int64 // connections that ended
}

// Figures returns the present figures.
func (p *Peers) Figures() Figures {
	c := &p.figures
	return Figures{c.sent.Load(), c.received.Load(), c.dropped.Load(), c.calls.Load(), c.broken.Load()}
}
