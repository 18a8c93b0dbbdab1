package simulate

import (
	"math"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Log is the log of one replica on a virtual disk. What was appended shows at
// once, but survives a Crash for certain only once it is synced.
type Log struct {
	World     *World
	Low, High time.Duration // a sync's time

	// Lies makes done come before the sync, ForgetsVotes makes a crash take back votes,
	// and KeepsSuffix makes one bring back what entries have taken the place of, behind
	// them: all to see whether a test notices.
	Lies, ForgetsVotes, KeepsSuffix bool

	// AtOnce makes done come at once where sync is not set, as it may.
	AtOnce bool

	Node   uint64  // whose log it is, to Writes
	Writes *Writes // nil: nobody counts them

	current, durable logState
	pending          []*pendingAppend
	syncing          bool
	life             int // crashes so far
}

type pendingAppend struct {
	m    *raftpb.Message
	done func(error)
}

// logState is a log: entries[0] stands for the last one that is not there.
type logState struct {
	hard    *raftpb.HardState
	confs   confs
	entries []*raftpb.Entry
}

// NewLog makes the log of a replica that knows its voters and nothing else.
func NewLog(w *World, voters []uint64) *Log {
	begin := func() logState {
		return logState{
			confs:   confs{{1, &raftpb.ConfState{Voters: voters}}},
			entries: []*raftpb.Entry{{Index: new(uint64(1)), Term: new(uint64(1))}},
		}
	}
	return &Log{World: w, current: begin(), durable: begin()}
}

// Append is group.Storage's.
func (l *Log) Append(m *raftpb.Message, sync bool, done func(error)) {
	l.current.append(m, len(m.GetEntries()), true)
	if !sync && len(m.GetEntries()) == 0 && !setsHard(m) {
		life := l.life
		l.World.After(0, func() {
			if life == l.life {
				done(nil)
			}
		})
		return
	}
	if l.Lies || l.AtOnce && !sync {
		life, early := l.life, done
		l.World.After(0, func() {
			if life == l.life {
				early(nil)
			}
		})
		done = func(error) {}
	}
	l.pending = append(l.pending, &pendingAppend{m, done})
	l.sync()
}

// sync makes durable what is pending now, in a while.
func (l *Log) sync() {
	if l.syncing || len(l.pending) == 0 {
		return
	}
	l.syncing = true
	batch, life := len(l.pending), l.life
	l.World.After(l.World.Between(l.Low, l.High), func() {
		if life != l.life {
			return
		}
		l.syncing = false
		done := l.pending[:batch:batch]
		l.pending = l.pending[batch:]
		for _, p := range done {
			l.write(p.m)
		}
		for _, p := range done {
			if life == l.life {
				p.done(nil)
			}
		}
		if life == l.life {
			l.sync()
		}
	})
}

// write makes a message durable. Its parts are its entries, and then the hard state.
func (l *Log) write(m *raftpb.Message) {
	entries := len(m.GetEntries())
	parts := entries
	if setsHard(m) || entries == 0 {
		parts++
	}
	l.Writes.do(l.Node, "append", parts, func(parts int) {
		l.persist(m, min(parts, entries), parts > entries)
	})
}

func setsHard(m *raftpb.Message) bool { return m.Term != nil || m.Vote != nil || m.Commit != nil }

// persist puts entries of a message on the disk, and its hard state.
func (l *Log) persist(m *raftpb.Message, entries int, hard bool) {
	s := &l.durable
	before := s.entries
	s.append(m, entries, hard)
	if l.KeepsSuffix && len(s.entries) < len(before) {
		s.entries = append(s.entries, before[len(s.entries):]...)
	}
}

// Crash forgets what was not synced, but for a random part from its beginning on.
func (l *Log) Crash() {
	survive := l.World.Rand.IntN(len(l.pending) + 1)
	for _, p := range l.pending[:survive] {
		l.persist(p.m, len(p.m.GetEntries()), true)
	}
	if survive < len(l.pending) { // one is torn
		torn := l.pending[survive].m
		l.persist(torn, l.World.Rand.IntN(len(torn.GetEntries())+1), false)
	}
	l.Lose()
}

// Lose forgets all that was not synced.
func (l *Log) Lose() {
	l.life++
	if l.ForgetsVotes && l.durable.hard != nil {
		l.durable.hard = &raftpb.HardState{Term: l.durable.hard.Term, Commit: l.durable.hard.Commit}
	}
	l.pending, l.syncing = nil, false
	l.current = l.durable
	l.current.entries = append([]*raftpb.Entry(nil), l.durable.entries...)
}

// SetConf is group.Storage's.
func (l *Log) SetConf(index uint64, state *raftpb.ConfState) error {
	l.Writes.Do(l.Node, "configuration", func() { l.setConf(index, state) })
	return nil
}

func (l *Log) setConf(index uint64, state *raftpb.ConfState) {
	for _, s := range []*logState{&l.current, &l.durable} {
		s.confs = s.confs.set(index, state)
	}
}

// ConfState is group.Storage's.
func (l *Log) ConfState(index uint64) *raftpb.ConfState { return l.current.confs.at(index) }

func (s *logState) append(m *raftpb.Message, entries int, hard bool) {
	for _, e := range m.GetEntries()[:entries] {
		offset := s.entries[0].GetIndex()
		if e.GetIndex() <= offset {
			continue
		}
		s.entries = append(s.entries[:e.GetIndex()-offset:e.GetIndex()-offset], e)
	}
	if hard && setsHard(m) {
		s.hard = &raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	}
}

// Restart lets the log begin behind an entry, durably, as it does with a copy of
// another replica's engine, unless it has that entry.
func (l *Log) Restart(index, term uint64, conf *raftpb.ConfState) {
	if own, err := l.Term(index); err == nil && own == term {
		l.setConf(index, conf)
		return
	}
	for _, s := range []*logState{&l.current, &l.durable} {
		s.confs = confs{{index, conf}}
		s.entries = []*raftpb.Entry{{Index: new(index), Term: new(term)}}
	}
	l.pending = nil
}

// InitialState is raft.Storage's, as are the methods below.
func (l *Log) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return l.current.hard, l.current.confs.at(math.MaxUint64), nil
}

func (l *Log) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	offset := l.current.entries[0].GetIndex()
	if lo <= offset {
		return nil, raft.ErrCompacted
	}
	if hi > offset+uint64(len(l.current.entries)) {
		return nil, raft.ErrUnavailable
	}
	found, size := []*raftpb.Entry{}, uint64(0)
	for _, e := range l.current.entries[lo-offset : hi-offset] {
		if size += uint64(len(e.GetData())) + 16; len(found) > 0 && size > maxSize {
			break
		}
		found = append(found, e)
	}
	return found, nil
}

func (l *Log) Term(i uint64) (uint64, error) {
	offset := l.current.entries[0].GetIndex()
	switch {
	case i < offset:
		return 0, raft.ErrCompacted
	case i >= offset+uint64(len(l.current.entries)):
		return 0, raft.ErrUnavailable
	}
	return l.current.entries[i-offset].GetTerm(), nil
}

func (l *Log) LastIndex() (uint64, error) {
	return l.current.entries[len(l.current.entries)-1].GetIndex(), nil
}

func (l *Log) FirstIndex() (uint64, error) { return l.current.entries[0].GetIndex() + 1, nil }

func (l *Log) Snapshot() (*raftpb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// Compact is group.Storage's. It is as durable as what is.
func (l *Log) Compact(index uint64) error {
	if index > l.current.entries[0].GetIndex() {
		l.Writes.Do(l.Node, "compaction", func() { l.compact(index) })
	}
	return nil
}

func (l *Log) compact(index uint64) {
	for _, s := range []*logState{&l.current, &l.durable} {
		offset := s.entries[0].GetIndex()
		last := s.entries[len(s.entries)-1].GetIndex()
		if index <= offset || index > last {
			continue
		}
		rest := append([]*raftpb.Entry(nil), s.entries[index-offset:]...)
		rest[0] = &raftpb.Entry{Index: rest[0].Index, Term: rest[0].Term}
		s.entries = rest
	}
}
