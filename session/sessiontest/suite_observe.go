package sessiontest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"cairn/session"
)

// record lets a recorder be told of what a store does.
func (f *fixture) record(s session.Store) *Recorder {
	f.Helper()
	r := new(Recorder)
	f.observable(s).Subscribe(r)
	return r
}

// observable returns a store as one that can be observed, or skips the test.
func (f *fixture) observable(s session.Store) session.Observable {
	f.Helper()
	o, ok := s.(session.Observable)
	if !ok {
		f.Skipf("a %T cannot be observed", s)
	}
	return o
}

// recordIfPossible is record, or, if the store under test cannot be observed, a recorder
// that is told nothing, whichever store it is for.
func (f *fixture) recordIfPossible(s session.Store) *Recorder {
	f.Helper()
	if _, ok := f.Store.(session.Observable); !ok {
		return new(Recorder)
	}
	return f.record(s)
}

// wantTold checks what r was told since the last call.
func (f *fixture) wantTold(r *Recorder, want ...Told) {
	f.Helper()
	got := r.Take()
	for i := range got {
		got[i].Expiry = 0
	}
	if diff := Differ(got, want); diff != "" {
		f.Error(diff)
	}
}

// eventsOf is an Observer that looks at events itself.
type eventsOf func(events []session.Event)

func (f eventsOf) Observe(events []session.Event) { f(events) }

// place is where a test's bursts come from.
type place struct{}

func (place) Front() string { return "test" }
func (place) ID() uint64    { return 7 }
func (place) User() string  { return "somebody" }

var observeTests = []suiteTest{
	{"EachEffectOnce", func(f *fixture) {
		r := f.record(f.Store)
		f.set("k", "value")
		f.wantTold(r, Told{Effect: session.Stored, Op: session.OpSet, Key: "k", Size: 5})
		f.mustOK(store(session.OpAppend, "k", "s", 0))
		f.wantTold(r, Told{Effect: session.Stored, Op: session.OpAppend, Key: "k", Size: 6})
		touch := command(session.OpTouch, "k")
		touch.Expiry = f.in(2 * time.Hour)
		f.mustOK(touch)
		f.wantTold(r, Told{Effect: session.Touched, Op: session.OpTouch, Key: "k", Size: 6})
		f.mustOK(invalidate("k"))
		f.wantTold(r, Told{Effect: session.Invalidated, Op: session.OpDelete, Key: "k", Size: 6, Stale: true})
		f.mustOK(get("k"))
		f.wantTold(r, Told{Effect: session.Touched, Op: session.OpGet, Key: "k", Size: 6, Stale: true, Claimed: true})
		f.mustOK(command(session.OpDelete, "k"))
		f.wantTold(r, Told{Effect: session.Deleted, Op: session.OpDelete, Key: "k", Size: 6, Stale: true, Claimed: true})
		vivify := mod(get("k"), session.Vivify)
		vivify.VivifyExpiry = f.in(time.Hour)
		f.mustOK(vivify)
		f.wantTold(r, Told{Effect: session.Stored, Op: session.OpGet, Key: "k", Claimed: true})
		f.mustOK(set("k", "v", f.clock.Now()))
		f.wantTold(r, Told{Effect: session.Expired, Op: session.OpSet, Key: "k"})
		f.mustOK(set("never there", "v", f.clock.Now()))
		f.wantTold(r, Told{Effect: session.Expired, Op: session.OpSet, Key: "never there"})
	}},
	{"NothingOfLooksAndFailures", func(f *fixture) {
		f.set("k", "v")
		r := f.record(f.Store)
		f.mustOK(get("k"))
		f.mustOK(peek("k"))
		f.want(session.NotFound, get("absent"))
		f.want(session.NotFound, command(session.OpDelete, "absent"))
		f.want(session.NotStored, store(session.OpAdd, "k", "v", f.in(time.Hour)))
		f.want(session.NotStored, store(session.OpReplace, "absent", "v", f.in(time.Hour)))
		f.want(session.Exists, cas(set("k", "v", f.in(time.Hour)), 1<<60))
		f.want(session.NotNumeric, command(session.OpIncr, "k"))
		f.want(session.TooLarge, set("k", repeat(f.MaxValueSize+1), f.in(time.Hour)))
		f.want(session.Failed, command(0, "k"))
		f.wantTold(r)
	}},
	{"FlushesAreBetween", func(f *fixture) {
		r := f.record(f.Store)
		stored := func(key string) Told { return Told{Effect: session.Stored, Op: session.OpSet, Key: key, Size: 1} }
		flush := func(e session.Effect) Told { return Told{Effect: e, Op: session.OpFlush} }
		f.do(set("a", "v", f.in(time.Hour)), flushAt(0), set("b", "v", f.in(time.Hour)))
		f.wantTold(r, stored("a"), flush(session.Flushed), stored("b"))
		f.mustOK(flushAt(f.in(time.Minute)))
		f.wantTold(r, flush(session.FlushPlanned))
		f.clock.Advance(2 * time.Minute)
		f.set("c", "v")
		f.wantTold(r, flush(session.Flushed), stored("c"))
	}},
	{"EventsShowTheirBursts", func(f *fixture) {
		var seen []string
		f.observable(f.Store).Subscribe(eventsOf(func(events []session.Event) {
			for _, e := range events {
				it := &e.Result.Item
				seen = append(seen, fmt.Sprintf("%s %s %d %s", it.Key, e.Command.Value, it.Version, e.Origin.User()))
			}
		}))
		b := &session.Burst{Now: f.clock.Now(), Origin: place{}}
		*b.Add() = set("k", "v", f.in(time.Hour))
		*b.Add() = set("k", "w", f.in(time.Hour))
		session.Do(f.Store, b)
		want := []string{
			fmt.Sprintf("k v %d somebody", b.Results[0].Item.Version), fmt.Sprintf("k w %d somebody", b.Results[1].Item.Version),
		}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			f.Errorf("seen %q, want %q", seen, want)
		}
	}},
	{"ContendedKeysInOrder", func(f *fixture) {
		var mu sync.Mutex
		versions := make(map[string][]uint64)
		f.observable(f.Store).Subscribe(eventsOf(func(events []session.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				versions[string(e.Command.Key)] = append(versions[string(e.Command.Key)], e.Result.Item.Version)
			}
		}))
		const workers, rounds, keys = 8, 40, 3
		parallel(workers, func(w int) {
			for i := range rounds {
				b := &session.Burst{Now: f.clock.Now()}
				for k := range keys {
					*b.Add() = set(fmt.Sprint((k+w)%keys), fmt.Sprint(w, i), f.in(time.Hour))
				}
				session.Do(f.Store, b)
			}
		})
		for key, ascending := range versions { // all bursts are complete
			last := f.mustOK(peek(key)).Item.Version
			if len(ascending) != workers*rounds || !slices.IsSorted(ascending) || ascending[len(ascending)-1] != last {
				f.Errorf("%s: %d events, in order of versions: %v, the last one %d, stored is %d",
					key, len(ascending), slices.IsSorted(ascending), ascending[len(ascending)-1], last)
			}
		}
	}},
	{"UntilCancelled", func(f *fixture) {
		first, second := new(Recorder), new(Recorder)
		o := f.observable(f.Store)
		cancel := o.Subscribe(first)
		o.Subscribe(second)
		f.set("a", "v")
		cancel()
		f.set("b", "v")
		if a, b := len(first.Take()), len(second.Take()); a != 1 || b != 2 {
			f.Errorf("%d and %d events, want 1 and 2", a, b)
		}
	}},
	{"GoesOnAfterReopening", func(f *fixture) {
		f.mustReopen()
		r := f.record(f.Store)
		f.set("k", "v")
		f.mustReopen()
		f.set("k", "v")
		f.wantTold(r, Told{Effect: session.Stored, Op: session.OpSet, Key: "k", Size: 1}, Told{Effect: session.Stored, Op: session.OpSet, Key: "k", Size: 1})
	}},
}
