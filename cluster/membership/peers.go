package membership

import (
	"slices"
	"time"
)

// Peer is another node as this one sees it.
type Peer struct {
	Node    uint64
	Address string
	Member  bool
	Learner bool
	Drained bool
	Zone    string
	Heard   time.Time // zero: not since this process began
	Program string    // its version, for people; "": not known
	Level   uint8     // the highest that it knows; 0: not known

	ClockWrong bool
	Full       bool // its disk is
	Disk       Disk // as it was last heard of

	Lag      uint64 // entries that it lacks, as the leaders of all groups say
	LagKnown bool   // a leader says so
}

// Own is this node, in the way that others see it.
func (m *Membership) Own() Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := Peer{
		Node: m.identity.Node, Address: m.address, Member: true, Drained: m.identity.Drained, Zone: m.zone, Heard: m.now(), Level: m.level,
		ClockWrong: m.trust == wrong, Full: m.full, Disk: m.disk,
	}
	p.Lag, p.LagKnown = m.lag(p.Node)
	return p
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
		p := Peer{Node: x.Node, Address: x.Address, Member: true, Learner: x.Learner, Zone: x.Zone, Level: x.Level}
		if o := m.others[x.Node]; o != nil {
			p.Address, p.Heard, p.Drained, p.Zone = o.state.Address, o.heard, o.state.Drained, o.state.Zone
			p.ClockWrong, p.Program, p.Level = o.state.ClockWrong, o.program, o.level
			p.Full, p.Disk = o.state.Full, o.state.Disk
		}
		p.Lag, p.LagKnown = m.lag(x.Node)
		peers = append(peers, p)
	}
	for node, o := range m.others {
		if !seen[node] && m.now().Sub(o.heard) <= forgetAfter {
			peers = append(peers, Peer{
				Node: node, Address: o.state.Address, Heard: o.heard, Drained: o.state.Drained, Zone: o.state.Zone, Program: o.program, Level: o.level,
			})
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

// Lags are how many entries the replicas of a group lack, as a leader knows.
type Lags struct {
	Term    uint64            `json:"term"`
	Entries map[uint64]uint64 `json:"entries"` // by node
}

// SetLags notes what the replicas lack of a group that this node leads; without Entries it
// does not lead it.
func (m *Membership) SetLags(group int, lags Lags) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lags == nil {
		m.lags = map[int]Lags{}
	}
	if m.lags[group] = lags; len(lags.Entries) == 0 {
		delete(m.lags, group)
	}
}

// lag is how many entries a node lacks of all groups, as their latest leaders say that were
// heard of lately. The lock is held.
func (m *Membership) lag(node uint64) (entries uint64, known bool) {
	latest := map[int]Lags{}
	take := func(said map[int]Lags) {
		for group, lags := range said {
			if lags.Term >= latest[group].Term {
				latest[group] = lags
			}
		}
	}
	take(m.lags)
	for other, o := range m.others {
		if m.silent(other) <= forgetAfter {
			take(o.state.Lags)
		}
	}
	for _, lags := range latest {
		lag, ok := lags.Entries[node]
		entries, known = entries+lag, known || ok
	}
	return entries, known
}
