package membership

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A cluster begins when as many nodes as it is to have know each other, and each has
// heard from each that these are the ones: every node announces whom it would begin
// with, keeps to that while all of them are there, and begins when all announce the
// same. A node that hears of a cluster that has begun with it belongs to it.

// forgetAfter is for how long a node that was not heard of counts.
const forgetAfter = 3 * time.Second

// state is what a node says of itself again and again.
type state struct {
	Address  string   `json:"address"`
	Groups   int      `json:"groups"`
	Expect   int      `json:"expect"`            // how many nodes it begins with
	Ready    []uint64 `json:"ready,omitempty"`   // whom it would begin with
	Members  []Member `json:"members,omitempty"` // once it has
	At       uint64   `json:"at,omitempty"`      // an index as of which they are that
	Founders []uint64 `json:"founders,omitempty"`
	Full     bool     `json:"full,omitempty"` // its disk is
}

// Membership is what a node knows of its cluster. All methods may be called by
// anybody at any time.
type Membership struct {
	dir     string
	address string
	expect  int
	level   uint8
	full    bool // this node's disk is
	now     func() time.Time
	logger  *slog.Logger

	mu       sync.Mutex
	identity Identity
	others   map[uint64]*other
	ready    []uint64
	begun    chan struct{} // closed when the cluster has begun
	foreign  bool          // the cluster has begun without this node
	removed  chan struct{} // closed when it goes on without this node
	since    time.Time     // when this process began to listen
}

type other struct {
	state state
	level uint8
	heard time.Time
}

// Options of a Membership.
type Options struct {
	Dir      string
	Identity *Identity
	Address  string           // of this node, for others
	Expect   int              // how many nodes the cluster begins with
	Level    uint8            // the highest that this node knows
	Now      func() time.Time // default: time.Now
	Logger   *slog.Logger
}

// New begins with what the data directory says.
func New(o Options) (*Membership, error) {
	if o.Expect < 1 {
		return nil, fmt.Errorf("membership: a cluster of %d nodes", o.Expect)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Membership{
		dir: o.Dir, address: o.Address, expect: o.Expect, level: o.Level, now: o.Now, logger: o.Logger,
		identity: *o.Identity, others: map[uint64]*other{}, begun: make(chan struct{}), removed: make(chan struct{}), since: o.Now(),
	}
	if m.identity.Begun() {
		close(m.begun)
		return m, nil
	}
	return m, m.think()
}

// Begun is closed when this node belongs to a cluster that has begun.
func (m *Membership) Begun() <-chan struct{} { return m.begun }

// Removed is closed when this node hears that the cluster goes on without it.
func (m *Membership) Removed() <-chan struct{} { return m.removed }

// Identity returns who this node is.
func (m *Membership) Identity() Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.identity
}

// State is what this node says of itself. applied is an index in the first group's log.
func (m *Membership) State(applied uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, err := json.Marshal(state{
		Address: m.address, Groups: m.identity.Groups, Expect: m.expect, Ready: m.ready, Members: m.identity.Members,
		At: max(applied, m.identity.At), Founders: m.identity.Founders, Full: m.full,
	})
	if err != nil {
		panic(err) // it has numbers and strings
	}
	return text
}

// Heard takes what another node, which knows levels up to one, says of itself. The
// error says that this node cannot note down what follows.
func (m *Membership) Heard(node uint64, level uint8, text []byte) error {
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		m.logger.Debug("the state that a node sent cannot be read", "error", err)
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.others[node] = &other{s, level, m.now()}
	if !m.identity.Begun() {
		return m.think()
	}
	if len(s.Members) > 0 && s.At > m.identity.At && !contains(s.Members, m.identity.Node) {
		m.leave()
	}
	return m.noteAddress(node, s.Address, level)
}

// leave notes that this node is none of the cluster's any more. The lock is held.
func (m *Membership) leave() {
	select {
	case <-m.removed:
	default:
		close(m.removed)
	}
}

// noteAddress notes where a member is, and what it knows, if that is new.
func (m *Membership) noteAddress(node uint64, address string, level uint8) error {
	k := slices.IndexFunc(m.identity.Members, func(x Member) bool { return x.Node == node })
	if k < 0 || m.identity.Members[k].Address == address && m.identity.Members[k].Level == level {
		return nil
	}
	i := m.identity
	i.Members = slices.Clone(i.Members)
	i.Members[k].Address, i.Members[k].Level = address, level
	return m.note(i)
}

// note makes i who this node is. The lock is held.
func (m *Membership) note(i Identity) error {
	if err := i.save(m.dir); err != nil {
		return errors.Join(errors.New("membership: the members cannot be recorded"), err)
	}
	m.identity = i
	return nil
}

func contains(members []Member, node uint64) bool {
	return slices.ContainsFunc(members, func(x Member) bool { return x.Node == node })
}

// Configured takes over who the nodes are from an index of the first group's log on,
// unless it has heard of a later one: a log is carried out from further back after a
// restart.
func (m *Membership) Configured(at uint64, voters, learners []uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.identity
	if at < i.At {
		return nil
	}
	i.Members, i.At = nil, at
	for k, node := range slices.Concat(voters, learners) {
		if !contains(i.Members, node) {
			i.Members = append(i.Members, m.member(node, k >= len(voters)))
		}
	}
	if !contains(i.Members, i.Node) {
		m.leave()
		return nil // what is noted says from where on
	}
	if slices.Equal(i.Members, m.identity.Members) {
		return nil
	}
	return m.note(i)
}

// member is what this node knows of one. The lock is held.
func (m *Membership) member(node uint64, learner bool) Member {
	x := Member{Node: node}
	if k := slices.IndexFunc(m.identity.Members, func(x Member) bool { return x.Node == node }); k >= 0 {
		x = m.identity.Members[k]
	}
	if o := m.others[node]; o != nil {
		x.Address, x.Level = o.state.Address, o.level
	}
	if node == m.identity.Node {
		x.Address, x.Level = m.address, m.level
	}
	x.Learner = learner
	return x
}

// Strangers are nodes that would like to belong to the cluster, and know a level.
func (m *Membership) Strangers(level uint8) (nodes []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for node, o := range m.others {
		if m.now().Sub(o.heard) <= forgetAfter && len(o.state.Members) == 0 && o.level >= level && !contains(m.identity.Members, node) {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// Silent is for how long a node was not heard of, since this process began at most.
func (m *Membership) Silent(node uint64) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.since
	if o := m.others[node]; o != nil {
		last = o.heard
	}
	if node == m.identity.Node {
		return 0
	}
	return m.now().Sub(last)
}

// SetFull notes whether this node's disk is full.
func (m *Membership) SetFull(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}

// Full reports whether another node's disk is full, as far as it has said.
func (m *Membership) Full(node uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.others[node]
	return o != nil && o.state.Full
}

// Level is the highest that all members know: 0 if that is not known of one.
func (m *Membership) Level() uint8 {
	m.mu.Lock()
	defer m.mu.Unlock()
	level := m.level
	for _, x := range m.identity.Members {
		if x.Node != m.identity.Node {
			level = min(level, x.Level)
		}
	}
	return level
}

// think looks whether the cluster can begin. The lock is held, or nobody else knows
// m.
func (m *Membership) think() error {
	now := m.now()
	present := []uint64{m.identity.Node}
	for node, o := range m.others {
		if len(o.state.Members) > 0 && o.state.Groups > 0 {
			if contains(o.state.Members, m.identity.Node) {
				return m.begin(&o.state)
			}
			m.noteForeign()
			continue
		}
		if now.Sub(o.heard) <= forgetAfter && o.state.Expect == m.expect && o.state.Groups == m.identity.Groups {
			present = append(present, node)
		}
	}
	slices.Sort(present)
	for _, node := range m.ready {
		if !slices.Contains(present, node) {
			m.ready = nil // one of them has gone
			break
		}
	}
	if m.ready == nil && len(present) == m.expect {
		m.ready = present
	}
	if m.ready == nil || m.foreign {
		return nil
	}
	members := make([]Member, 0, len(m.ready))
	for _, node := range m.ready {
		if node == m.identity.Node {
			members = append(members, Member{Node: node, Address: m.address, Level: m.level})
			continue
		}
		o := m.others[node]
		if !slices.Equal(o.state.Ready, m.ready) {
			return nil
		}
		members = append(members, Member{Node: node, Address: o.state.Address, Level: o.level})
	}
	return m.begin(&state{Members: members, Groups: m.identity.Groups})
}

// begin notes down that the cluster has begun, and belongs to it.
func (m *Membership) begin(s *state) error {
	i := m.identity
	i.Members, i.Groups, i.At, i.Founders = slices.Clone(s.Members), s.Groups, s.At, s.Founders
	if len(i.Founders) == 0 {
		i.Founders, i.At = i.Nodes(), beginAt
	}
	if err := m.note(i); err != nil {
		return err
	}
	if i.Founder() {
		m.logger.Info("the cluster has begun", "nodes", len(i.Members))
	} else {
		m.logger.Info("this node belongs to the cluster now, and gets a copy of the sessions", "nodes", len(i.Members))
	}
	close(m.begun)
	return nil
}

func (m *Membership) noteForeign() {
	if !m.foreign {
		m.foreign = true
		m.logger.Info("the cluster has all its nodes, and this is not one of them: it waits until it is added, or replaces another")
	}
}

// Addresses are where other nodes are, as far as they have said.
func (m *Membership) Addresses() (addresses []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := map[uint64]string{}
	for _, x := range m.identity.Members {
		known[x.Node] = x.Address
	}
	for node, o := range m.others {
		if m.now().Sub(o.heard) <= forgetAfter || known[node] != "" {
			known[node] = o.state.Address
		}
	}
	delete(known, m.identity.Node)
	for _, address := range known {
		addresses = append(addresses, address)
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// Peer is another node as this one sees it.
type Peer struct {
	Node    uint64
	Address string
	Member  bool
	Learner bool
	Heard   time.Time // zero: not since this process began
}

// Peers are the other nodes, by number.
func (m *Membership) Peers() (peers []Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[uint64]bool{m.identity.Node: true}
	for _, x := range m.identity.Members {
		if seen[x.Node] {
			continue
		}
		seen[x.Node] = true
		p := Peer{Node: x.Node, Address: x.Address, Member: true, Learner: x.Learner}
		if o := m.others[x.Node]; o != nil {
			p.Address, p.Heard = o.state.Address, o.heard
		}
		peers = append(peers, p)
	}
	for node, o := range m.others {
		if !seen[node] && m.now().Sub(o.heard) <= forgetAfter {
			peers = append(peers, Peer{Node: node, Address: o.state.Address, Heard: o.heard})
		}
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		switch {
		case a.Node < b.Node:
			return -1
		case a.Node > b.Node:
			return 1
		}
		return 0
	})
	return peers
}
