package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/enginetest"
	"cairn/session"
	"cairn/session/sessiontest"
)

// coldStore returns a store with sessions cold0, cold1 and so on in tables only,
// each in blocks of its own, and others hot0, hot1 and so on in memory.
func coldStore(t *testing.T, n int, change func(o *Options)) (*Store, *enginetest.Tables) {
	t.Helper()
	tables := enginetest.NewTables(vfs.NewMem())
	o := testOptions(t, tables, sessiontest.NewClock())
	o.MaxValueSize, o.MemtableBytes, o.HotBytes = 64<<10, 8<<20, 32<<20
	o.Compression = CompressionOff
	if change != nil {
		change(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		want(t, s, session.OK, set(s, fmt.Sprint("cold", i), coldValue(i), time.Hour))
	}
	for _, key := range []string{"a first one, which Open reads", "warm"} {
		want(t, s, session.OK, set(s, key, coldValue(0), time.Hour))
	}
	checkAndClose(t, s)
	s = openStore(t, o)
	wantValue(t, s, "warm", coldValue(0)) // opens the table, and has its index and filter read
	for i := range n {
		want(t, s, session.OK, set(s, fmt.Sprint("hot", i), fmt.Sprint(i), time.Hour))
	}
	return s, tables
}

// coldValue is a value that is alone in its block and cannot be compressed.
func coldValue(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 0))
	value := make([]byte, 40<<10)
	for i := range value {
		value[i] = byte(r.Uint32())
	}
	return string(value)
}

func getCold(s *Store, i int) *begun { return start(s, op(session.OpGet, fmt.Sprint("cold", i))) }

// While many wait for the disk, reads and writes of what is in memory are
// carried out, whoever asks for them; and the disk gets as many reads at a time
// as the options say.
func TestColdReadsHoldNobodyUp(t *testing.T) {
	const n, fetches = 32, 8
	s, tables := coldStore(t, n, func(o *Options) { o.Fetches = fetches })
	tables.Hold()
	var reads []*begun
	for i := range n {
		reads = append(reads, getCold(s, i))
	}
	tables.AwaitHeld(fetches)
	for i := range n {
		get := &session.Burst{Now: s.Now(), Commands: []session.Command{op(session.OpGet, fmt.Sprint("hot", i))}}
		if !s.Try(get) || string(get.Results[0].Item.Value) != fmt.Sprint(i) {
			t.Fatalf("a hot get is not answered: %+v", get.Results)
		}
		finishes(t, "a hot set", func() {
			want(t, s, session.OK, set(s, fmt.Sprint("hot", i), "new", time.Hour))
		})
	}
	if held := tables.Held(); held != fetches {
		t.Errorf("%d reads at a time, want %d", held, fetches)
	}
	for i, read := range reads {
		if read.isDone() {
			t.Errorf("read %d was answered while the disk was held up", i)
		}
	}
	tables.Release()
	for i, read := range reads {
		read.wait()
		if r := &read.burst.Results[0]; r.Status != session.OK || string(r.Item.Value) != coldValue(i) {
			t.Errorf("read %d: status %d, error %v", i, r.Status, r.Err)
		}
	}
}

// A write that has to know what is on the disk waits for it alone: those that
// came with it or after it do not.
func TestColdWritesHoldNobodyUp(t *testing.T) {
	const n = 16
	for name, hot := range map[string]int64{"cache": 32 << 20, "no cache": -1} {
		t.Run(name, func(t *testing.T) {
			s, tables := coldStore(t, n, func(o *Options) { o.HotBytes = hot })
			tables.Hold()
			var writes []*begun
			for i := range n {
				extend := op(session.OpAppend, fmt.Sprint("cold", i))
				extend.Value = []byte("!")
				writes = append(writes, start(s, extend, op(session.OpGet, fmt.Sprint("cold", i))))
			}
			tables.AwaitHeld(n)
			if hot > 0 {
				for i := range n {
					finishes(t, "a hot set", func() { want(t, s, session.OK, set(s, fmt.Sprint("hot", i), "new", time.Hour)) })
				}
			}
			// What is in the memtable costs no read of a table.
			finishes(t, "a set", func() { want(t, s, session.OK, set(s, "hot0", "newer", time.Hour)) })
			for i, write := range writes {
				if write.isDone() {
					t.Errorf("write %d was carried out while the disk was held up", i)
				}
			}
			tables.Release()
			for i, write := range writes {
				write.wait()
				if got := string(write.burst.Results[1].Item.Value); got != coldValue(i)+"!" {
					t.Errorf("write %d: %+v, a value of %d bytes", i, write.burst.Results[0], len(got))
				}
			}
		})
	}
}

// A burst that has been read for is not applied on what was read if others wrote
// to the key meanwhile.
func TestFetchedStateIsCheckedAgain(t *testing.T) {
	for name, hot := range map[string]int64{"cache": 32 << 20, "no cache": -1} {
		t.Run(name, func(t *testing.T) {
			s, tables := coldStore(t, 1, func(o *Options) { o.HotBytes = hot })
			tables.Hold()
			extend := op(session.OpAppend, "cold0")
			extend.Value = []byte("!")
			slow := start(s, extend, op(session.OpGet, "cold0"))
			tables.AwaitHeld(1)
			// A flush needs nothing of what is there, and neither has a set after
			// it in the same burst.
			finishes(t, "a flush and a set", func() {
				start(s, op(session.OpFlush, ""), set(s, "hot0", "new", time.Hour)).wait()
			})
			tables.Release()
			slow.wait()
			if r := &slow.burst.Results[0]; r.Status != session.NotStored {
				t.Errorf("appended to a session that a flush had removed: %+v", r)
			}
			wantValue(t, s, "cold0", "")
		})
	}
}

// Older copies of a session, which a delete must find, and a large value, which
// a touch must move, are read for by the burst that needs them; others of the
// same batch do not wait.
func TestDeepReadsHoldNobodyUp(t *testing.T) {
	s, tables := coldStore(t, 1, func(o *Options) { o.largeValue = 1000 })
	for i := range 3 { // copies in three buckets
		want(t, s, session.OK, set(s, "moved", "v", time.Duration(1+i)*time.Hour))
	}
	if err := s.files.db.Flush(); err != nil {
		t.Fatal(err)
	}
	tables.Hold()
	remove := start(s, op(session.OpDelete, "moved"))
	touch := op(session.OpTouch, "cold0")
	touch.Expiry = s.Now().Add(10 * time.Hour)
	move := start(s, touch)
	tables.AwaitHeld(1)
	for range 10 {
		finishes(t, "a hot set", func() { want(t, s, session.OK, set(s, "hot0", "new", time.Hour)) })
	}
	if remove.isDone() || move.isDone() {
		t.Error("done while the disk was held up")
	}
	tables.Release()
	remove.wait()
	move.wait()
	if remove.burst.Results[0].Status != session.OK || move.burst.Results[0].Status != session.OK {
		t.Errorf("%+v, %+v", remove.burst.Results[0], move.burst.Results[0])
	}
	wantValue(t, s, "moved", "")
	wantValue(t, s, "cold0", coldValue(0))
}

// Bursts of one owner that are applied while others write the same keys lose
// nothing, though each has to be fetched for.
func TestContendedColdCounters(t *testing.T) {
	s, _ := coldStore(t, 0, func(o *Options) { o.HotBytes = -1 })
	want(t, s, session.OK, set(s, "n", "0", time.Hour))
	const workers, rounds = 8, 50
	done := make(chan struct{})
	for range workers {
		go func() {
			for range rounds {
				if r := do(s, session.Command{Op: session.OpIncr, Key: []byte("n"), Delta: 1}); r.Status != session.OK {
					t.Errorf("%+v", r)
				}
			}
			done <- struct{}{}
		}()
	}
	for range workers {
		<-done
	}
	wantValue(t, s, "n", fmt.Sprint(workers*rounds))
}

// A store that is closed while bursts wait for the disk completes all of them,
// and those that had not begun fail.
func TestCloseWithFetchesUnderWay(t *testing.T) {
	const n, fetches = 16, 4
	s, tables := coldStore(t, n, func(o *Options) { o.Fetches = fetches })
	tables.Hold()
	var reads []*begun
	for i := range n {
		reads = append(reads, getCold(s, i))
	}
	tables.AwaitHeld(fetches)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for i := fetches; i < n; i++ { // these are not even begun
		reads[i].wait()
		if r := &reads[i].burst.Results[0]; r.Err != session.ErrClosed {
			t.Errorf("read %d: %+v", i, r)
		}
	}
	tables.Release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for i := range fetches {
		reads[i].wait()
		if r := &reads[i].burst.Results[0]; r.Status != session.OK {
			t.Errorf("read %d, which was under way: %+v", i, r)
		}
	}
	if r := do(s, op(session.OpGet, "hot0")); r.Err != session.ErrClosed {
		t.Errorf("after Close: %+v", r)
	}
}

// A result never refers to bytes of another's burst, though one batch carried
// out both: those are overwritten as soon as the other is complete.
func TestResultsDoNotShareBytes(t *testing.T) {
	s, _ := coldStore(t, 0, nil)
	const value = "a value in the writer's memory"
	for range 20 {
		want(t, s, session.OK, set(s, "k", "old", time.Hour))
		s.doors.gate.Lock() // keeps all appliers busy, so that what follows becomes one batch
		var busy []*begun
		for range maxAppliers {
			busy = append(busy, start(s, op(session.OpDelete, "nothing")))
			giveTime()
		}
		write := start(s, set(s, "k", value, time.Hour))
		read := start(s, session.Command{Op: session.OpGet, Mods: session.SetExpiry, Key: []byte("k"), Expiry: s.Now().Add(time.Hour)})
		s.doors.gate.Unlock()
		write.wait()
		clear(write.burst.Commands[0].Value)
		read.wait()
		if got := string(read.burst.Results[0].Item.Value); got != value && got != "old" {
			t.Fatalf("read %q", got)
		}
		for _, b := range busy {
			b.wait()
		}
	}
}

// A read of the disk shows nothing of a writer, or a flush, that is at it: whose
// batch may be visible already, and its ticket not known yet.
func TestColdReadsWaitForWritersAtIt(t *testing.T) {
	s, _ := coldStore(t, 1, func(o *Options) { o.HotBytes = -1 })
	stripe := s.memory.stripes.of(stripeOf([]byte("cold0")))
	for name, busy := range map[string]struct{ begin, end func() }{
		"writer": {stripe.mu.Lock, stripe.mu.Unlock},
		"flush":  {s.doors.lockGate, s.doors.unlockGate},
	} {
		busy.begin()
		read := getCold(s, 0)
		for range 20 {
			giveTime()
		}
		if read.isDone() {
			t.Errorf("a read did not wait for a %s", name)
		}
		busy.end()
		read.wait()
		if r := &read.burst.Results[0]; string(r.Item.Value) != coldValue(0) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
