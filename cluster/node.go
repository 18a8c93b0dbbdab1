package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/group"
	"cairn/cluster/membership"
	"cairn/cluster/peer"
	"cairn/cluster/raftlog"
	"cairn/engine"
	"cairn/log"
	"cairn/session"
	"cairn/ttl"
)

// Options of a Node.
type Options struct {
	// Engine is how the engines are opened. Dir is the node's data directory, and time is
	// what it says for the node, too. The node's log fails over to a directory in
	// LogFailoverDir.
	Engine engine.Options

	Cluster  string         // its name
	Listener net.Listener   // for other nodes; Close closes it
	Address  string         // of this node, for others
	Client   string         // where clients reach this node; "": not known
	Zone     string         // that it is in: what is in one zone may fail together; "": not known
	Join     []string       // entries of package seed: any nodes; names are resolved again and again
	Resolver *net.Resolver  // of names in Join. nil: the system's
	Expect   int            // how many nodes the cluster begins with
	Groups   int            // that it begins with. Default: 1
	Security *peer.Security // nil: plaintext
	Program  string         // its version, for people

	// Level is the highest level of the log that the node knows. Default: group.Latest. Another
	// makes it a node of an earlier or later version, as far as other nodes can tell.
	Level group.Level

	// MaxLog is how long the log may become because other nodes are away, in bytes;
	// beyond that they get a copy of the sessions when they are back. Default: 512 MiB.
	MaxLog int64

	// ReplaceAfter is for how long a node is silent that is taken to be gone for good,
	// so that a new one takes its place. 0: for ever.
	ReplaceAfter time.Duration

	// CompareEvery is the time between two comparisons of the replicas. Default: 10 s.
	CompareEvery time.Duration

	// SlowFailover lets a node whose connection was closed, and which refuses a new one, be
	// taken for running until it is silent: a network that refuses connections proves nothing.
	SlowFailover bool

	// Patience is how long a burst waits for a leader before it fails. Default: 10 s.
	Patience time.Duration

	// MaxLag is that of StoreOptions.
	MaxLag time.Duration

	// Fatal is called when the node cannot go on. It does not return.
	Fatal func(error)
}

const defaultMaxLog = 512 << 20

// Directories in that of the node.
const (
	logDir   = "log"
	groupDir = "group-"
)

// Node is this process's part of a cluster: its replicas, its log, its connections
// to others, and the Store over all of it.
type Node struct {
	*Store
	o          Options
	logger     *slog.Logger
	clock      *ttl.Clock
	membership *membership.Membership
	peers      *peer.Peers
	single     *single // its store, until the cluster has taken it over; nil: none
	commitLog  *log.Log
	logs       *raftlog.Store

	slots   atomic.Pointer[[]*slot] // of the groups, by number; nil: not open yet
	store   atomic.Pointer[Store]   // the same as Store
	ctx     context.Context         // done when the node closes
	stop    context.CancelFunc
	running sync.WaitGroup
	closed  sync.Once

	repairs   sync.Mutex // guards repairing, and closing as far as it is about repairs
	repairing map[int]bool
	closing   bool
	repaired  atomic.Int64

	drains     sync.Mutex // one order to drain a node at a time
	forProxies proxyCounts

	seen       sightings
	clocks     sync.Mutex       // guards clockFound
	clockFound membership.Clock // at the last look
}

// MaxFrame is how many bytes a frame may have, between nodes and to proxies, for values
// of at most so many.
func MaxFrame(maxValue int) int { return maxValue + 2*maxPartSize + 1<<20 }

// Open makes this process a node of a cluster. It waits until the cluster has begun,
// or ctx is done.
func Open(ctx context.Context, o Options) (n *Node, err error) {
	if o.Groups == 0 {
		o.Groups = 1
	}
	if o.MaxLog == 0 {
		o.MaxLog = defaultMaxLog
	}
	if o.Level == 0 {
		o.Level = group.Latest
	}
	n = &Node{o: o, logger: o.Engine.Logger, repairing: map[int]bool{}}
	if n.logger == nil {
		n.logger = slog.Default()
	}
	if err := n.lookForSingle(); err != nil {
		return nil, errors.Join(err, o.Listener.Close())
	}
	n.clock, _ = ttl.NewClock(o.Engine.TimeSource(), 0)
	n.ctx, n.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()
	if err := n.meet(); err != nil {
		return n, errors.Join(err, o.Listener.Close())
	}
	n.running.Go(func() { n.find(n.ctx) })
	n.running.Go(func() { n.watchClock(n.ctx) })
	select {
	case <-n.membership.Begun():
	default:
		n.logger.Info("waiting for other nodes, so that the cluster can begin", "nodes", o.Expect, "join", strings.Join(o.Join, ","))
	}
	select {
	case <-n.membership.Begun():
	case err := <-n.membership.Refused():
		return n, fmt.Errorf("cluster: this node cannot join: %w", err)
	case <-ctx.Done():
		return n, fmt.Errorf("cluster: it has not begun: %w", context.Cause(ctx))
	}
	return n, n.open(ctx)
}

// meet finds out who this node is, and begins to talk to others.
func (n *Node) meet() error {
	o := &n.o
	identity, err := membership.Load(o.Engine.Dir, o.Cluster, o.Groups)
	if err != nil {
		return err
	}
	n.membership, err = membership.New(membership.Options{
		Dir: o.Engine.Dir, Identity: identity, Address: o.Address, Zone: o.Zone, Client: o.Client, Expect: o.Expect, Level: uint8(o.Level), Logger: n.logger,
		Sessions: n.single != nil, Clock: func() time.Time { return n.clock.Now().Time() },
	})
	if err != nil {
		return err
	}
	n.peers = peer.New(peer.Options{
		Self:     peer.Hello{Cluster: o.Cluster, Node: identity.Node, Address: o.Address, Level: uint8(o.Level), Program: o.Program},
		Listener: o.Listener,
		Security: o.Security,
		Handler:  handler{n},
		State:    n.state,
		Logger:   n.logger,
		MaxFrame: MaxFrame(o.Engine.MaxValueSize),
	})
	return nil
}

// open opens the replicas.
func (n *Node) open(ctx context.Context) (err error) {
	identity := n.membership.Identity()
	logs := log.Options{Dir: filepath.Join(n.o.Engine.Dir, logDir), FailoverAfter: n.o.Engine.LogFailoverAfter, Logger: n.logger}
	if dir := n.o.Engine.LogFailoverDir; dir != "" {
		logs.FailoverDir = filepath.Join(dir, logDir)
	}
	n.commitLog, err = log.Open(logs)
	if err != nil {
		return err
	}
	n.logs, err = raftlog.Open(n.commitLog, raftlog.Options{Logger: n.logger, Laggard: n.flush, MaxBytes: n.o.MaxLog})
	if err != nil {
		return err
	}
	slots := make([]*slot, identity.Groups)
	var replicas []Replica
	for i := range slots {
		slots[i] = &slot{others: n.peers.Connected}
		replicas = append(replicas, slots[i])
	}
	n.slots.Store(&slots)
	for i := range slots {
		if err := n.join(ctx, i); err != nil {
			return err
		}
		if err := n.openGroup(i); err != nil {
			return err
		}
	}
	n.Store, err = NewStore(StoreOptions{
		Replicas: replicas, Engine: func(i int) *engine.Store { return slots[i].presentEngine() },
		Caller: n.peers, Clock: n.clock.Now, Logger: n.logger, Patience: n.o.Patience, MaxLag: n.o.MaxLag,
	})
	if err != nil {
		return err
	}
	n.store.Store(n.Store)
	_ = n.dial(context.Background()) // find reports what it does not find
	n.findClients()
	n.running.Go(n.govern)
	n.running.Go(n.measure)
	n.running.Go(n.train)
	return nil
}

// engineOptions are those of a group's engine.
func (n *Node) engineOptions(i int) engine.Options {
	o := n.o.Engine
	o.Dir = filepath.Join(o.Dir, fmt.Sprint(groupDir, i))
	o.ExternalLog, o.Durability = true, engine.Durability{}
	o.Fatal = n.o.Fatal
	return o
}

// state is what this node says of itself.
func (n *Node) state() []byte {
	var log membership.Log
	if g := n.group(0); g != nil {
		roster := g.Roster()
		log = membership.Log{Applied: g.Status().Applied, Level: roster.Level, Program: roster.Program, Clock: g.Clock().Time()}
	}
	return n.membership.State(log, n.sums())
}

// Clients returns the addresses of the nodes that clients may use now, and their version,
// which rises with each change of them and does not fall.
func (n *Node) Clients() (addresses []string, version int64) {
	c := n.membership.Clients()
	return c.Addresses, c.Version
}

// join gets a copy of what the others have, if this node was none of those that the
// cluster has begun with, and has none yet.
func (n *Node) join(ctx context.Context, i int) error {
	identity, dir := n.membership.Identity(), n.engineOptions(i).Dir
	if identity.Founder() || !n.logs.Group(uint64(i)).Empty() {
		return nil
	}
	if _, err := os.Stat(dir); err == nil {
		return nil // openGroup says what is missing
	}
	if err := n.finishInstall(i, dir); err != nil {
		return err
	}
	for n.logs.Group(uint64(i)).Empty() {
		err := n.fetch(i)
		if err == nil {
			n.repaired.Add(1)
			n.logger.Info("the sessions of a group are a copy of another node's now", "group", i)
			continue
		}
		n.logger.Debug("no copy of the sessions yet", "group", i, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster: no copy of the sessions has come: %w", context.Cause(ctx))
		case <-time.After(repairPause):
		}
	}
	return nil
}

// openGroup opens the replica of a group and puts it in its place.
func (n *Node) openGroup(i int) error {
	identity := n.membership.Identity()
	storage := n.logs.Group(uint64(i))
	if storage.Empty() {
		// A node that has forgotten for whom it voted, and what it promised to keep,
		// must not take part.
		if _, err := os.Stat(n.engineOptions(i).Dir); err == nil {
			return fmt.Errorf("cluster: the log of group %d is missing in %s, where it was before", i, filepath.Join(n.o.Engine.Dir, logDir))
		}
		if err := storage.Bootstrap(1, 1, &raftpb.ConfState{Voters: slices.Sorted(slices.Values(identity.Founders))}); err != nil {
			return err
		}
	}
	o := n.engineOptions(i)
	if err := n.adopt(); err != nil {
		return err
	}
	if err := n.finishInstall(i, o.Dir); err != nil {
		return err
	}
	e, err := engine.Open(o)
	if err != nil {
		return err
	}
	place := (*n.slots.Load())[i]
	place.fill(nil, e) // so that it is closed
	g, err := group.Open(group.Options{
		Node: identity.Node, Storage: storage, Engine: e, Number: uint64(i), Groups: uint64(identity.Groups),
		Clock: n.clock.Now, Latest: n.o.Level, Logger: n.logger.With("group", i), LogSize: n.logs.Size, MaxLog: n.o.MaxLog,
		CheckTicks: int(n.o.CompareEvery / group.TickEvery), PatientTicks: int(n.o.Patience / group.TickEvery), Unfit: n.membership.Unfit,
	}, group.Hooks{
		Send: func(messages []*raftpb.Message) { n.send(place, uint64(i), messages) },
		Changed: func(now group.Status) {
			n.noteElection(i, now)
			if s := n.store.Load(); s != nil {
				s.Changed(i)
			}
		},
		Configured: func(index uint64, conf *raftpb.ConfState) { n.configured(i, index, conf) },
		Behind:     func(node uint64) { n.tellBehind(i, node) },
		Sick:       func(node uint64, most group.Sum) { n.tellSick(i, node, most) },
		Failed:     func(err error) { n.failed(i, err) },
	})
	if err == nil {
		g.SetUnfit(group.Drained, identity.Drained)
		g.SetUnfit(group.Clock, !n.membership.Clock().Fit)
		place.fill(g, e)
	}
	return err
}

// send sends messages of a group to the nodes that they are for.
func (n *Node) send(from *slot, number uint64, messages []*raftpb.Message) {
	slices.SortStableFunc(messages, func(a, b *raftpb.Message) int {
		switch {
		case a.GetTo() < b.GetTo():
			return -1
		case a.GetTo() > b.GetTo():
			return 1
		}
		return 0
	})
	for len(messages) > 0 {
		to, count := messages[0].GetTo(), 1
		for count < len(messages) && messages[count].GetTo() == to {
			count++
		}
		if !n.peers.Send(to, number, messages[:count:count]) {
			if g := from.voter(); g != nil {
				g.Unreachable(to)
			}
		}
		messages = messages[count:]
	}
}

// flush lets a group's engine write tables, because it keeps the log long.
func (n *Node) flush(number uint64) {
	s := n.store.Load()
	if s == nil || number >= uint64(len(s.shards)) {
		return
	}
	if _, err := s.shards[number].engine().MakeDurable(context.Background()); err != nil && !errors.Is(err, session.ErrClosed) {
		n.logger.Warn("the log cannot be truncated, since tables cannot be written", "group", number, "error", err)
	}
}

// watchClock lets the clock follow the machine's.
func (n *Node) watchClock(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			n.clock.Adjust()
		}
	}
}

// campaignPause is how long a node waits, when a leader's process has ended, for each
// that is to campaign before it.
const campaignPause = 30 * time.Millisecond

// handler is what the node does with what others have to say.
type handler struct{ *Node }

func (h handler) Messages(_, number uint64, messages []*raftpb.Message) {
	if place := h.place(number); place != nil {
		if g := place.voter(); g != nil {
			g.Step(messages)
		}
	}
}

// group is the replica of a group; nil: it is not there.
func (n *Node) group(number uint64) *group.Group {
	if place := n.place(number); place != nil {
		return place.present()
	}
	return nil
}

// place is that of a group's replica; nil: there is no such group yet.
func (n *Node) place(number uint64) *slot {
	slots := n.slots.Load()
	if slots == nil || number >= uint64(len(*slots)) {
		return nil
	}
	return (*slots)[number]
}

// groups are the replicas that are there, also those of a node that was removed.
func (n *Node) groups() (groups []*group.Group) {
	if slots := n.slots.Load(); slots != nil {
		for _, s := range *slots {
			if g := s.voter(); g != nil {
				groups = append(groups, g)
			}
		}
	}
	return groups
}

// engines are those of the replicas, also of such that are away.
func (n *Node) engines() (engines []*engine.Store) {
	if slots := n.slots.Load(); slots != nil {
		for _, s := range *slots {
			if e := s.presentEngine(); e != nil {
				engines = append(engines, e)
			}
		}
	}
	return engines
}

func (h handler) Serve(_ uint64, body []byte, reply func(body []byte)) {
	if len(body) > 0 && body[0] == forwardEcho {
		reply(encodeAnswer(nil, nil))
		return
	}
	if len(body) > 0 && body[0] == forwardBehind {
		h.isBehind(body)
		reply(encodeAnswer(nil, nil))
		return
	}
	if len(body) > 0 && body[0] == forwardSick {
		h.isSick(body)
		reply(encodeAnswer(nil, nil))
		return
	}
	if len(body) > 0 && body[0] == forwardOrder {
		h.serveOrder(body[1:], reply)
		return
	}
	if len(body) > 0 && body[0] == forwardDrain {
		h.serveDrain(body[1:], reply)
		return
	}
	s := h.store.Load()
	if s == nil {
		reply(encodeAnswer(nil, group.ErrNotLeader))
		return
	}
	serve(s.o.Replicas, body, reply)
}

func (h handler) Heard(from peer.Hello, state []byte) {
	if err := h.membership.Heard(from.Node, from.Level, from.Program, state); err != nil {
		h.o.Fatal(err)
	}
	h.hearSums(from, state)
	h.judgeClock(false)
}

func (h handler) Gone(node uint64) {
	if h.o.SlowFailover {
		h.logger.Debug("a node refuses connections; it may be running all the same", "node", group.FormatNode(node))
		return
	}
	identity := h.membership.Identity()
	before := 0
	for _, other := range identity.Nodes() {
		if other < identity.Node && other != node {
			before++
		}
	}
	for _, g := range h.groups() {
		g.Gone(node, before, campaignPause)
	}
}

// Transfer lets other nodes lead the groups that this one leads, and waits until
// they do, or ctx is done.
func (n *Node) Transfer(ctx context.Context) {
	for _, g := range n.groups() {
		for g.Status().Leads && g.TransferAny() && ctx.Err() == nil {
			select {
			case <-time.After(transferPoll):
			case <-ctx.Done():
			}
		}
	}
}

const (
	transferPoll    = 5 * time.Millisecond
	transferTimeout = time.Second
)

// Close lets others lead, and ends this process's part of the cluster. What waits
// fails. A second Close does nothing.
func (n *Node) Close() (err error) {
	n.closed.Do(func() { err = n.close() })
	return err
}

func (n *Node) close() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), transferTimeout)
	defer cancel()
	n.Transfer(ctx)
	if n.Store != nil {
		n.Store.Close()
	}
	n.repairs.Lock()
	n.closing = true
	n.repairs.Unlock()
	n.stop()
	n.running.Wait()
	if n.peers != nil {
		err = errors.Join(err, ignoreClosed(n.peers.Close()))
	}
	for _, g := range n.groups() {
		g.Close()
	}
	for _, e := range n.engines() {
		err = errors.Join(err, e.Close())
	}
	err = errors.Join(err, n.single.close())
	if n.logs != nil {
		n.logs.Close()
	}
	if n.commitLog != nil {
		err = errors.Join(err, n.commitLog.Close())
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
