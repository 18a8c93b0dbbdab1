// Package proxy is a session.Store for hosts of applications: it keeps nothing, knows
// which nodes make up a cluster, and lets them do what its clients ask for. While nodes
// die or are replaced, or nobody leads, it lets clients wait.
//
// What is written is forwarded to the leader with an origin and a sequence of the
// proxy's own, as nodes do it (cluster.Store), so that it has its effect once however
// often it is sent. Reads go to all nodes in turn.
package proxy

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster"
	"cairn/cluster/peer"
	"cairn/session"
	"cairn/session/codec"
	"cairn/ttl"
)

// Options of a Proxy.
type Options struct {
	Cluster  string         // the name of the cluster
	Join     []string       // entries of package seed: any nodes; names are resolved again and again
	Resolver *net.Resolver  // of names in Join. nil: the system's
	Security *peer.Security // nil: plaintext
	Program  string         // its version, for people
	Patience time.Duration  // how long a burst waits before it fails. Default: 10 s
	MaxFrame int            // the most bytes of an answer. Default: 64 MiB
	Logger   *slog.Logger   // default: slog.Default()
}

const (
	defaultPatience = 10 * time.Second

	// backoff is the longest pause before a node that is down is dialed again. Nodes do
	// not dial proxies, so a proxy does not hear that one is back; and if another node
	// dies meanwhile, clients wait.
	backoff = 200 * time.Millisecond
)

// Proxy is a session.Store without sessions of its own.
type Proxy struct {
	o       Options
	node    uint64 // a number by which nodes know it; random
	clock   *ttl.Clock
	peers   *peer.Peers
	members *members

	callPeer func(to uint64, body []byte, deadline time.Time, done func(answer []byte, err error)) // as Peers.Call
	received func(node uint64) int64                                                               // as Peers.Received

	store   atomic.Pointer[cluster.Store] // nil: it is not known how many groups there are
	ctx     context.Context               // done when it closes
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex // guards early
	closed bool
	early  []early

	calls      peer.Pending
	askedTwice atomic.Int64 // reads for which two nodes are asked at present
	counts     counts
}

// early is a burst that came before the number of groups was known.
type early struct {
	b    *session.Burst
	to   session.Completer
	came time.Time
}

type counts struct{ reads, readsAgain, relayed, unavailable atomic.Int64 }

var (
	_ session.Store = (*Proxy)(nil)
	_ session.Clock = (*Proxy)(nil)
	_ session.Owned = (*Proxy)(nil)
)

// Open makes a Proxy, which begins to look for nodes. It waits for none of them.
func Open(o Options) *Proxy {
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Proxy{o: o, node: number()}
	p.clock, _ = ttl.NewClock(ttl.System(), 0)
	p.members = newMembers(p)
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.peers = peer.New(peer.Options{
		Self:     peer.Hello{Cluster: o.Cluster, Node: p.node, Level: uint8(codec.Latest), Program: o.Program, Proxy: true},
		Security: o.Security,
		Handler:  handler{p},
		State:    func() []byte { return []byte("{}") },
		Logger:   o.Logger,
		MaxFrame: o.MaxFrame,
		Backoff:  backoff,
	})
	p.callPeer, p.received = p.peers.Call, p.peers.Received
	p.running.Go(p.find)
	p.running.Go(p.watch)
	return p
}

// number makes up a number for a process. It has the highest bit, which none of a
// node's has.
func number() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:]) | 1<<63
}

// Close lets what waits fail, and all that comes later.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	waiting := p.early
	p.early = nil
	p.mu.Unlock()
	for _, e := range waiting {
		e.fail(session.ErrClosed)
	}
	p.stop()
	if s := p.store.Load(); s != nil {
		s.Close()
	}
	err := p.peers.Close()
	p.running.Wait()
	return err
}

func (e *early) fail(err error) {
	e.b.FailAll(err)
	e.to.Complete([]*session.Burst{e.b})
}

// Try is session.Store's: nothing is known here.
func (p *Proxy) Try(*session.Burst) bool { return false }

// Apply is session.Store's, as cluster.Store has it.
func (p *Proxy) Apply(b *session.Burst, to session.Completer) {
	if s := p.store.Load(); s != nil {
		s.Apply(b, to)
		return
	}
	e := early{b, to, time.Now()}
	p.mu.Lock()
	s := p.store.Load()
	closed := p.closed
	if s == nil && !closed {
		p.early = append(p.early, e)
	}
	p.mu.Unlock()
	switch {
	case s != nil:
		s.Apply(b, to)
	case closed:
		e.fail(session.ErrClosed)
	}
}

// begin makes the store, since it is known how many groups there are, and lets it have
// the bursts that wait for that.
func (p *Proxy) begin(groups int) {
	replicas := make([]cluster.Replica, groups)
	for i := range replicas {
		replicas[i] = &replica{proxy: p, number: uint64(i)}
	}
	s, err := cluster.NewStore(cluster.StoreOptions{
		Replicas: replicas, Caller: caller{p}, Clock: p.clock.Now, Logger: p.o.Logger, Patience: p.o.Patience,
	})
	if err != nil {
		panic(err) // it makes up random numbers, which does not fail
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		s.Close()
		return
	}
	p.store.Store(s)
	waiting := p.early
	p.early = nil
	p.mu.Unlock()
	p.o.Logger.Info("the cluster is known", "groups", groups)
	for _, e := range waiting {
		s.Apply(e.b, e.to)
	}
}

// expireEarly fails bursts that have waited for too long for a first node.
func (p *Proxy) expireEarly(now time.Time) {
	p.mu.Lock()
	var over []early
	for len(p.early) > 0 && now.Sub(p.early[0].came) > p.o.Patience {
		over = append(over, p.early[0])
		p.early = p.early[1:]
	}
	p.mu.Unlock()
	for _, e := range over {
		p.counts.unavailable.Add(1)
		e.fail(session.ErrUnavailable)
	}
}

// Now is the clock by which sessions expire, as far as it is known.
func (p *Proxy) Now() session.Time {
	if s := p.store.Load(); s != nil {
		return s.Now()
	}
	return p.clock.Now()
}

// handler is what a proxy does with what nodes have to say: only answers count.
type handler struct{ *Proxy }

func (handler) Messages(uint64, uint64, []*raftpb.Message)   {}
func (handler) Serve(_ uint64, _ []byte, reply func([]byte)) { reply(nil) }
func (handler) ServeProxy(_ []byte, reply func([]byte))      { reply(nil) }
func (handler) Heard(peer.Hello, []byte)                     {}
func (handler) Stream(peer.Hello, io.ReadWriter)             {}
func (h handler) Gone(node uint64)                           { h.members.gone(node) }

// errNoSessions is why a proxy cannot do what needs the sessions themselves.
var errNoSessions = errors.New("a proxy keeps no sessions: ask a node of the cluster")
