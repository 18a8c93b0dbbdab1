package membership

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cairn/cluster/group"
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
	Disk     Disk     `json:"disk,omitzero"`
	Sessions bool     `json:"sessions,omitempty"` // it has some, and brings them into the cluster
	Drained  bool     `json:"drained,omitempty"`
	Zone     string   `json:"zone,omitempty"` // "": it has none, or is of a version that does not say

	Now        int64 `json:"now,omitempty"` // what its clock shows, in Unix milliseconds; 0: it does not say
	ClockWrong bool  `json:"clock_wrong,omitempty"`

	Client  string   `json:"client,omitempty"`  // where clients reach it; "": not known, or it does not say
	Clients *Clients `json:"clients,omitempty"` // what it answers them

	LogLevel   group.Level `json:"log_level,omitempty"`   // of the first group's log; 0: it has none, or does not say
	LogProgram string      `json:"log_program,omitempty"` // a version that knows that level

	Lags map[int]Lags `json:"lags,omitempty"` // of the groups that it leads

	Replicas json.RawMessage `json:"replicas,omitempty"` // what it has to say of its replicas
}

// Membership is what a node knows of its cluster. All methods may be called by
// anybody at any time.
type Membership struct {
	dir     string
	address string
	zone    string
	client  string
	expect  int
	level   uint8
	full    bool // this node's disk is
	holds   bool // sessions of a single server, to begin the cluster with
	now     func() time.Time
	clock   func() time.Time // that of the node; nil: it is not compared with others
	trust   trust            // in clock
	logger  *slog.Logger

	mu       sync.Mutex
	identity Identity
	others   map[uint64]*other
	ready    []uint64
	begun    chan struct{} // closed when the cluster has begun
	foreign  bool          // the cluster has begun without this node
	refused  chan error    // has why this node does not belong to the cluster
	removed  chan struct{} // closed when it goes on without this node
	since    time.Time     // when this process began to listen
	log      Log           // as this node said last
	clients  atomic.Pointer[Clients]
	disk     Disk
	lags     map[int]Lags // of the groups that this node leads
}

// Disk is the file system of a node's data directory.
type Disk struct {
	Free  int64 `json:"free"`  // bytes
	Total int64 `json:"total"` // 0: not known
}

// Log is how far this node's replica of the first group is.
type Log struct {
	Applied uint64      // index
	Level   group.Level // 0: there is no replica at present
	Program string      // a version that knows the level, for people; "": not known
	Clock   time.Time   // of the log; zero: not known
}

type other struct {
	state   state
	level   uint8
	program string // its version, for people
	tooOld  bool   // that was reported
	heard   time.Time
	clock   []time.Duration // how far it was ahead of the process's begin, less what had elapsed
}

// Options of a Membership.
type Options struct {
	Dir      string
	Identity *Identity
	Address  string           // of this node, for others
	Zone     string           // that it is in; "": none
	Client   string           // where clients reach the node; "": not known
	Expect   int              // how many nodes the cluster begins with
	Level    uint8            // the highest that this node knows
	Now      func() time.Time // default: time.Now
	Clock    func() time.Time // that the node stamps with; nil: it is not compared with others
	Logger   *slog.Logger

	// Sessions says that the node has those of a single server, which has become none
	// of a cluster yet: the cluster begins with them, or not with this node.
	Sessions bool
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
		dir: o.Dir, address: o.Address, zone: o.Zone, client: o.Client, expect: o.Expect, level: o.Level, holds: o.Sessions, now: o.Now, clock: o.Clock, logger: o.Logger,
		identity: *o.Identity, others: map[uint64]*other{}, begun: make(chan struct{}), refused: make(chan error, 1), removed: make(chan struct{}), since: o.Now(),
	}
	m.clients.Store(&Clients{Version: m.identity.Clients})
	if m.identity.Begun() {
		close(m.begun)
		return m, m.noteMember(m.identity.Node)
	}
	return m, m.think()
}

// Begun is closed when this node belongs to a cluster that has begun.
func (m *Membership) Begun() <-chan struct{} { return m.begun }

// Refused has why this node cannot belong to the cluster, once it is known: it has
// sessions of its own, which would be lost, or those of others; or it does not know the
// level of the cluster's log, a *group.LevelError.
func (m *Membership) Refused() <-chan error { return m.refused }

// Removed is closed when this node hears that the cluster goes on without it.
func (m *Membership) Removed() <-chan struct{} { return m.removed }

// Identity returns who this node is.
func (m *Membership) Identity() Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.identity
}

// State is what this node says of itself, and of its replicas, as JSON.
func (m *Membership) State(log Log, replicas json.RawMessage) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = log
	shows := int64(0)
	if m.clock != nil {
		shows = m.clock().UnixMilli()
	}
	clients := m.clients.Load()
	if len(clients.Addresses) == 0 {
		clients = nil
	}
	text, err := json.Marshal(state{
		Address: m.address, Groups: m.identity.Groups, Expect: m.expect, Ready: m.saidReady(), Members: m.identity.Members,
		At: max(log.Applied, m.identity.At), Founders: m.identity.Founders, Full: m.full, Sessions: m.holds && !m.identity.Begun(),
		Drained: m.identity.Drained, Zone: m.zone,
		Now: shows, ClockWrong: m.trust == wrong,
		LogLevel: log.Level, LogProgram: log.Program, Client: m.client, Clients: clients,
		Disk: m.disk, Lags: m.lags,
		Replicas: replicas,
	})
	if err != nil {
		panic(err) // it has numbers and strings
	}
	return text
}

// saidReady is whom this node says that it would begin with.
func (m *Membership) saidReady() []uint64 {
	if m.holds {
		return nil
	}
	return m.ready
}

// Heard takes what another node, which has a version and knows levels up to one, says of
// itself. The error says that this node cannot note down what follows.
func (m *Membership) Heard(node uint64, level uint8, program string, text []byte) error {
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		m.logger.Debug("the state that a node sent cannot be read", "error", err)
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &other{state: s, level: level, program: program, heard: m.now()}
	m.hearClock(o, m.others[node], s.Now)
	m.reportTooOld(node, o, m.others[node])
	m.others[node] = o
	if !m.identity.Begun() {
		return m.think()
	}
	if len(s.Members) > 0 && s.At > m.identity.At && !contains(s.Members, m.identity.Node) {
		m.leave()
	}
	return m.noteMember(node)
}

// reportTooOld reports, once, that a node waits which cannot join: its version may be one
// that does not notice itself. The lock is held.
func (m *Membership) reportTooOld(node uint64, now, before *other) {
	now.tooOld = before != nil && before.tooOld
	if now.tooOld || group.Level(now.level) >= m.log.Level || len(now.state.Members) > 0 || contains(m.identity.Members, node) {
		return
	}
	now.tooOld = true
	m.logger.Warn("a node cannot join the cluster: its version does not know the level of the log", "node", group.FormatNode(node),
		"address", now.state.Address, "version", now.program, "knows", now.level, "level", uint8(m.log.Level), "needed", m.log.Program)
}

// leave notes that this node is none of the cluster's any more. The lock is held.
func (m *Membership) leave() {
	select {
	case <-m.removed:
	default:
		close(m.removed)
	}
}

// noteMember notes what a member says of itself, if that is new. The lock is held, or
// nobody else knows m.
func (m *Membership) noteMember(node uint64) error {
	k := slices.IndexFunc(m.identity.Members, func(x Member) bool { return x.Node == node })
	if k < 0 {
		return nil
	}
	now := m.member(node, m.identity.Members[k].Learner)
	if now == m.identity.Members[k] {
		return nil
	}
	i := m.identity
	i.Members = slices.Clone(i.Members)
	i.Members[k] = now
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
		x.Address, x.Level, x.Zone, x.Client = o.state.Address, o.level, o.state.Zone, o.state.Client
	}
	if node == m.identity.Node {
		x.Address, x.Level, x.Zone, x.Client = m.address, m.level, m.zone, m.client
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
	return m.silent(node)
}

// silent is Silent. The lock is held.
func (m *Membership) silent(node uint64) time.Duration {
	if node == m.identity.Node {
		return 0
	}
	last := m.since
	if o := m.others[node]; o != nil {
		last = o.heard
	}
	return m.now().Sub(last)
}

// Zones are those of the nodes that have one.
func (m *Membership) Zones() map[uint64]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	zones := map[uint64]string{}
	for _, x := range m.identity.Members {
		zones[x.Node] = x.Zone
	}
	for node, o := range m.others {
		zones[node] = o.state.Zone
	}
	zones[m.identity.Node] = m.zone
	maps.DeleteFunc(zones, func(_ uint64, zone string) bool { return zone == "" })
	return zones
}

// SetDisk notes how this node's disk is, and whether it is full.
func (m *Membership) SetDisk(full bool, disk Disk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full, m.disk = full, disk
}

// SetDrained notes, durably, whether this node is drained.
func (m *Membership) SetDrained(drained bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.identity.Drained == drained {
		return nil
	}
	i := m.identity
	i.Drained = drained
	return m.note(i)
}

// Drained reports whether a node is drained, as far as it has said.
func (m *Membership) Drained(node uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if node == m.identity.Node {
		return m.identity.Drained
	}
	o := m.others[node]
	return o != nil && o.state.Drained
}

// HeardDrained notes whether another node is drained before it says so itself.
func (m *Membership) HeardDrained(node uint64, drained bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.others[node]; o != nil {
		o.state.Drained = drained
	}
}

// Unfit reports whether a node should not lead, as far as it has said: its disk is full,
// it is drained, or its clock is wrong.
func (m *Membership) Unfit(node uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if node == m.identity.Node {
		return m.full || m.identity.Drained || m.trust == wrong
	}
	o := m.others[node]
	return o != nil && (o.state.Full || o.state.Drained || o.state.ClockWrong)
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
	if begun := m.heardOfBegin(); begun != nil {
		if begun.LogLevel > group.Level(m.level) {
			m.refuse(&group.LevelError{Level: begun.LogLevel, Knows: group.Level(m.level), Program: begun.LogProgram})
			return nil
		}
		if m.holds {
			m.refuse(fmt.Errorf("%s has the sessions of a single server, and the cluster cannot begin with them: it has begun already, without the sessions of this data directory. Name another one, or empty it, to let this node join; 'cairn export' and 'cairn import' bring the sessions into the cluster", m.dir))
			return nil
		}
		if contains(begun.Members, m.identity.Node) {
			return m.begin(begun)
		}
		m.noteForeign()
	}
	present := m.present()
	for _, node := range m.ready {
		if !slices.Contains(present, node) {
			m.ready = nil // one of them has gone
			break
		}
	}
	if m.ready == nil && len(present) == m.expect {
		m.ready = present
	}
	if m.holds {
		return m.thinkAsHolder()
	}
	if m.ready == nil || m.foreign {
		return nil
	}
	members := make([]Member, 0, len(m.ready))
	for _, node := range m.ready {
		if node == m.identity.Node {
			members = append(members, m.member(node, false))
			continue
		}
		o := m.others[node]
		if o.state.Sessions || !slices.Equal(o.state.Ready, m.ready) {
			return nil // the one with sessions begins, and this node joins
		}
		members = append(members, m.member(node, false))
	}
	return m.begin(&state{Members: members, Groups: m.identity.Groups})
}

// heardOfBegin is what a node says whose cluster has begun, and preferably with this
// one; nil: none has.
func (m *Membership) heardOfBegin() (begun *state) {
	for _, o := range m.others {
		if len(o.state.Members) == 0 || o.state.Groups == 0 {
			continue
		}
		if contains(o.state.Members, m.identity.Node) {
			return &o.state
		}
		begun = &o.state
	}
	return begun
}

// present are the nodes that wait for the cluster to begin, this one among them.
func (m *Membership) present() []uint64 {
	present := []uint64{m.identity.Node}
	for node, o := range m.others {
		if len(o.state.Members) == 0 && m.now().Sub(o.heard) <= forgetAfter && o.state.Expect == m.expect && o.state.Groups == m.identity.Groups {
			present = append(present, node)
		}
	}
	slices.Sort(present)
	return present
}

// thinkAsHolder looks whether this node, which has sessions, can begin the cluster: by
// itself, once all others that there are to be are there, and wait for it. They get a
// copy. It never says that it is ready, so that no others begin with it in another way.
func (m *Membership) thinkAsHolder() error {
	for node, o := range m.others {
		if o.state.Sessions && m.now().Sub(o.heard) <= forgetAfter {
			m.refuse(fmt.Errorf("this node has the sessions of a single server in its data directory, %s, and so has node %016x at %s: a cluster can begin with the sessions of one only. Name another data directory at one of them, or empty it; 'cairn export' and 'cairn import' bring its sessions into the cluster",
				m.dir, node, o.state.Address))
			return nil
		}
	}
	if m.ready == nil {
		return nil
	}
	for _, node := range m.ready {
		if node != m.identity.Node && !slices.Equal(m.others[node].state.Ready, m.ready) {
			return nil
		}
	}
	return m.begin(&state{Members: []Member{m.member(m.identity.Node, false)}, Groups: m.identity.Groups})
}

// refuse says why this node does not belong to the cluster.
func (m *Membership) refuse(why error) {
	select {
	case m.refused <- why:
	default:
	}
}

// begin notes down that the cluster has begun, and belongs to it.
func (m *Membership) begin(s *state) error {
	i := m.identity
	i.Members, i.Groups, i.At, i.Founders = slices.Clone(s.Members), s.Groups, s.At, s.Founders
	if len(i.Founders) == 0 {
		i.Founders, i.At = i.Nodes(), beginAt
	}
	if m.holds {
		i.Adopts, i.Size = true, m.expect
	}
	if err := m.note(i); err != nil {
		return err
	}
	switch {
	case i.Adopts:
		m.logger.Info("the cluster begins with the sessions of this node, and the others get a copy", "nodes", i.Size)
	case i.Founder():
		m.logger.Info("the cluster has begun", "nodes", len(i.Members))
	default:
		m.logger.Info("this node belongs to the cluster now, and gets a copy of the sessions", "nodes", len(i.Members))
	}
	close(m.begun)
	return nil
}

func (m *Membership) noteForeign() {
	if !m.foreign {
		m.foreign = true
		m.logger.Info("the cluster has begun without this node, which waits until it is needed, is added, or replaces another")
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
