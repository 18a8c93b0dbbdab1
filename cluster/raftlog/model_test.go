package raftlog_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/cluster/raftlog"
	"cairn/log"
)

var (
	steps = flag.Int("steps", 50_000, "operations of TestAgainstMemoryStorage, of both its runs")
	seed  = flag.Uint64("seed", 1, "of its first run")
)

// model is what a group should be: raft's own storage, and the newest
// configuration.
type model struct {
	storage *raft.MemoryStorage
	conf    *raftpb.ConfState
	begun   bool
}

func (m *model) clone(t testing.TB) *model {
	first, _ := m.storage.FirstIndex()
	last, _ := m.storage.LastIndex()
	term, err := m.storage.Term(first - 1)
	must(t, err)
	c := &model{raft.NewMemoryStorage(), m.conf, m.begun}
	hard, _, _ := m.storage.InitialState()
	must(t, c.storage.ApplySnapshot(snapshot(first-1, term)))
	must(t, c.storage.SetHardState(hard))
	if last >= first {
		list, err := m.storage.Entries(first, last+1, math.MaxUint64)
		must(t, err)
		must(t, c.storage.Append(list))
	}
	return c
}

func snapshot(index, term uint64) *raftpb.Snapshot {
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &term}}
}

// change is something that was done to a group: it is in the log up to a position.
type change struct {
	group uint64
	at    log.Position
	do    func(m *model)
}

// lockstep does the same to a store and to models.
type lockstep struct {
	*node
	rng     *rand.Rand
	groups  uint64
	models  map[uint64]*model
	kept    map[uint64]*model // as they were when the log was opened
	changes []change          // since then
	sure    log.Position      // acknowledged
	term    uint64
}

// Random operations on several groups, with crashes: each group is always what
// raft's own storage is, after a crash as of a moment at which the log was as long
// as it is now.
func TestAgainstMemoryStorage(t *testing.T) {
	for _, seed := range []uint64{*seed, *seed + 1} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := &lockstep{
				node:   newNode(t, raftlog.Options{CacheBytes: 20 << 10 << (3 * (seed % 2))}),
				rng:    rand.New(rand.NewPCG(seed, 9)),
				groups: 5, models: map[uint64]*model{}, kept: map[uint64]*model{}, term: 1,
			}
			for number := range l.groups {
				l.models[number] = &model{storage: raft.NewMemoryStorage(), conf: new(raftpb.ConfState)}
			}
			l.keep()
			for step := range *steps / 2 {
				l.step()
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
			}
		})
	}
}

// keep notes how the models are.
func (l *lockstep) keep() {
	l.changes = nil
	for number, m := range l.models {
		l.kept[number] = m.clone(l.t)
	}
}

// done notes a change that is in the log, and makes it in the model.
func (l *lockstep) done(group uint64, do func(m *model)) {
	do(l.models[group])
	l.changes = append(l.changes, change{group, l.log.Next() - 1, do})
}

func (l *lockstep) step() {
	number := l.rng.Uint64N(l.groups)
	g, m := l.store.Group(number), l.models[number]
	first, _ := m.storage.FirstIndex()
	last, _ := m.storage.LastIndex()
	switch p := l.rng.IntN(1000); {
	case !m.begun:
		l.begin(number, g)
	case p < 3:
		l.restart()
	case p < 4:
		must(l.t, l.store.Remove(number))
		l.sure = max(l.sure, l.log.Next()-1)
		l.done(number, func(m *model) { *m = model{storage: raft.NewMemoryStorage(), conf: new(raftpb.ConfState)} })
	case p < 10:
		l.snapshot(number, g, last)
	case p < 30:
		l.compact(number, g, first, last)
	case p < 40:
		state := conf(l.rng.Uint64N(100), last)
		must(l.t, g.SetConf(last, state))
		l.done(number, func(m *model) { m.conf = state })
	case p < 100:
		l.hardState(number, g)
	case p < 500:
		l.append(number, g, first, last)
	default:
		l.compare(g, m)
	}
}

func (l *lockstep) begin(number uint64, g *raftlog.Group) {
	index, state := 1+l.rng.Uint64N(100), conf(number)
	must(l.t, g.Bootstrap(index, 1, state))
	l.sure = max(l.sure, l.log.Next()-1)
	l.done(number, func(m *model) {
		must(l.t, m.storage.ApplySnapshot(snapshot(index, 1)))
		m.conf, m.begun = state, true
	})
}

// message appends m to a group, and waits for the sync or not.
func (l *lockstep) message(g *raftlog.Group, m *raftpb.Message) {
	wait := l.rng.IntN(4) == 0
	done := make(chan error, 1)
	g.Append(m, wait, func(err error) { done <- err })
	if wait {
		must(l.t, <-done)
		l.sure = l.log.Next() - 1
	}
}

func (l *lockstep) append(number uint64, g *raftlog.Group, first, last uint64) {
	from := last + 1
	if l.rng.IntN(8) == 0 { // a leader has overwritten some
		from = first + l.rng.Uint64N(last+2-first)
	}
	l.term += l.rng.Uint64N(2)
	var list []*raftpb.Entry
	for i := range 1 + l.rng.Uint64N(6) {
		e := &raftpb.Entry{Index: new(from + i), Term: new(l.term), Type: raftpb.EntryType(l.rng.IntN(3)).Enum()}
		if n := l.rng.IntN(300); n > 10 {
			e.Data = make([]byte, n)
			for j := range e.Data {
				e.Data[j] = byte(l.rng.Uint32())
			}
		}
		l.term += l.rng.Uint64N(20) / 19
		list = append(list, e)
	}
	l.message(g, &raftpb.Message{Entries: list})
	l.done(number, func(m *model) { must(l.t, m.storage.Append(list)) })
}

func (l *lockstep) hardState(number uint64, g *raftlog.Group) {
	h := &raftpb.HardState{Term: new(l.term), Vote: new(l.rng.Uint64N(4)), Commit: new(l.rng.Uint64N(1000))}
	l.message(g, &raftpb.Message{Term: h.Term, Vote: h.Vote, Commit: h.Commit})
	l.done(number, func(m *model) { must(l.t, m.storage.SetHardState(h)) })
}

func (l *lockstep) snapshot(number uint64, g *raftlog.Group, last uint64) {
	s := snapshot(last+1+l.rng.Uint64N(50), l.term)
	s.Metadata.ConfState = conf(l.term, last)
	l.message(g, &raftpb.Message{Snapshot: s})
	l.done(number, func(m *model) {
		must(l.t, m.storage.ApplySnapshot(proto.CloneOf(s)))
		m.conf = s.Metadata.ConfState
	})
}

func (l *lockstep) compact(number uint64, g *raftlog.Group, first, last uint64) {
	if last < first {
		return
	}
	index := first + l.rng.Uint64N(last+1-first)
	before := l.log.Next()
	must(l.t, g.Compact(index))
	do := func(m *model) { must(l.t, m.storage.Compact(index)) }
	do(l.models[number])
	// The first record behind is the group's state; others may follow.
	l.changes = append(l.changes, change{number, before, do})
}

// compare asks both the same.
func (l *lockstep) compare(g *raftlog.Group, m *model) {
	first, _ := m.storage.FirstIndex()
	last, _ := m.storage.LastIndex()
	gotFirst, _ := g.FirstIndex()
	gotLast, _ := g.LastIndex()
	if gotFirst != first || gotLast != last {
		l.t.Errorf("entries %d to %d, not %d to %d", gotFirst, gotLast, first, last)
		return
	}
	index := first - 1 + l.rng.Uint64N(last+2-first)
	term, _ := m.storage.Term(index)
	if got, err := g.Term(index); err != nil || got != term {
		l.t.Errorf("the term of %d is %d, %v, not %d", index, got, err, term)
	}
	hard, conf, err := g.InitialState()
	want, _, _ := m.storage.InitialState()
	if err != nil || !proto.Equal(hard, want) && !(raft.IsEmptyHardState(hard) && raft.IsEmptyHardState(want)) || !proto.Equal(conf, m.conf) {
		l.t.Errorf("the state is %v, %v, not %v, %v: %v", hard, conf, want, m.conf, err)
	}
	if last < first {
		return
	}
	lo := first + l.rng.Uint64N(last+1-first)
	hi := lo + 1 + l.rng.Uint64N(last+1-lo)
	size := l.rng.Uint64N(5000)
	l.equal(g, m, lo, hi, size)
}

func (l *lockstep) equal(g *raftlog.Group, m *model, lo, hi, size uint64) {
	got, err := g.Entries(lo, hi, size)
	want, wantErr := m.storage.Entries(lo, hi, size)
	if err != nil || wantErr != nil || len(got) != len(want) {
		l.t.Errorf("entries %d to %d, %d bytes: %d, %v, not %d, %v", lo, hi-1, size, len(got), err, len(want), wantErr)
		return
	}
	for i := range got {
		if !proto.Equal(got[i], want[i]) {
			l.t.Errorf("an entry is %v, not %v", got[i], want[i])
		}
	}
}

// restart crashes or closes the node, and compares all there is.
func (l *lockstep) restart() {
	switch l.rng.IntN(3) {
	case 0:
		l.reopen()
		l.sure = l.log.Next() - 1
	case 1:
		l.crash(nil, 0)
	default:
		l.crash(l.rng, 1+l.rng.IntN(99))
	}
	length := l.log.Next() - 1
	if length < l.sure {
		l.t.Fatalf("the log has %d records, of which %d were durable", length, l.sure)
	}
	l.models = l.kept
	l.kept = map[uint64]*model{}
	for _, c := range l.changes {
		if c.at <= length {
			c.do(l.models[c.group])
		}
	}
	l.sure = length
	l.keep()
	for number, m := range l.models {
		g := l.store.Group(number)
		first, _ := m.storage.FirstIndex()
		last, _ := m.storage.LastIndex()
		l.compare(g, m)
		if last >= first && !l.t.Failed() {
			l.equal(g, m, first, last+1, math.MaxUint64)
		}
		if g.Empty() == m.begun {
			l.t.Errorf("group %d: begun is %v", number, m.begun)
		}
	}
}
