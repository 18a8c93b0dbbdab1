package proxy

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"cairn/cluster"
	"cairn/cluster/remote"
	"cairn/cluster/seed"
	"cairn/session"
)

// members are the nodes, and what they have said of the cluster.
type members struct {
	proxy *Proxy
	wake  chan struct{} // see hurry
	moved chan struct{} // known has changed

	mu     sync.Mutex
	nodes  map[uint64]*node
	known  []remote.Node // the members, as a node that answered last had them
	groups []groupView
	stats  session.Stats
	turn   int
	urgent time.Time // until when nodes are asked in quick succession
}

// node is one to which there is a connection.
type node struct {
	asked    time.Time // when the open question was sent, or much came after it; zero: there is none
	received int64     // bytes that had come from it by then
	answered time.Time
	silent   bool // it has not answered for silence

	// ready says that its replicas follow a leader and have carried out nearly all of the
	// log that they have: what is read there does not wait for the rest of it.
	ready bool

	// drained says that an operator wants no clients at it.
	drained bool
}

// rank is higher the better it is to read there.
func (n *node) rank() int {
	switch {
	case n.ready && !n.drained:
		return 2
	case n.ready:
		return 1
	}
	return 0
}

// groupView is a group as the node sees it that knows of the latest leader.
type groupView struct {
	term   uint64
	leader uint64
	clock  session.Time // the latest one seen
	seen   time.Time    // when that was

	committed uint64 // index of the log, the highest one seen
}

const (
	askEvery    = 500 * time.Millisecond
	urgentEvery = 20 * time.Millisecond
	urgentFor   = 3 * time.Second

	// silence is after how long without an answer a node is left alone.
	silence = time.Second

	// muchReceived is how many bytes tell that a node is not silent: the answer is behind
	// them.
	muchReceived = 64 << 10

	// nearly is how many entries of the log a replica may lack that is ready, and
	// nearlyAll how many one that was not.
	nearly    = 1000
	nearlyAll = 100

	// findEvery is how often names are looked up.
	findEvery = 2 * time.Second

	// maxExtrapolated bounds how far a log's clock is taken to have gone on.
	maxExtrapolated = 2 * time.Second
)

func newMembers(p *Proxy) *members {
	return &members{proxy: p, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), nodes: make(map[uint64]*node)}
}

// find keeps connections to all nodes.
func (p *Proxy) find() {
	ticker := time.NewTicker(findEvery)
	defer ticker.Stop()
	lookout := cluster.NewLookout(p.o.Logger)
	for {
		var unknown []string
		addresses := p.members.addresses()
		if len(addresses) == 0 || len(p.peers.Connected()) < len(addresses) {
			var found []string
			found, unknown = seed.Resolve(p.ctx, p.o.Resolver, p.o.Join)
			addresses = append(addresses, found...)
			slices.Sort(addresses)
			addresses = slices.Compact(addresses)
		}
		p.peers.Dial(addresses)
		lookout.Look(time.Now(), p.peers, 1, unknown)
		p.clock.Adjust()
		select {
		case <-p.ctx.Done():
			return
		case <-p.members.moved:
		case <-ticker.C:
		}
	}
}

func (m *members) addresses() (addresses []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.known {
		addresses = append(addresses, n.Address)
	}
	return addresses
}

// watch asks nodes for what they know, now and then, and again and again while
// something is amiss.
func (p *Proxy) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.members.wake:
		case <-timer.C:
		}
		now := time.Now()
		p.expireEarly(now)
		urgent := p.members.ask(now)
		next := urgentEvery
		if !urgent {
			next = askEvery / 5
		}
		timer.Reset(next)
	}
}

// hurry lets nodes be asked at once, since something has changed.
func (m *members) hurry() {
	m.mu.Lock()
	now := time.Now()
	already := now.Before(m.urgent)
	m.urgent = now.Add(urgentFor)
	m.mu.Unlock()
	if !already {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// ask sends questions to nodes for which it is time. It reports whether the next are
// to be sent soon.
func (m *members) ask(now time.Time) (urgent bool) {
	connected := m.proxy.peers.Connected()
	var questions []uint64
	var silent map[uint64]bool
	m.mu.Lock()
	urgent = now.Before(m.urgent) || m.leaderless()
	for id := range m.nodes {
		if !slices.Contains(connected, id) {
			delete(m.nodes, id)
		}
	}
	for _, id := range connected {
		n := m.nodes[id]
		if n == nil {
			n = new(node)
			m.nodes[id] = n
		}
		switch {
		case !n.asked.IsZero():
			if m.look(id, n, now) {
				if silent == nil {
					silent = make(map[uint64]bool)
				}
				silent[id] = true
				m.urgent = now.Add(urgentFor)
				urgent = true
			}
		case urgent || now.Sub(n.answered) >= askEvery:
			n.asked, n.received = now, m.proxy.received(id)
			questions = append(questions, id)
		}
	}
	m.mu.Unlock()
	if silent != nil {
		m.proxy.o.Logger.Info("a node does not answer; others are asked", "nodes", len(silent))
		m.proxy.calls.End(func(to uint64) bool { return silent[to] })
	}
	for _, id := range questions {
		m.proxy.peers.Call(id, remote.AppendCall(nil, remote.KindStatus), now.Add(time.Minute), func(answer []byte, err error) {
			m.heard(id, answer, err)
		})
	}
	return urgent
}

// look looks at a node that owes an answer, and reports whether it has just become silent.
// The lock is held.
func (m *members) look(id uint64, n *node, now time.Time) bool {
	if n.silent {
		return false
	}
	if received := m.proxy.received(id); received-n.received >= muchReceived {
		n.asked, n.received = now, received
	}
	n.silent = now.Sub(n.asked) > silence
	return n.silent
}

// leaderless reports whether it is not known who leads a group. The lock is held.
func (m *members) leaderless() bool {
	return len(m.groups) == 0 || slices.ContainsFunc(m.groups, func(g groupView) bool { return g.leader == 0 })
}

// heard takes what a node says.
func (m *members) heard(id uint64, answer []byte, err error) {
	var status remote.Status
	if err == nil {
		if answer, err = remote.Open(answer); err == nil {
			err = json.Unmarshal(answer, &status)
		}
	}
	now := time.Now()
	m.mu.Lock()
	if n := m.nodes[id]; n != nil {
		n.asked = time.Time{}
		if n.answered = now; err == nil {
			n.silent = false
			n.ready = m.isReady(&status, n.ready)
			n.drained = slices.ContainsFunc(status.Nodes, func(x remote.Node) bool { return x.Node == id && x.Drained })
		}
	}
	if err != nil || len(status.Groups) == 0 {
		m.mu.Unlock()
		return
	}
	first := len(m.groups) == 0
	if first {
		m.groups = make([]groupView, len(status.Groups))
	}
	slices.SortFunc(status.Nodes, func(a, b remote.Node) int { return cmp.Compare(a.Node, b.Node) })
	if !slices.Equal(m.known, status.Nodes) {
		select {
		case m.moved <- struct{}{}:
		default:
		}
	}
	m.known, m.stats = status.Nodes, status.Stats
	m.stats.Hot = session.HotStats{} // the node's own
	var changed []int
	for i := range min(len(m.groups), len(status.Groups)) {
		if m.groups[i].take(&status.Groups[i], now) {
			changed = append(changed, i)
		}
	}
	groups := len(m.groups)
	if len(changed) > 0 {
		m.urgent = time.Time{}
	}
	m.mu.Unlock()
	if first {
		m.proxy.begin(groups)
		return
	}
	for _, i := range changed {
		if s := m.proxy.store.Load(); s != nil {
			s.Changed(i)
		}
	}
}

// isReady reports whether a node, which was ready or not, has caught up. One that was is so
// while nobody leads, too; one that was not has been started, say, and may not have heard
// yet how much of the log there is. The lock is held.
func (m *members) isReady(s *remote.Status, was bool) bool {
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.Applied+nearly < g.Committed || !was && (g.Leader == 0 || i < len(m.groups) && g.Applied+nearlyAll < max(g.Committed, m.groups[i].committed)) {
			return false
		}
	}
	return len(s.Groups) > 0
}

// take takes what a node says of the group, and reports whether another node leads
// than was known.
func (g *groupView) take(said *remote.Group, now time.Time) bool {
	if said.Clock > g.clock {
		g.clock, g.seen = said.Clock, now
	}
	g.committed = max(g.committed, said.Committed)
	newer := said.Term > g.term || said.Term == g.term && g.leader == 0
	if !newer || said.Leader == 0 && g.leader == 0 {
		if newer {
			g.term = said.Term
		}
		return false
	}
	g.term = said.Term
	changed := said.Leader != g.leader
	g.leader = said.Leader
	return changed && said.Leader != 0
}

// leader is the node that leads a group; 0: none is known.
func (m *members) leader(group uint64) (term, leader uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if group >= uint64(len(m.groups)) {
		return 0, 0
	}
	return m.groups[group].term, m.groups[group].leader
}

// clockOf is the clock of a group's log, which has gone on since it was seen.
func (m *members) clockOf(group uint64) session.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if group >= uint64(len(m.groups)) || m.groups[group].clock == 0 {
		return 0
	}
	g := &m.groups[group]
	return g.clock.Add(min(time.Since(g.seen), maxExtrapolated))
}

// answers reports whether there is a connection to a node, and it answers.
func (m *members) answers(id uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.nodes[id]
	return n != nil && !n.silent
}

// another returns a node that answers, each in turn, other than one; 0: there is none.
// It is one that is ready, if there is one, and preferably one that is not drained.
func (m *members) another(than uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make([]uint64, 0, len(m.nodes))
	best := 0
	for id, n := range m.nodes {
		if id == than || n.silent || n.rank() < best {
			continue
		}
		if n.rank() > best {
			best, ids = n.rank(), ids[:0]
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return 0
	}
	slices.Sort(ids)
	m.turn++
	return ids[m.turn%len(ids)]
}

// gone is told that a node's process does not run any more.
func (m *members) gone(id uint64) {
	m.mu.Lock()
	delete(m.nodes, id)
	m.mu.Unlock()
	m.hurry()
}
