package torture

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine"
	"cairn/engine/record"
	"cairn/session"
	"cairn/session/sessiontest"
	"cairn/ttl"
)

// everyMoment keeps some clones of a disk at each operation that changes it, as
// a power loss before the operation could leave it.
type everyMoment struct {
	powerRun
}

// MaybeError makes everyMoment an errorfs.Injector that injects no errors.
func (m *everyMoment) MaybeError(op errorfs.Op) error {
	if !changesDisk(op.Kind) || op.Kind == errorfs.OpLink {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for range momentClones() * min(m.odds, 1) {
		m.losePower(fmt.Sprintf("%v %s", op.Kind, fileKind(op.Path)))
	}
	return nil
}

// momentClones is how many clones everyMoment keeps at each operation: they differ in
// what of the unsynced data they hold.
func momentClones() int {
	if long {
		return 3
	}
	return 1
}

func newEveryMoment(t *testing.T, disk *vfs.MemFS, rng *rand.Rand) *everyMoment {
	return &everyMoment{powerRun{t: t, rng: rng, diskRng: rng, mem: disk, byKind: make(map[string]int)}}
}

func (m *everyMoment) fs() vfs.FS { return inject(linkFS{m.mem, &m.links}, m) }

// TestPowerLossDuringDictionaryChanges cuts the power at every operation of the
// disk while a dictionary is adopted, its predecessor retired, or one forgotten
// whose last bucket was dropped. Every session that was acknowledged must be
// readable from each disk, and the check must find nothing wrong.
func TestPowerLossDuringDictionaryChanges(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	clock := sessiontest.NewClock()
	m := newEveryMoment(t, vfs.NewCrashableMem(), rng)
	options := engine.Options{
		Dir: "data", FS: m.fs(), Wall: clock.Wall, HotBytes: -1, DropEvery: -1, DropGrace: -1,
		MemtableBytes: 1 << 20, Compression: engine.CompressionDict,
	}
	store, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	shop := &shop{t: t, rng: rng, store: store, sold: make(map[string]soldItem)}
	adopted, forgotten, points := 0, 0, 0
	look := func() (changed int) {
		before := store.Figures().Compression.Dictionaries
		m.arm(1)
		err := store.TrainDictionaries(context.Background())
		m.arm(0)
		if err != nil {
			t.Fatal(err)
		}
		if changed = int(store.Figures().Compression.Dictionaries) - int(before); changed == 0 {
			m.take()
		}
		for _, point := range m.take() {
			points++
			shop.judge(options, point)
		}
		return changed
	}
	for range rounds(2, 40) {
		for tries := 0; ; tries++ {
			if tries == 400 {
				t.Fatal("no dictionary was trained")
			}
			shop.open(100)
			if look() > 0 {
				adopted++
				break
			}
		}
		if look() < 0 {
			t.Error("a dictionary was forgotten while sessions need it")
		}
		shop.layout++ // which makes the new dictionary useless in turn
		clock.Advance(2 * time.Hour)
		store.Tick(context.Background())
		if err := store.DropExpired(context.Background()); err != nil {
			t.Fatal(err)
		}
		forgotten -= min(look(), 0)
	}
	if points < momentClones()*adopted || long && forgotten < adopted/2 {
		t.Errorf("%d power losses during %d adoptions, %d dictionaries forgotten", points, adopted, forgotten)
	}
	figures(t, "%d power losses while dictionaries changed: %d adopted, %d forgotten", points, adopted, forgotten)
}

// shop stores sessions that resemble each other, one layout after the other.
type shop struct {
	t      *testing.T
	rng    *rand.Rand
	store  *engine.Store
	layout int
	sold   map[string]soldItem
	n      int
}

type soldItem struct {
	value  []byte
	expiry session.Time
}

var shopLayouts = []string{
	`cart|a:2:{s:5:"items";i:%d;s:8:"currency";s:3:"EUR";}csrf|s:16:"%016x";visitor|s:8:"%08x";language|s:5:"de_DE";last|i:%d;`,
	`c{"basket":{"count":%d,"voucher":"%016x"},"profile":{"id":"%08x","newsletter":false},"consent":["statistics","marketing"],"seen":%d}`,
	`c<session><goods number="%d"/><secret>%016x</secret><guest>%08x</guest><zone>Europe/Berlin</zone><at>%d</at></session>`,
}

// open stores n sessions of an hour in one burst.
func (s *shop) open(n int) {
	s.t.Helper()
	b := &session.Burst{Now: s.store.Now()}
	for range n {
		s.n++
		value := fmt.Appendf(nil, shopLayouts[s.layout%len(shopLayouts)], s.rng.IntN(9), s.rng.Uint64(), s.rng.Uint32(), s.n)
		c := b.Add()
		c.Op, c.Key, c.Value, c.Expiry = session.OpSet, fmt.Appendf(nil, "shop:%d", s.n), value, b.Now.Add(time.Hour)
		s.sold[string(c.Key)] = soldItem{value, c.Expiry}
	}
	session.Do(s.store, b)
	for i := range b.Results {
		if b.Results[i].Status != session.OK {
			s.t.Fatalf("set: %+v", b.Results[i])
		}
	}
}

// judge opens the disk of a power loss and reads a share of the sessions.
func (s *shop) judge(o engine.Options, point powerPoint) {
	s.t.Helper()
	o.FS = cloneDisk(point.disk)
	if err := engine.Check(o, func(problem engine.Problem) { s.t.Errorf("after a power loss at %s: check: %s", point.kind, problem) }); err != nil {
		s.t.Fatal(err)
	}
	o.FS = point.disk
	store, err := engine.Open(o)
	if err != nil {
		s.t.Fatalf("after a power loss at %s: %v", point.kind, err)
	}
	defer store.Close()
	s.read(store, "after a power loss at "+point.kind)
}

// read reads a share of the sessions from a store; when says which one.
func (s *shop) read(store *engine.Store, when string) {
	s.t.Helper()
	b := &session.Burst{Now: store.Now()}
	for key, item := range s.sold {
		switch {
		case item.expiry <= b.Now:
			delete(s.sold, key)
		case s.rng.IntN(4) == 0:
			*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
		}
	}
	session.Do(store, b)
	for i := range b.Results {
		r, key := &b.Results[i], string(b.Commands[i].Key)
		if r.Status != session.OK || !bytes.Equal(r.Item.Value, s.sold[key].value) {
			s.t.Fatalf("%s: %s: status %d, error %v", when, key, r.Status, r.Err)
		}
	}
}

// TestPowerLossDuringFormatUpgrade cuts the power at every operation of the disk
// while a store is made, and while stores of earlier releases and of earlier
// formats of Pebble are opened. Each disk must open and hold all sessions.
func TestPowerLossDuringFormatUpgrade(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	points := 0
	for name, prepare := range map[string]func(*testing.T, *vfs.MemFS){
		"new":           func(*testing.T, *vfs.MemFS) {},
		"first release": func(t *testing.T, disk *vfs.MemFS) { must(t, unpack("testdata/store-format1.tar.gz", disk, "data")) },
		"oldest Pebble": oldestPebble,
	} {
		for range rounds(1, 6) {
			base := vfs.NewCrashableMem()
			prepare(t, base)
			before := pebbleFormat(t, base)
			m := newEveryMoment(t, cloneDisk(base), rng)
			m.arm(1)
			options := upgradeOptions("data")
			options.FS, options.MemtableBytes, options.BlockCacheBytes, options.HotBytes = m.fs(), 1<<20, 1<<20, 1<<20
			store, err := engine.Open(options)
			must(t, err)
			must(t, store.Close())
			m.arm(0)
			if after := pebbleFormat(t, m.mem); name != "first release" && after <= before {
				t.Errorf("%s: the format went from %d to %d: nothing was upgraded", name, before, after)
			}
			moments := m.take()
			if len(moments) < 10 {
				t.Errorf("%s: %d power losses", name, len(moments))
			}
			for _, point := range moments {
				points++
				options.FS = point.disk
				for range 2 {
					if name == "new" {
						verifyEmpty(t, options, point.kind)
					} else {
						verifyUpgrade(t, options)
					}
				}
				if t.Failed() {
					t.Fatalf("%s: after a power loss at %s", name, point.kind)
				}
			}
		}
	}
	figures(t, "%d power losses while a store was made or its format upgraded", points)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pebbleFormat(t *testing.T, disk vfs.FS) pebble.FormatMajorVersion {
	t.Helper()
	desc, err := pebble.Peek("data", disk)
	if err != nil || !desc.Exists {
		return 0
	}
	return desc.FormatMajorVersion
}

func verifyEmpty(t *testing.T, o engine.Options, kind string) {
	t.Helper()
	store, err := engine.Open(o)
	if err != nil {
		t.Fatalf("after a power loss at %s: %v", kind, err)
	}
	defer store.Close()
	b := &session.Burst{Now: store.Now()}
	*b.Add() = session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never}
	if session.Do(store, b); b.Results[0].Status != session.OK {
		t.Errorf("set: %+v", b.Results[0])
	}
}

// oldestPebble makes a store whose tables, log and manifest have the oldest
// format that Pebble still opens.
func oldestPebble(t *testing.T, disk *vfs.MemFS) {
	t.Helper()
	must(t, disk.MkdirAll("data", 0o700))
	must(t, writeFile(disk, "data/FORMAT", []byte("cairn 1\n")))
	db, err := pebble.Open("data", &pebble.Options{
		FS: disk, FormatMajorVersion: pebble.FormatMinSupported, Logger: quietLogger{},
		Merger: &pebble.Merger{Name: "cairn.merge.1", Merge: pebble.DefaultMerger.Merge}, // nothing is merged
	})
	must(t, err)
	ledger := record.Ledger{Now: session.FromTime(upgradeClock()), Version: 1000}
	for i, it := range upgradeItems() {
		if i == 30 {
			must(t, db.Flush()) // the rest stays in the log
		}
		h := record.Header{
			Flags: it.Flags, Version: uint64(i) + 1, Expiry: it.Expiry, Stale: it.Stale, RawLen: uint32(len(it.Value)),
		}
		value := make([]byte, h.Len(), h.Len()+len(it.Value))
		h.Put(value)
		key := record.AppendKey(nil, ttl.For(it.Expiry, ledger.Now), it.Key)
		must(t, db.Set(key, append(value, it.Value...), pebble.NoSync))
		ledger.Count(ttl.Minute(it.Expiry), 1, int64(len(it.Key)+len(it.Value)))
	}
	must(t, db.Set(record.LedgerKey, ledger.Append(nil), pebble.Sync))
	must(t, db.Close())
	must(t, syncDirs(disk, "data", ""))
}

type quietLogger struct{}

func (quietLogger) Infof(string, ...any)           {}
func (quietLogger) Errorf(string, ...any)          {}
func (quietLogger) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
