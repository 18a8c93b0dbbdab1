package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/compress"
	"cairn/session"
	"cairn/session/sessiontest"
)

// shop writes sessions that resemble each other into a store and remembers
// them.
type shop struct {
	t     *testing.T
	store *Store
	rand  *rand.Rand
	layout,
	key string
	ttl  time.Duration
	sold map[string][]byte
	n    int
}

func newShop(t *testing.T, s *Store, layout string) *shop {
	return &shop{
		t: t, store: s, rand: rand.New(rand.NewPCG(1, 2)), layout: layout,
		key: "shop:%d", ttl: time.Hour, sold: make(map[string][]byte),
	}
}

const (
	firstLayout  = `cart|a:2:{s:5:"items";i:%d;s:8:"currency";s:3:"EUR";}csrf|s:16:"%016x";visitor|s:8:"%08x";language|s:5:"de_DE";last|i:%d;`
	secondLayout = `{"basket":{"count":%d,"voucher":"%016x"},"profile":{"id":"%08x","newsletter":false},"consent":["statistics","marketing"],"seen":%d}`
)

// open writes n sessions, in bursts of at most 100.
func (s *shop) open(n int) {
	s.t.Helper()
	b := new(session.Burst)
	for n > 0 {
		b.Reset(s.store.Now())
		for ; n > 0 && len(b.Commands) < 100; n-- {
			s.n++
			c := b.Add()
			c.Op, c.Key, c.Expiry = session.OpSet, fmt.Appendf(nil, s.key, s.n), b.Now.Add(s.ttl)
			c.Value = fmt.Appendf(nil, s.layout, s.rand.IntN(9), s.rand.Uint64(), s.rand.Uint32(), s.n)
			s.sold[string(c.Key)] = c.Value
		}
		session.Do(s.store, b)
		for i := range b.Results {
			if b.Results[i].Status != session.OK {
				s.t.Fatalf("set: %+v", b.Results[i])
			}
		}
	}
}

// train writes sessions until a dictionary more is there.
func (s *shop) train() {
	s.t.Helper()
	before := s.store.compression.dictionaries.Len()
	for range 200 {
		s.open(200)
		if err := s.store.TrainDictionaries(context.Background()); err != nil {
			s.t.Fatal(err)
		}
		if s.store.compression.dictionaries.Len() > before {
			return
		}
	}
	s.t.Fatal("no dictionary was trained")
}

// check reads every session back.
func (s *shop) check() {
	s.t.Helper()
	b := &session.Burst{Now: s.store.Now()}
	for key := range s.sold {
		c := b.Add()
		c.Op, c.Key = session.OpGet, []byte(key)
		if len(b.Commands) == 100 {
			s.compare(b)
			b.Reset(s.store.Now())
		}
	}
	s.compare(b)
}

// compare carries out b, which has gets only.
func (s *shop) compare(b *session.Burst) {
	s.t.Helper()
	session.Do(s.store, b)
	for i := range b.Results {
		r, key := &b.Results[i], b.Commands[i].Key
		if r.Status != session.OK || !bytes.Equal(r.Item.Value, s.sold[string(key)]) {
			s.t.Fatalf("%s: status %d, error %v", key, r.Status, r.Err)
		}
	}
}

func dictionaryStore(t *testing.T) (*Store, *sessiontest.Clock, *vfs.MemFS) {
	clock, fs := sessiontest.NewClock(), vfs.NewCrashableMem()
	o := testOptions(t, fs, clock)
	o.Compression = CompressionDict
	o.HotBytes = -1 // reads must decode
	return openStore(t, o), clock, fs
}

func TestDictionarySurvivesPowerLoss(t *testing.T) {
	store, clock, fs := dictionaryStore(t)
	shop := newShop(t, store, firstLayout)
	shop.train()
	shop.open(500)
	shop.check()
	if d := store.Figures().Compression; d.Dictionaries != 1 || d.Out >= d.In {
		t.Errorf("%d dictionaries, %d bytes became %d", d.Dictionaries, d.In, d.Out)
	}

	o := testOptions(t, fs.CrashClone(vfs.CrashCloneCfg{}), clock)
	o.Compression, o.HotBytes = CompressionBlock, -1 // the records are there all the same
	shop.store = openStore(t, o)
	shop.check()
	var problems []string
	if err := shop.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(o, func(p Problem) { problems = append(problems, p.String()) }); err != nil || problems != nil {
		t.Errorf("check: %v, %q", err, problems)
	}
}

func TestDictionaryGoesWithItsLastBucket(t *testing.T) {
	store, clock, fs := dictionaryStore(t)
	old := newShop(t, store, firstLayout)
	old.train()
	old.open(500)

	// The same kind of session (its key and first byte say so), but the old
	// dictionary has become useless.
	changed := newShop(t, store, "c"+secondLayout)
	changed.key, changed.ttl = "shop:new%d", 2*time.Hour
	for store.compression.dictionaries.Len() < 2 {
		changed.train()
	}
	old.check()
	changed.check()

	reopened := testOptions(t, fs.CrashClone(vfs.CrashCloneCfg{}), clock)
	if s := openStore(t, reopened); s.compression.dictionaries.Len() != 2 {
		t.Errorf("%d dictionaries after a power loss, want 2", s.compression.dictionaries.Len())
	}

	clock.Advance(90 * time.Minute)
	sweep(t, store)
	changed.check()
	clock.Advance(3 * time.Hour)
	sweep(t, store)
	if n := store.compression.dictionaries.Len(); n != 1 {
		t.Errorf("%d dictionaries after all records of the first are gone, want 1", n)
	}
	changed.sold = map[string][]byte{}
	changed.open(100)
	changed.check()
}

func sweep(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	s.Tick(ctx)
	if err := s.DropExpired(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.TrainDictionaries(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestMissingDictionaryIsCorruption(t *testing.T) {
	store, _, _ := dictionaryStore(t)
	shop := newShop(t, store, firstLayout)
	shop.train()
	shop.open(1)
	known := store.compression.values
	store.compression.values = compress.New(true) // knows none
	b := &session.Burst{Now: store.Now()}
	*b.Add() = session.Command{Op: session.OpGet, Key: fmt.Appendf(nil, shop.key, shop.n)}
	session.Do(store, b)
	if r := b.Results[0]; r.Status != session.Failed {
		t.Errorf("status %d, want Failed", r.Status)
	}
	store.compression.values = known
	shop.check()
}
