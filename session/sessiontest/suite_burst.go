package sessiontest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"cairn/session"
)

var burstTests = []suiteTest{
	{"Empty", func(f *fixture) { f.do() }},
	{"ReadsSeeEarlierWritesOnly", func(f *fixture) {
		got := f.do(
			get("k"), set("k", "1", f.in(time.Hour)), get("k"),
			store(session.OpAppend, "k", "2", 0), get("k"),
			command(session.OpDelete, "k"), get("k"),
			store(session.OpAdd, "k", "3", f.in(time.Hour)), get("k"))
		for i, want := range map[int]string{0: "", 2: "1", 4: "12", 6: "", 8: "3"} {
			if string(got[i].Item.Value) != want || (got[i].Status == session.OK) != (want != "") {
				f.Errorf("command %d: status %d, value %q, want %q", i, got[i].Status, got[i].Item.Value, want)
			}
		}
		f.wantValue("k", "3")
	}},
	{"LastOfManyWins", func(f *fixture) {
		var commands []session.Command
		for i := range 100 {
			commands = append(commands, set("k", fmt.Sprint(i), f.in(time.Duration(1+i*37%50)*time.Hour)))
		}
		f.do(commands...)
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("99"), Expiry: f.in(time.Duration(1+99*37%50) * time.Hour)})
	}},
	{"CountsEveryStep", func(f *fixture) {
		incr := command(session.OpIncr, "n")
		incr.Delta = 1
		commands := []session.Command{set("n", "0", f.in(time.Hour))}
		for range 300 {
			commands = append(commands, incr)
		}
		got := f.do(commands...)
		for i := 1; i < len(got); i++ {
			if got[i].Number != uint64(i) || got[i].Item.Version <= got[i-1].Item.Version {
				f.Fatalf("command %d: number %d, version %d after %d", i, got[i].Number, got[i].Item.Version, got[i-1].Item.Version)
			}
		}
		f.wantValue("n", "300")
	}},
	{"TouchesOfOneKey", func(f *fixture) {
		commands := []session.Command{set("k", "v", f.in(time.Minute))}
		for _, ttl := range []time.Duration{20 * 24 * time.Hour, time.Second, 3 * time.Hour, 30 * time.Minute} {
			c := command(session.OpTouch, "k")
			c.Expiry = f.in(ttl)
			commands = append(commands, c, peek("k"))
		}
		got := f.do(commands...)
		for i := 1; i < len(got); i += 2 {
			if want := commands[i].Expiry; got[i+1].Item.Expiry != want || string(got[i+1].Item.Value) != "v" {
				f.Errorf("command %d: expiry %d, value %q; want expiry %d", i, got[i+1].Item.Expiry, got[i+1].Item.Value, want)
			}
		}
		f.clock.Advance(30*time.Minute - time.Millisecond)
		f.wantValue("k", "v")
		f.clock.Advance(time.Millisecond)
		f.wantAbsent("k")
	}},
	{"FailuresLeaveTheRestAlone", func(f *fixture) {
		f.set("k", "x")
		got := f.do(
			set("a", "1", f.in(time.Hour)),
			set("", "1", f.in(time.Hour)),
			command(session.OpIncr, "k"),
			session.Command{Op: 99, Key: []byte("k")},
			set("b", repeat(f.MaxValueSize+1), f.in(time.Hour)),
			set("c", "1", f.in(time.Hour)))
		for i, want := range []session.Status{session.OK, session.Failed, session.NotNumeric, session.Failed, session.TooLarge, session.OK} {
			if got[i].Status != want {
				f.Errorf("command %d: status %d, want %d", i, got[i].Status, want)
			}
		}
		f.wantValue("a", "1")
		f.wantValue("c", "1")
		f.wantValue("k", "x")
		f.wantAbsent("b")
	}},
	{"IsReusable", func(f *fixture) {
		var b session.Burst
		for i := range 20 {
			b.Reset(f.clock.Now())
			for range 1 + i%3 {
				*b.Add() = set(fmt.Sprint(i), fmt.Sprint(i), f.in(time.Hour))
			}
			*b.Add() = get(fmt.Sprint(i))
			session.Do(f.Store, &b)
			if got := string(b.Results[len(b.Results)-1].Item.Value); got != fmt.Sprint(i) {
				f.Errorf("burst %d: value %q", i, got)
			}
		}
	}},
	{"TheStoreCopiesWhatItKeeps", func(f *fixture) {
		key, value := []byte("key"), []byte("value")
		b := &session.Burst{Now: f.clock.Now()}
		*b.Add() = session.Command{Op: session.OpSet, Key: key, Value: value, Expiry: f.in(time.Hour)}
		*b.Add() = session.Command{Op: session.OpAppend, Key: key, Value: value[:1]}
		session.Do(f.Store, b)
		scribble(key, value)
		f.wantValue("key", "valuev")
		f.wantAbsent("###")
		f.mustReopenIfPossible()
		f.wantValue("key", "valuev")
	}},
	{"ResultsStayUntilReset", func(f *fixture) {
		f.set("k", "first")
		f.set("n", "10")
		b := &session.Burst{Now: f.clock.Now()}
		incr := command(session.OpIncr, "n")
		incr.Delta = 1
		for _, c := range []session.Command{get("k"), incr, set("k", "second", f.in(time.Hour)), get("k")} {
			*b.Add() = c
		}
		session.Do(f.Store, b)
		for i := range 50 { // other bursts must not disturb the results of b
			f.set("k", fmt.Sprintf("third%d", i))
			f.mustOK(incr)
			f.mustOK(command(session.OpDelete, "k"))
		}
		if got := [...]string{string(b.Results[0].Item.Value), string(b.Results[1].Item.Value), string(b.Results[3].Item.Value)}; got != [...]string{"first", "11", "second"} {
			f.Errorf("results are now %q", got)
		}
	}},
}

func scribble(slices ...[]byte) {
	for _, s := range slices {
		for i := range s {
			s[i] = '#'
		}
	}
}

func (f *fixture) mustReopenIfPossible() {
	if f.Reopen != nil {
		f.Store = f.Reopen()
	}
}

var limitTests = []suiteTest{
	{"LongestKey", func(f *fixture) {
		longest := repeat(session.MaxKeyLen)
		f.set(longest, "v")
		f.wantValue(longest, "v")
		f.mustOK(command(session.OpDelete, longest))
		f.wantAbsent(longest)
	}},
	{"BadKeys", func(f *fixture) {
		for _, key := range []string{"", repeat(session.MaxKeyLen + 1), repeat(70_000)} {
			for op := session.OpGet; op < session.OpFlush; op++ {
				c := mod(command(op, key), session.Vivify)
				c.Expiry, c.VivifyExpiry = f.in(time.Hour), f.in(time.Hour)
				if r := f.want(session.Failed, c); !errors.Is(r.Err, session.ErrBadCommand) {
					f.Errorf("op %d: error %v", op, r.Err)
				}
			}
		}
	}},
	{"BadCommands", func(f *fixture) {
		f.set("k", "v")
		for _, c := range []session.Command{
			{Key: []byte("k")},
			{Op: session.OpFlush + 1, Key: []byte("k")},
			{Op: 255, Key: []byte("k")},
			{Op: session.OpSet, Mods: session.SetVersion, Key: []byte("k"), Expiry: f.in(time.Hour)},
		} {
			if r := f.want(session.Failed, c); !errors.Is(r.Err, session.ErrBadCommand) {
				f.Errorf("%s: error %v", Describe(&c), r.Err)
			}
		}
		f.wantValue("k", "v")
	}},
	{"LargestValue", func(f *fixture) {
		for _, op := range []session.Op{session.OpSet, session.OpReplace, session.OpAdd} {
			if op == session.OpAdd {
				f.mustOK(command(session.OpDelete, "k"))
			}
			f.mustOK(store(op, "k", repeat(f.MaxValueSize), f.in(time.Hour)))
			f.wantValue("k", repeat(f.MaxValueSize))
		}
	}},
	{"TooLargeIsUnchanged", func(f *fixture) {
		tooLarge := repeat(f.MaxValueSize + 1)
		for op := session.OpSet; op <= session.OpPrepend; op++ {
			f.want(session.TooLarge, store(op, "absent", tooLarge, f.in(time.Hour)))
			f.wantAbsent("absent")
			it := f.set("k", "v")
			f.want(session.TooLarge, store(op, "k", tooLarge, f.in(time.Hour)))
			f.want(session.TooLarge, cas(store(op, "k", tooLarge, f.in(time.Hour)), it.Version+1))
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: it.Expiry, Version: it.Version})
		}
	}},
	{"TooLargeTogether", func(f *fixture) {
		for _, op := range []session.Op{session.OpAppend, session.OpPrepend} {
			f.set("k", repeat(f.MaxValueSize-1))
			f.mustOK(store(op, "k", "v", 0))
			f.wantValue("k", repeat(f.MaxValueSize))
			f.want(session.TooLarge, store(op, "k", "v", 0))
			f.wantValue("k", repeat(f.MaxValueSize))
		}
	}},
	{"Closed", func(f *fixture) {
		if f.Close == nil {
			f.Skip("this kind of store cannot be closed")
		}
		f.set("k", "v")
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		f.Close = nil
		for _, c := range []session.Command{get("k"), set("k", "v", f.in(time.Hour)), flushAt(0)} {
			if r := f.want(session.Failed, c); !errors.Is(r.Err, session.ErrClosed) {
				f.Errorf("%s: error %v", Describe(&c), r.Err)
			}
		}
	}},
}

var completionTests = []suiteTest{
	{"TryLeavesWritesAlone", func(f *fixture) {
		f.set("k", "v")
		for _, c := range []session.Command{
			set("k", "w", f.in(time.Hour)), command(session.OpTouch, "k"), command(session.OpDelete, "k"), flushAt(0),
			mod(get("k"), session.SetExpiry), mod(get("new"), session.Vivify),
		} {
			b := &session.Burst{Now: f.clock.Now(), Commands: []session.Command{get("k"), c}}
			if f.Store.Try(b) {
				f.Errorf("Try carried out %s", Describe(&c))
			}
		}
		f.wantValue("k", "v")
		f.wantAbsent("new")
		f.mustOK(invalidate("k"))
		for range 2 {
			if f.Store.Try(&session.Burst{Now: f.clock.Now(), Commands: []session.Command{get("k")}}) {
				f.Error("Try claimed an item")
			}
		}
		if r := f.mustOK(get("k")); !r.Won {
			f.Error("somebody has claimed the item")
		}
	}},
	{"TryAnswersRightOrNot", func(f *fixture) {
		f.set("k", "v")
		b := &session.Burst{Now: f.clock.Now(), Commands: []session.Command{get("k"), get("nothing"), peek("k")}}
		if f.Store.Try(b) {
			for i, want := range []session.Status{session.OK, session.NotFound, session.OK} {
				if b.Results[i].Status != want {
					f.Errorf("result %d: %+v", i, b.Results[i])
				}
			}
		}
	}},
	{"EachBurstCompletesOnce", func(f *fixture) {
		const n = 300
		f.set("n", "0")
		c := newCompletions(n)
		for i := range n {
			b := &session.Burst{Now: f.clock.Now(), Owner: i}
			*b.Add() = set(fmt.Sprint(i), fmt.Sprint(i), f.in(time.Hour))
			incr := command(session.OpIncr, "n")
			incr.Delta = 1
			*b.Add() = incr
			f.Store.Apply(b, c)
		}
		c.wait(f)
		f.wantValue("n", fmt.Sprint(n))
		for i := range n {
			f.wantValue(fmt.Sprint(i), fmt.Sprint(i))
		}
	}},
}

// completions is a Completer of bursts that count up a number, each with its own
// number, from 0 on, as its Owner.
type completions struct {
	mu   sync.Mutex
	seen map[int]int
	left int
	bad  []string
	done chan struct{}
}

func newCompletions(n int) *completions {
	return &completions{seen: make(map[int]int), left: n, done: make(chan struct{})}
}

func (c *completions) Complete(bursts []*session.Burst) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := uint64(0)
	for _, b := range bursts {
		c.seen[b.Owner.(int)]++
		r := &b.Results[1]
		if b.Results[0].Status != session.OK || r.Status != session.OK || r.Number <= last {
			c.bad = append(c.bad, fmt.Sprintf("burst %v: %+v after the number %d", b.Owner, b.Results, last))
		}
		last = r.Number
		if c.left--; c.left == 0 {
			close(c.done)
		}
	}
}

func (c *completions) wait(f *fixture) {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	for owner, times := range c.seen {
		if times != 1 {
			f.Errorf("burst %d was completed %d times", owner, times)
		}
	}
	for _, bad := range c.bad {
		f.Error(bad)
	}
}

var concurrencyTests = []suiteTest{
	{"IncrLosesNothing", func(f *fixture) {
		const workers, rounds, perBurst = 8, 40, 5
		f.set("n", "0")
		versions := newCollector()
		parallel(workers, func(w int) {
			for range rounds {
				b := &session.Burst{Now: f.clock.Now()}
				for range perBurst {
					c := b.Add()
					*c = command(session.OpIncr, "n")
					c.Delta = 1
				}
				session.Do(f.Store, b)
				for i := range b.Results {
					versions.add(f.T, b.Results[i].Item.Version)
				}
			}
		})
		f.wantValue("n", fmt.Sprint(workers*rounds*perBurst))
	}},
	{"OneAddWins", func(f *fixture) {
		for round := range 30 {
			wins := make([]int, 8)
			parallel(len(wins), func(w int) {
				b := &session.Burst{Now: f.clock.Now()}
				*b.Add() = store(session.OpAdd, fmt.Sprint("lock", round), fmt.Sprint(w), f.in(time.Minute))
				session.Do(f.Store, b)
				if b.Results[0].Status == session.OK {
					wins[w] = 1
				}
			})
			winners := 0
			for _, n := range wins {
				winners += n
			}
			if winners != 1 {
				f.Errorf("round %d: %d winners", round, winners)
			}
		}
	}},
	{"CASLosesNothing", func(f *fixture) {
		const workers = 6
		increments := f.rounds(30)
		f.set("n", "0")
		parallel(workers, func(w int) {
			for done := 0; done < increments; {
				b := &session.Burst{Now: f.clock.Now()}
				*b.Add() = get("n")
				session.Do(f.Store, b)
				it := b.Results[0].Item
				n, _ := session.ParseNumber(it.Value)
				b = &session.Burst{Now: f.clock.Now()}
				*b.Add() = cas(set("n", fmt.Sprint(n+1), f.in(time.Hour)), it.Version)
				session.Do(f.Store, b)
				if b.Results[0].Status == session.OK {
					done++
				}
			}
		})
		f.wantValue("n", fmt.Sprint(workers*increments))
	}},
	{"OneClaimWins", func(f *fixture) {
		told := f.recordIfPossible(f.Store)
		_, observable := f.Store.(session.Observable)
		for range 20 {
			f.set("k", "v")
			f.mustOK(invalidate("k"))
			won := make([]int, 8)
			parallel(len(won), func(w int) {
				b := &session.Burst{Now: f.clock.Now()}
				*b.Add() = get("k")
				session.Do(f.Store, b)
				if b.Results[0].Won {
					won[w] = 1
				}
			})
			winners := 0
			for _, n := range won {
				winners += n
			}
			if winners != 1 {
				f.Errorf("%d winners", winners)
			}
			if n := len(told.Take()); observable && n != 3 {
				f.Errorf("%d events of a set, an invalidation and a claim", n)
			}
		}
	}},
	{"CrossingBurstsDoNotDeadlock", func(f *fixture) {
		parallel(8, func(w int) {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for range f.rounds(40) {
				b := &session.Burst{Now: f.clock.Now()}
				for range 10 {
					*b.Add() = set(fmt.Sprint(rng.IntN(12)), fmt.Sprint(w), f.in(time.Hour))
					*b.Add() = get(fmt.Sprint(rng.IntN(12)))
					if rng.IntN(100) == 0 {
						*b.Add() = flushAt(0)
					}
				}
				session.Do(f.Store, b)
				for i := range b.Results {
					if s := b.Results[i].Status; s != session.OK && s != session.NotFound {
						f.Errorf("status %d: %v", s, b.Results[i].Err)
					}
				}
			}
		})
	}},
	{"ValuesAreWhole", func(f *fixture) {
		n := min(f.MaxValueSize, 2000)
		parallel(8, func(w int) {
			for i := range 60 {
				b := &session.Burst{Now: f.clock.Now()}
				value := make([]byte, n-i)
				for j := range value {
					value[j] = byte('a' + w)
				}
				if w < 4 {
					*b.Add() = session.Command{Op: session.OpSet, Key: []byte("k"), Value: value, Expiry: f.in(time.Hour)}
				}
				*b.Add() = get("k")
				session.Do(f.Store, b)
				got := b.Results[len(b.Results)-1].Item.Value
				for j := range got {
					if got[j] != got[0] {
						f.Errorf("a value mixed of %c and %c", got[0], got[j])
						return
					}
				}
				scribble(value)
			}
		})
	}},
}

// parallel runs work in n goroutines and waits for them.
func parallel(n int, work func(worker int)) {
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() { work(w) })
	}
	wg.Wait()
}

// collector complains about a version that it is given twice.
type collector struct {
	mu   sync.Mutex
	seen map[uint64]bool
}

func newCollector() *collector { return &collector{seen: make(map[uint64]bool)} }

func (c *collector) add(t *testing.T, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[version] {
		t.Errorf("version %d was given twice", version)
	}
	c.seen[version] = true
}

var randomTests = []suiteTest{
	{"AgainstTheModel", func(f *fixture) { f.againstTheModel(1, f.rounds(1500)) }},
	{"AgainstTheModelReopening", func(f *fixture) {
		f.mustReopen()
		l := f.againstTheModel(2, f.rounds(100))
		for range f.rounds(8) {
			f.mustReopen()
			f.steps(l, f.rounds(60))
		}
	}},
	{"Concurrent", func(f *fixture) {
		told, want := f.recordIfPossible(f.Store), make([]*Recorder, 4)
		parallel(len(want), func(w int) {
			l := NewLockstep(uint64(10+w), f.MaxValueSize)
			l.Generator.Prefix = fmt.Sprintf("w%d-", w)
			l.Generator.NoFlush = true
			want[w] = f.recordIfPossible(l.Model)
			for range f.rounds(200) {
				if err := l.Step(f.Store, f.clock.Now(), 1+l.Generator.Rand.IntN(6)); err != nil {
					f.Errorf("worker %d: %v", w, err)
					return
				}
			}
		})
		all := told.Take()
		for w := range want { // each has carried out one burst after the other
			own := slices.DeleteFunc(slices.Clone(all), func(e Told) bool { return e.Key[:3] != fmt.Sprintf("w%d-", w) })
			if diff := Differ(own, want[w].Take()); diff != "" {
				f.Errorf("worker %d: %s", w, diff)
			}
		}
	}},
}

func (f *fixture) againstTheModel(seed uint64, steps int) *Lockstep {
	l := NewLockstep(seed, f.MaxValueSize)
	l.Generator.TooLong = f.MaxValueSize + 1
	f.told, l.told = f.recordIfPossible(f.Store), f.recordIfPossible(l.Model)
	f.steps(l, steps)
	return l
}

// steps takes n steps in lockstep with the model, moving the clock between.
func (f *fixture) steps(l *Lockstep, n int) {
	f.Helper()
	rng := l.Generator.Rand
	for i := range n {
		switch rng.IntN(50) {
		case 0:
			f.clock.Advance(time.Duration(rng.Int64N(int64(6 * time.Hour))))
		case 1, 2, 3:
			f.clock.Advance(time.Duration(rng.Int64N(int64(time.Minute))))
		default:
			f.clock.Advance(time.Duration(rng.IntN(1500)) * time.Millisecond)
		}
		if err := l.Step(f.Store, f.clock.Now(), 1+rng.IntN(12)); err != nil {
			f.Fatalf("step %d: %v", i, err)
		}
		if diff := Differ(f.told.Take(), l.told.Take()); diff != "" {
			f.Fatalf("step %d: %s", i, diff)
		}
	}
	if err := l.Verify(f.Store, l.Model, f.clock.Now()); err != nil {
		f.Fatalf("after %d steps: %v", n, err)
	}
}
