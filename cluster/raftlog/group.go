package raftlog

import (
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/log"
)

// Group is the log of one group: a raft.Storage. Its methods may be called
// concurrently, those that append or compact by one goroutine at a time.
type Group struct {
	store  *Store
	number uint64

	mu    sync.Mutex
	hard  hardState
	confs []conf // ascending; the first may be older than base
	base  compacted
	runs  []run // of the entries behind base, ascending
	last  uint64

	// said is the base of the latest state while the log is read. guess is set then
	// if the entries that have come do not reach back to it: base is what is before
	// them. Later entries, or a later state, end that.
	said  compacted
	guess bool

	state      log.Position // of the latest state or reset; 0: none
	cache      cache
	encoded    []byte // to be used again
	sinceCheck int64  // bytes appended since the log's size was looked at
}

var _ raft.Storage = (*Group)(nil)

// sizeEvery is how many bytes of a group lie between two looks at the log's size.
const sizeEvery = 1 << 20

// replay takes over a record when the store is opened.
func (g *Group) replay(p log.Position, r *record) error {
	switch r.kind {
	case kindReset:
		g.take(p, r)
		g.reset(r.base)
		g.guess = false
	case kindState:
		g.take(p, r)
		g.settle()
	case kindAppend:
		if r.hard.set {
			g.hard = r.hard
		}
		return g.replayEntries(p, r)
	}
	return nil
}

// take takes over what a state says.
func (g *Group) take(p log.Position, r *record) {
	g.state, g.hard, g.confs, g.said = p, r.hard, r.confs, r.base
}

// settle makes what the latest state has said the base, if the entries that have
// come reach back to it.
func (g *Group) settle() {
	if g.said.index >= g.base.index {
		g.drop(g.said)
		g.guess = false
	}
}

// replayEntries takes over the entries of a record.
func (g *Group) replayEntries(p log.Position, r *record) error {
	if r.n == 0 {
		return nil
	}
	if before := g.state == 0 || g.guess; r.first > g.last+1 || before && r.first <= g.base.index {
		g.reset(compacted{index: r.first - 1})
		g.guess = true
		if g.state > 0 {
			g.settle()
		}
	}
	var terms []uint64
	var entries []*raftpb.Entry
	err := r.entries(func(index, term uint64, kind raftpb.EntryType, data []byte) bool {
		if data != nil {
			data = append([]byte{}, data...)
		}
		terms = append(terms, term)
		entries = append(entries, newEntry(index, term, kind, data))
		return true
	})
	if err == nil {
		g.add(p, r.first, terms, entries)
	}
	return err
}

// complete checks, when all records have been read, that there is a state for the
// entries.
func (g *Group) complete() error {
	if g.guess {
		return &MissingError{g.number, 1, g.base.index}
	}
	return nil
}

// reset forgets all entries.
func (g *Group) reset(base compacted) {
	g.base, g.runs, g.last = base, nil, base.index
	g.cache.clear(g.store)
}

// drop forgets the entries up to base.
func (g *Group) drop(base compacted) {
	n := 0
	for n+1 < len(g.confs) && g.confs[n+1].index <= base.index {
		n++
	}
	g.confs = g.confs[n:len(g.confs):len(g.confs)]
	if base.index >= g.last {
		g.reset(base)
		return
	}
	g.base = base
	g.runs = below(g.runs, base.index+1)
	g.cache.drop(g.store, base.index)
}

// add notes the entries of the record at p, from first on. Those at and behind first
// that there were are overwritten.
func (g *Group) add(p log.Position, first uint64, terms []uint64, entries []*raftpb.Entry) {
	if skip := g.base.index + 1; first < skip {
		n := min(skip-first, uint64(len(terms)))
		first, terms, entries = first+n, terms[n:], entries[n:]
	}
	if len(terms) == 0 {
		return
	}
	g.runs = cut(g.runs, first)
	for i, term := range terms {
		if i == 0 || term != terms[i-1] {
			g.runs = append(g.runs, run{first + uint64(i), p, term})
		}
	}
	g.last = first + uint64(len(terms)) - 1
	g.cache.add(g.store, first, entries)
}

// Empty reports whether the group has nothing: it was never begun here.
func (g *Group) Empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.empty()
}

func (g *Group) empty() bool { return g.last == 0 && g.state == 0 && !g.hard.set }

// Bootstrap begins an empty log behind an entry that every replica takes for
// granted, with a configuration. It returns when that is durable.
func (g *Group) Bootstrap(index, term uint64, state *raftpb.ConfState) error {
	g.mu.Lock()
	if !g.empty() {
		g.mu.Unlock()
		return fmt.Errorf("raftlog: group %d has begun already", g.number)
	}
	p, err := g.restart(compacted{index, term}, hardState{}, state)
	g.mu.Unlock()
	if err != nil {
		return err
	}
	return g.store.sync(p)
}

// restart appends a reset. g.mu is held.
func (g *Group) restart(base compacted, hard hardState, state *raftpb.ConfState) (log.Position, error) {
	confs := []conf{{base.index, proto.CloneOf(state)}}
	b, err := appendState(g.encoded[:0], kindReset, g.number, hard, base, confs)
	if err != nil {
		return 0, err
	}
	p, err := g.append(b)
	if err != nil {
		return 0, err
	}
	g.state, g.hard, g.confs = p, hard, confs
	g.reset(base)
	return p, nil
}

// append appends a record. g.mu is held, so that nobody believes that the log can
// do without it.
func (g *Group) append(b []byte) (log.Position, error) {
	const keptBytes = 1 << 20
	if g.encoded = b[:0]; cap(b) > keptBytes {
		g.encoded = nil
	}
	g.sinceCheck += int64(len(b))
	return g.store.log.Append(b)
}

// errGap is the error of entries behind the end of the log.
var errGap = errors.New("raftlog: entries are missing before those to be appended")

// Append appends the snapshot, the entries and the hard state of a
// MsgStorageAppend, as far as it has them. They show in the other methods when it
// returns. It waits for no disk, unless too much waits for it already. done is
// called once: when all of it and of what was appended before is durable, or with
// why it will not be. It may be called before Append returns, and otherwise by the
// goroutine that all syncs wait for. Without sync it is called at once if only the
// commit index has moved.
func (g *Group) Append(m *raftpb.Message, sync bool, done func(error)) {
	g.mu.Lock()
	old := g.hard
	p, err := g.appendMessage(m)
	sync = sync || len(m.GetEntries()) > 0 || m.GetSnapshot() != nil || g.hard.term != old.term || g.hard.vote != old.vote
	check := g.sinceCheck >= sizeEvery
	if check {
		g.sinceCheck = 0
	}
	g.mu.Unlock()
	if check {
		g.store.checkSize()
	}
	switch {
	case err != nil:
		done(err)
	case !sync:
		done(nil)
	case p == 0: // an answer to what is there already
		g.store.log.Sync(g.store.log.Next()-1, done)
	default:
		g.store.log.Sync(p, done)
	}
}

// appendMessage returns the position of the last record that m has become: 0 if it
// is empty. g.mu is held.
func (g *Group) appendMessage(m *raftpb.Message) (p log.Position, err error) {
	if empty(m) {
		return 0, nil
	}
	hard := g.hard
	if m.Term != nil || m.Vote != nil || m.Commit != nil {
		hard = hardState{true, m.GetTerm(), m.GetVote(), m.GetCommit()}
	}
	if meta := m.GetSnapshot().GetMetadata(); meta.GetIndex() > 0 {
		if p, err = g.restart(compacted{meta.GetIndex(), meta.GetTerm()}, hard, meta.GetConfState()); err != nil {
			return 0, err
		}
	}
	entries := m.GetEntries()
	if len(entries) == 0 && hard == g.hard {
		return p, nil
	}
	if len(entries) > 0 && entries[0].GetIndex() > g.last+1 {
		return 0, errGap
	}
	if p, err = g.append(appendEntries(g.encoded[:0], g.number, hard, entries)); err != nil {
		return 0, err
	}
	g.hard = hard
	if len(entries) > 0 {
		terms := make([]uint64, len(entries))
		for i, e := range entries {
			terms[i] = e.GetTerm()
		}
		g.add(p, entries[0].GetIndex(), terms, entries)
	}
	return p, nil
}

// SetConf notes the configuration that holds from an index on. It is called before
// that entry is applied, and durable when it returns.
func (g *Group) SetConf(index uint64, state *raftpb.ConfState) error {
	p, err := g.setConf(index, state)
	if err != nil {
		return err
	}
	return g.store.sync(p)
}

func (g *Group) setConf(index uint64, state *raftpb.ConfState) (log.Position, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	confs := g.confs
	for len(confs) > 0 && confs[len(confs)-1].index >= index {
		confs = confs[:len(confs)-1]
	}
	g.confs = append(confs[:len(confs):len(confs)], conf{index, proto.CloneOf(state)})
	return g.saveState()
}

// saveState appends a state. g.mu is held.
func (g *Group) saveState() (log.Position, error) {
	b, err := appendState(g.encoded[:0], kindState, g.number, g.hard, g.base, g.confs)
	if err != nil {
		return 0, err
	}
	p, err := g.append(b)
	if err == nil {
		g.state = p
	}
	return p, err
}

// renew appends a state if the latest is below low, and returns its position: 0 if
// there is none to sync.
func (g *Group) renew(low log.Position) (log.Position, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty() || g.state >= low {
		return g.state, nil
	}
	return g.saveState()
}

// oldest returns the position of the group's oldest entry.
func (g *Group) oldest() (p log.Position, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.runs) == 0 {
		return 0, false
	}
	return g.runs[0].position, true
}

// Compact drops the entries up to and including index, if they are there; their
// effects must be durable. The term of that one is still known. After a crash they
// may be there again.
func (g *Group) Compact(index uint64) error {
	g.mu.Lock()
	if index <= g.base.index || index > g.last {
		g.mu.Unlock()
		return nil
	}
	term, err := g.term(index)
	if err == nil {
		g.drop(compacted{index, term})
		_, err = g.saveState()
	}
	g.mu.Unlock()
	if err != nil {
		return fmt.Errorf("raftlog: compact group %d to %d: %w", g.number, index, err)
	}
	return g.store.tidy()
}

// InitialState is raft.Storage's. The configuration is the newest one; see ConfState.
func (g *Group) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.confs) == 0 {
		return g.hard.proto(), new(raftpb.ConfState), nil
	}
	return g.hard.proto(), proto.CloneOf(g.confs[len(g.confs)-1].state), nil
}

// ConfState returns the configuration that held when the entry at index had been
// applied: what a replica begins with that has applied so much.
func (g *Group) ConfState(index uint64) *raftpb.ConfState {
	g.mu.Lock()
	defer g.mu.Unlock()
	state := new(raftpb.ConfState)
	for _, c := range g.confs {
		if c.index <= index {
			state = c.state
		}
	}
	return proto.CloneOf(state)
}

// Term is raft.Storage's.
func (g *Group) Term(index uint64) (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.term(index)
}

func (g *Group) term(index uint64) (uint64, error) {
	switch {
	case index < g.base.index:
		return 0, raft.ErrCompacted
	case index == g.base.index:
		return g.base.term, nil
	case index > g.last:
		return 0, raft.ErrUnavailable
	}
	return g.runs[holder(g.runs, index)].term, nil
}

// LastIndex is raft.Storage's.
func (g *Group) LastIndex() (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last, nil
}

// FirstIndex is raft.Storage's.
func (g *Group) FirstIndex() (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.base.index + 1, nil
}

// Snapshot is raft.Storage's. A snapshot is the engine's, so there is none here:
// whoever sends one makes it.
func (g *Group) Snapshot() (*raftpb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}
