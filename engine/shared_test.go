package engine

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

// Writers that share keys, a power cut in their midst: each counter is then at
// least what was acknowledged and at most what was asked for, and no reader has
// seen more than what is left.
func TestSharedCountersSurvivePowerCuts(t *testing.T) {
	for round := range 20 {
		r := rand.New(rand.NewPCG(uint64(round), 0))
		fs := vfs.NewCrashableMem()
		o := testOptions(t, fs, sessiontest.NewClock())
		o.HotBytes = []int64{-1, 3000, 1 << 20}[round%3]
		s := openStore(t, o)
		counters := make([]counter, 5)
		for i := range counters {
			counters[i].key = fmt.Sprintf("counter%d", i)
			want(t, s, session.OK, set(s, counters[i].key, "0", time.Hour))
		}
		var workers sync.WaitGroup
		var cut atomic.Bool
		for w := range 4 {
			workers.Go(func() { countUp(t, s, counters, rand.New(rand.NewPCG(uint64(round), uint64(w+1))), &cut) })
		}
		acknowledged := make([]int64, len(counters))
		for counters[0].acknowledged.Load() < int64(20+r.IntN(100)) {
			time.Sleep(time.Microsecond)
		}
		for i := range counters {
			acknowledged[i] = max(counters[i].acknowledged.Load(), counters[i].shown.Load())
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: r})
		cut.Store(true)
		workers.Wait()
		checkAndClose(t, s)
		o.FS = crashed
		s = openStore(t, o)
		for i := range counters {
			value := want(t, s, session.OK, op(session.OpGet, counters[i].key)).Item.Value
			left, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64)
			if err != nil || left < acknowledged[i] || left > counters[i].asked.Load() {
				t.Errorf("round %d: %s is %q (%v), acknowledged or shown %d, asked for %d", round,
					counters[i].key, value, err, acknowledged[i], counters[i].asked.Load())
			}
		}
	}
}

// counter is an item that is only counted up.
type counter struct {
	key          string
	asked        atomic.Int64 // increments begun
	acknowledged atomic.Int64 // increments done
	shown        atomic.Int64 // the highest number that a reader got
}

func countUp(t *testing.T, s *Store, counters []counter, r *rand.Rand, stop *atomic.Bool) {
	for !stop.Load() {
		c := &counters[r.IntN(len(counters))]
		if r.IntN(2) == 0 {
			value := do(s, op(session.OpGet, c.key)).Item.Value
			n, err := strconv.ParseUint(strings.TrimSpace(string(value)), 10, 64)
			if err != nil {
				t.Errorf("value %q", value)
				return
			}
			raiseTo(&c.shown, int64(n))
			continue
		}
		c.asked.Add(1)
		if r := do(s, session.Command{Op: session.OpIncr, Key: []byte(c.key), Delta: 1}); r.Status != session.OK {
			t.Errorf("incr: %+v", r)
			return
		}
		c.acknowledged.Add(1)
	}
}

func raiseTo(value *atomic.Int64, n int64) {
	for old := value.Load(); n > old && !value.CompareAndSwap(old, n); old = value.Load() {
	}
}

// A burst is all there after a power cut, or not at all.
func TestBurstsAreAtomic(t *testing.T) {
	const keys = 8
	for round := range 20 {
		fs := vfs.NewCrashableMem()
		o := testOptions(t, fs, sessiontest.NewClock())
		s := openStore(t, o)
		var stop atomic.Bool
		var begun atomic.Int64
		var writer sync.WaitGroup
		writer.Go(func() {
			for n := 0; !stop.Load(); n++ {
				b := &session.Burst{Now: s.Now()}
				for i := range keys {
					*b.Add() = set(s, fmt.Sprint("k", i), strconv.Itoa(n), time.Duration(1+i)*20*time.Minute)
				}
				session.Do(s, b)
				begun.Add(1)
			}
		})
		for begun.Load() < int64(3+round) {
			time.Sleep(time.Microsecond)
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(round), 0))})
		stop.Store(true)
		writer.Wait()
		checkAndClose(t, s)
		o.FS = crashed
		s = openStore(t, o)
		first := string(want(t, s, session.OK, op(session.OpGet, "k0")).Item.Value)
		for i := range keys {
			wantValue(t, s, fmt.Sprint("k", i), first)
		}
	}
}

// Scan sees every item that lives through it exactly once, however the items
// move between buckets meanwhile.
func TestScanWhileItemsMove(t *testing.T) {
	const items = 3000
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	key := func(i int) string { return fmt.Sprintf("item%05d", i) }
	for i := range items {
		want(t, s, session.OK, set(s, key(i), "v", 40*time.Minute))
	}
	var stop atomic.Bool
	var movers sync.WaitGroup
	for w := range 2 {
		movers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 0))
			for !stop.Load() {
				ttl := []time.Duration{20 * time.Minute, time.Hour, 5 * time.Hour, 100 * 24 * time.Hour}[r.IntN(4)]
				c := set(s, key(r.IntN(items)), "w", ttl)
				if r.IntN(2) == 0 {
					c.Op = session.OpTouch
				}
				want(t, s, session.OK, c)
				want(t, s, session.OK, set(s, fmt.Sprint("other", r.IntN(1000)), "x", time.Hour))
			}
		})
	}
	for range 3 {
		next := 0
		err := s.Scan(t.Context(), []byte("item"), nil, func(it *session.Item) bool {
			if string(it.Key) != key(next) {
				t.Errorf("saw %s, want %s", it.Key, key(next))
				return false
			}
			next++
			return true
		})
		if err != nil || next != items {
			t.Errorf("%d items seen, error %v", next, err)
		}
	}
	stop.Store(true)
	movers.Wait()
}

func TestScanRange(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	keys := []string{"a", "a\xff", "a\xff\xff", "b", "b1", "b2", "c", "\xff", "\xff\xff"}
	for i, key := range keys {
		want(t, s, session.OK, set(s, key, key, time.Duration(i+1)*time.Hour))
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", keys}, {"", "b1", keys[5:]}, {"a", "", keys[:3]}, {"a\xff", "", keys[1:3]}, {"b", "b1", keys[5:6]},
		{"\xff", "", keys[7:]}, {"\xff", "\xff", keys[8:]}, {"b", "a", keys[3:6]}, {"b", "c", nil}, {"x", "", nil},
	} {
		var got []string
		var after []byte
		if c.after != "" {
			after = []byte(c.after)
		}
		err := s.Scan(t.Context(), []byte(c.prefix), after, func(it *session.Item) bool {
			got = append(got, string(it.Key))
			return string(it.Value) == string(it.Key)
		})
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("prefix %q after %q: %q (%v), want %q", c.prefix, c.after, got, err, c.want)
		}
	}
}
