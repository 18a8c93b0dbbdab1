package raftlog_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/cluster/raftlog"
	"cairn/log"
)

// node is a store on a log in memory.
type node struct {
	t     testing.TB
	fs    *vfs.MemFS
	o     raftlog.Options
	log   *log.Log
	store *raftlog.Store
}

func newNode(t testing.TB, o raftlog.Options) *node {
	n := &node{t: t, fs: vfs.NewCrashableMem(), o: o}
	n.open()
	t.Cleanup(n.close)
	return n
}

func (n *node) open() {
	n.t.Helper()
	l, err := log.Open(log.Options{Dir: "log", FS: n.fs, SegmentSize: 64 << 10})
	if err != nil {
		n.t.Fatal(err)
	}
	n.log = l
	if n.store, err = raftlog.Open(l, n.o); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) close() {
	n.t.Helper()
	if n.store != nil {
		n.store.Close()
	}
	if err := n.log.Close(); err != nil {
		n.t.Error(err)
	}
}

// crash loses the power; what was not synced is there with a probability in
// percent, block by block.
func (n *node) crash(rng *rand.Rand, percent int) {
	n.t.Helper()
	fs := n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	n.close()
	n.fs = fs
	n.open()
}

func (n *node) reopen() {
	n.t.Helper()
	n.close()
	n.open()
}

func entry(index, term uint64, data string) *raftpb.Entry {
	return &raftpb.Entry{Index: new(index), Term: new(term), Type: raftpb.EntryNormal.Enum(), Data: []byte(data)}
}

func entries(from, to, term uint64) (list []*raftpb.Entry) {
	for i := from; i <= to; i++ {
		list = append(list, entry(i, term, fmt.Sprintf("entry %d of term %d", i, term)))
	}
	return list
}

func conf(voters ...uint64) *raftpb.ConfState { return &raftpb.ConfState{Voters: voters} }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put appends and waits until it is durable.
func put(t testing.TB, g *raftlog.Group, m *raftpb.Message) {
	t.Helper()
	must(t, try(g, m))
}

func try(g *raftlog.Group, m *raftpb.Message) error {
	done := make(chan error, 1)
	g.Append(m, true, func(err error) { done <- err })
	return <-done
}

func hard(term, vote, commit uint64) *raftpb.Message {
	return &raftpb.Message{Term: &term, Vote: &vote, Commit: &commit}
}

// expect checks the terms of a group's entries, from first on.
func expect(t testing.TB, g *raftlog.Group, first uint64, terms ...uint64) {
	t.Helper()
	lo, _ := g.FirstIndex()
	hi, _ := g.LastIndex()
	if lo != first || hi+1 != first+uint64(len(terms)) {
		t.Fatalf("entries %d to %d, not %d and %d more", lo, hi, first, len(terms))
	}
	list, err := g.Entries(lo, hi+1, math.MaxUint64)
	must(t, err)
	for i, term := range terms {
		if want := entries(lo+uint64(i), lo+uint64(i), term)[0]; !proto.Equal(list[i], want) {
			t.Errorf("entry %d is %v, not %v", lo+uint64(i), list[i], want)
		}
		if got, err := g.Term(lo + uint64(i)); err != nil || got != term {
			t.Errorf("the term of %d is %d, %v, not %d", lo+uint64(i), got, err, term)
		}
	}
}

// Every way to hold entries: from memory, from the log, after a restart.
func TestConflicts(t *testing.T) {
	for _, cache := range []int64{1, 1 << 20} {
		n := newNode(t, raftlog.Options{CacheBytes: cache})
		must(t, n.store.Group(7).Bootstrap(1, 1, conf(1, 2, 3)))
		for round := range 2 {
			g := n.store.Group(7)
			if round == 0 {
				put(t, g, &raftpb.Message{Entries: entries(2, 6, 2)})
				put(t, g, &raftpb.Message{Entries: append(entries(5, 5, 3), entries(6, 9, 4)...)})
				put(t, g, &raftpb.Message{Entries: entries(8, 8, 5)})
			}
			expect(t, g, 2, 2, 2, 2, 3, 4, 4, 5)
			n.reopen()
		}
		g := n.store.Group(7)
		must(t, g.Compact(5))
		expect(t, g, 6, 4, 4, 5)
		if term, err := g.Term(5); err != nil || term != 3 {
			t.Errorf("the term of the last compacted entry is %d, %v", term, err)
		}
		n.reopen()
		expect(t, n.store.Group(7), 6, 4, 4, 5)
		put(t, n.store.Group(7), &raftpb.Message{Entries: entries(6, 6, 9)})
		n.reopen()
		expect(t, n.store.Group(7), 6, 9)
	}
}

func TestErrors(t *testing.T) {
	n := newNode(t, raftlog.Options{})
	g := n.store.Group(0)
	must(t, g.Bootstrap(10, 1, conf(1)))
	put(t, g, &raftpb.Message{Entries: entries(11, 20, 2)})
	must(t, g.Compact(15))
	term := func(i uint64) error { _, err := g.Term(i); return err }
	read := func(lo, hi uint64) error { _, err := g.Entries(lo, hi, 100); return err }
	_, snapshot := g.Snapshot()
	for _, c := range []struct {
		what      string
		got, want error
	}{
		{"term of a compacted entry", term(14), raft.ErrCompacted},
		{"term of the last compacted entry", term(15), nil},
		{"term of the next entry", term(21), raft.ErrUnavailable},
		{"a compacted entry", read(15, 17), raft.ErrCompacted},
		{"too many entries", read(16, 22), raft.ErrUnavailable},
		{"all entries", read(16, 21), nil},
		{"no entry", read(18, 18), nil},
		{"a snapshot", snapshot, raft.ErrSnapshotTemporarilyUnavailable},
		{"compact again", g.Compact(12), nil},
		{"compact what is not there", g.Compact(21), nil},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, not %v", c.what, c.got, c.want)
		}
	}
	if err := try(g, &raftpb.Message{Entries: entries(22, 23, 2)}); err == nil {
		t.Error("entries were appended behind a gap")
	}
	if err := g.Bootstrap(1, 1, conf(1)); err == nil {
		t.Error("a log began twice")
	}
	expect(t, g, 16, 2, 2, 2, 2, 2)
	put(t, g, &raftpb.Message{Entries: entries(12, 17, 2)}) // some of it is compacted
	expect(t, g, 16, 2, 2)
}

// One entry is returned however large it is, and no more than fit.
func TestEntriesAreLimited(t *testing.T) {
	for _, cache := range []int64{1, 1 << 20} {
		n := newNode(t, raftlog.Options{CacheBytes: cache})
		g := n.store.Group(1)
		must(t, g.Bootstrap(1, 1, conf(1)))
		put(t, g, &raftpb.Message{Entries: entries(2, 10, 2)})
		size := uint64(proto.Size(entries(2, 2, 2)[0]))
		for limit, want := range map[uint64]int{0: 1, size: 1, size + 1: 1, 3 * size: 3, 3*size - 1: 2, 1000 * size: 9} {
			list, err := g.Entries(2, 11, limit)
			if err != nil || len(list) != want {
				t.Errorf("cache %d, limit %d of %d: %d entries, %v", cache, limit, size, len(list), err)
			}
		}
	}
}

func TestSnapshotReplacesAll(t *testing.T) {
	n := newNode(t, raftlog.Options{})
	g := n.store.Group(1)
	must(t, g.Bootstrap(1, 1, conf(1)))
	put(t, g, &raftpb.Message{Entries: entries(2, 10, 2)})
	m := hard(5, 3, 50)
	m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(50)), Term: new(uint64(4)), ConfState: conf(1, 2, 3)}}
	m.Entries = entries(51, 52, 5)
	put(t, g, m)
	for range 2 {
		g = n.store.Group(1)
		expect(t, g, 51, 5, 5)
		if term, err := g.Term(50); err != nil || term != 4 {
			t.Errorf("the snapshot's term is %d, %v", term, err)
		}
		state, conf, err := g.InitialState()
		if err != nil || state.GetTerm() != 5 || state.GetVote() != 3 || state.GetCommit() != 50 || len(conf.GetVoters()) != 3 {
			t.Errorf("%v %v %v", state, conf, err)
		}
		n.reopen()
	}
}

// A replica begins with the configuration of what it has applied.
func TestConfigurations(t *testing.T) {
	n := newNode(t, raftlog.Options{})
	g := n.store.Group(1)
	must(t, g.Bootstrap(1, 1, conf(1)))
	put(t, g, &raftpb.Message{Entries: entries(2, 30, 2)})
	must(t, g.SetConf(10, conf(1, 2)))
	must(t, g.SetConf(20, conf(1, 2, 3)))
	check := func(when string) {
		t.Helper()
		for index, want := range map[uint64]int{9: 1, 10: 2, 19: 2, 20: 3, 30: 3} {
			if first, _ := g.FirstIndex(); index < first-1 {
				continue
			}
			if got := g.ConfState(index).GetVoters(); len(got) != want {
				t.Errorf("%s, at %d: %v", when, index, got)
			}
		}
		if _, conf, _ := g.InitialState(); len(conf.GetVoters()) != 3 {
			t.Errorf("%s: %v", when, conf)
		}
	}
	check("at first")
	must(t, g.Compact(15))
	check("compacted")
	n.reopen()
	g = n.store.Group(1)
	check("again")
	must(t, g.SetConf(20, conf(1, 2, 3))) // applied once more
	check("applied once more")
	must(t, g.Compact(30))
	n.reopen()
	g = n.store.Group(1)
	check("all compacted")
}

// A group that is not compacted holds the log back, and its name is called.
func TestLaggard(t *testing.T) {
	called := make(chan uint64, 100)
	n := newNode(t, raftlog.Options{MaxBytes: 256 << 10, Laggard: func(group uint64) { called <- group }})
	lagging, busy := n.store.Group(3), n.store.Group(4)
	for _, g := range []*raftlog.Group{lagging, busy, n.store.Group(5)} {
		must(t, g.Bootstrap(1, 1, conf(1)))
	}
	put(t, lagging, &raftpb.Message{Entries: entries(2, 3, 2)})
	put(t, lagging, hard(9, 1, 3))
	last := uint64(1)
	data := make([]byte, 32<<10)
	for {
		last++
		put(t, busy, &raftpb.Message{Entries: []*raftpb.Entry{entry(last, 2, string(data))}})
		must(t, busy.Compact(last))
		if n.store.Size() > 4<<20 {
			t.Fatal("nobody was called")
		}
		if len(called) > 0 {
			break
		}
	}
	if group := <-called; group != 3 {
		t.Fatalf("group %d was called", group)
	}
	before := n.store.Size()
	must(t, lagging.Compact(3))
	for range 2 { // the first may share a sync with what lets the log be cut
		last++
		put(t, busy, &raftpb.Message{Entries: []*raftpb.Entry{entry(last, 2, "x")}})
	}
	if after := n.store.Size(); after > before/4 {
		t.Errorf("the log has %d bytes, had %d", after, before)
	}
	n.crash(nil, 0)
	if g := n.store.Group(3); fmt.Sprint(n.store.Groups()) != "[3 4 5]" {
		t.Errorf("groups %v", n.store.Groups())
	} else if state, _, _ := g.InitialState(); state.GetTerm() != 9 {
		t.Errorf("the group's hard state is %v", state)
	}
}

func TestRemove(t *testing.T) {
	n := newNode(t, raftlog.Options{})
	for number := range uint64(3) {
		must(t, n.store.Group(number).Bootstrap(1, 1, conf(1)))
		put(t, n.store.Group(number), &raftpb.Message{Entries: entries(2, 5, 2)})
	}
	must(t, n.store.Remove(1))
	n.crash(nil, 0)
	if got := fmt.Sprint(n.store.Groups()); got != "[0 2]" {
		t.Errorf("groups %s", got)
	}
	g := n.store.Group(1)
	must(t, g.Bootstrap(1, 1, conf(1)))
	expect(t, g, 2)
	n.reopen()
	expect(t, n.store.Group(1), 2)
	expect(t, n.store.Group(2), 2, 2, 2, 2, 2)
}

// All groups share the cache's bytes.
func TestCacheIsBounded(t *testing.T) {
	const limit = 64 << 10
	n := newNode(t, raftlog.Options{CacheBytes: limit})
	for number := range uint64(8) {
		g := n.store.Group(number)
		must(t, g.Bootstrap(1, 1, conf(1)))
		for i := uint64(2); i < 300; i += 10 {
			put(t, g, &raftpb.Message{Entries: entries(i, i+9, 2)})
			if got := n.store.Figures().CachedBytes; got > limit {
				t.Fatalf("%d bytes are cached", got)
			}
		}
	}
	f := n.store.Figures()
	if f.Groups != 8 || f.Entries != 8*300 || f.CachedBytes < limit/2 {
		t.Errorf("%+v", f)
	}
	for number := range uint64(8) {
		must(t, n.store.Remove(number))
	}
	if f := n.store.Figures(); f != (raftlog.Figures{}) {
		t.Errorf("%+v", f)
	}
}

// Groups append at the same time, and share syncs.
func TestGroupsAtTheSameTime(t *testing.T) {
	n := newNode(t, raftlog.Options{CacheBytes: 10 << 10})
	var running sync.WaitGroup
	for number := range uint64(6) {
		g := n.store.Group(number)
		must(t, g.Bootstrap(1, 1, conf(1)))
		running.Go(func() {
			for i := uint64(2); i < 200; i++ {
				put(t, g, &raftpb.Message{Entries: entries(i, i, 3)})
				if i%20 == 0 {
					if err := g.Compact(i - 10); err != nil {
						t.Error(err)
					}
				}
				if list, err := g.Entries(max(2, i-5), i+1, 1000); err != nil && !errors.Is(err, raft.ErrCompacted) {
					t.Error(list, err)
				}
			}
		})
	}
	running.Wait()
	n.reopen()
	for number := range uint64(6) {
		if last, _ := n.store.Group(number).LastIndex(); last != 199 {
			t.Errorf("group %d ends at %d", number, last)
		}
	}
}

// A log that has lost its beginning is not taken for a whole one.
func TestMissingBeginning(t *testing.T) {
	n := newNode(t, raftlog.Options{})
	g := n.store.Group(1)
	must(t, g.Bootstrap(1, 1, conf(1)))
	put(t, g, &raftpb.Message{Entries: entries(2, 5, 2)})
	put(t, g, &raftpb.Message{Entries: entries(6, 9, 2)})
	must(t, n.log.Truncate(n.log.Next()-1))
	var missing *raftlog.MissingError
	if _, err := raftlog.Open(n.log, raftlog.Options{}); !errors.As(err, &missing) || missing.Group != 1 || missing.Last != 5 {
		t.Errorf("opened: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{1, 1, 7, 0, 0}, []byte{1, 2, 7, 0, 1, 1, 0})
	f.Add([]byte{1, 1, 7, 1, 1, 2, 3, 2, 9, 4, 0, 3, 8, 9, 4, 0, 0}, []byte{1, 4, 7})
	f.Add([]byte{1, 3, 7, 0, 5, 5, 1, 5, 2, 8, 1}, []byte{1, 1, 7, 0, 1, 6, 5, 0, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		l, err := log.Open(log.Options{Dir: "log", FS: vfs.NewMem(), SegmentSize: 64 << 10})
		must(t, err)
		defer l.Close()
		if _, err := l.Append(a, b); err != nil {
			t.Fatal(err)
		}
		s, err := raftlog.Open(l, raftlog.Options{CacheBytes: 100})
		if err != nil {
			return
		}
		defer s.Close()
		for _, number := range s.Groups() {
			g := s.Group(number)
			first, _ := g.FirstIndex()
			last, _ := g.LastIndex()
			if first > last {
				continue
			}
			list, err := g.Entries(first, last+1, math.MaxUint64)
			if err != nil || uint64(len(list)) != last+1-first {
				t.Errorf("group %d: %d of the entries %d to %d, %v", number, len(list), first, last, err)
			}
		}
	})
}

// The log may be cut, for another group, where a state speaks of entries of which
// only later ones are left, and those are overwritten behind it.
func TestCutInTheMiddle(t *testing.T) {
	n := newNode(t, raftlog.Options{})
	g := n.store.Group(1)
	must(t, g.Bootstrap(53, 1, conf(1)))
	put(t, g, &raftpb.Message{Entries: entries(54, 58, 2)})
	put(t, g, &raftpb.Message{Entries: entries(59, 62, 2)})
	cut := n.log.Next() - 1
	must(t, g.Compact(54))
	put(t, g, &raftpb.Message{Entries: entries(55, 56, 3)})
	must(t, n.log.Truncate(cut))
	n.reopen()
	expect(t, n.store.Group(1), 55, 3, 3)
}
