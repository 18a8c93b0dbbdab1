package sessiontest

import (
	"time"

	"cairn/session"
)

var expiryTests = []suiteTest{
	{"ExpiryIsTheFirstInstantOfAbsence", func(f *fixture) {
		f.mustOK(set("k", "v", f.in(time.Second)))
		f.clock.Advance(time.Second - time.Millisecond)
		f.wantValue("k", "v")
		f.clock.Advance(time.Millisecond)
		f.wantAbsent("k")
		f.clock.Advance(90 * 24 * time.Hour)
		f.wantAbsent("k")
	}},
	{"NeverStays", func(f *fixture) {
		f.mustOK(set("k", "v", session.Never))
		f.clock.Advance(100 * 365 * 24 * time.Hour)
		f.wantValue("k", "v")
	}},
	{"FarFuture", func(f *fixture) { // beyond 2038, and 2106, and what fits 32 bits of minutes
		for _, expiry := range []session.Time{
			session.FromUnix(1<<31 + 7), session.FromUnix(1<<32 + 7), session.FromUnix(60*(1<<32-2) + 7),
			session.FromUnix(60*(1<<32) + 7), session.Never - 1,
		} {
			f.mustOK(set("k", "v", expiry))
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: expiry})
			c := command(session.OpTouch, "k")
			c.Expiry = expiry - 1
			f.mustOK(c)
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: expiry - 1})
		}
	}},
	{"ExpiredIsAbsentForEveryOp", func(f *fixture) {
		numbers := []session.Op{session.OpGet, session.OpTouch, session.OpIncr, session.OpDecr, session.OpDelete}
		for _, op := range numbers {
			f.mustOK(set("k", "1", f.in(time.Second)))
			f.clock.Advance(time.Second)
			c := command(op, "k")
			c.Expiry = f.in(time.Hour)
			f.want(session.NotFound, c)
			f.wantAbsent("k")
		}
		for _, op := range []session.Op{session.OpReplace, session.OpAppend, session.OpPrepend} {
			f.mustOK(set("k", "1", f.in(time.Second)))
			f.clock.Advance(time.Second)
			f.want(session.NotStored, store(op, "k", "2", f.in(time.Hour)))
			f.wantAbsent("k")
		}
		it := f.mustOK(set("k", "1", f.in(time.Second))).Item
		f.clock.Advance(time.Second)
		f.want(session.NotFound, cas(set("k", "2", f.in(time.Hour)), it.Version))
		f.mustOK(store(session.OpAdd, "k", "3", f.in(time.Hour)))
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("3"), Expiry: f.in(time.Hour)})
	}},
	{"StoringTheExpiredSucceedsAndRemoves", func(f *fixture) {
		for _, expiry := range []session.Time{f.clock.Now(), f.clock.Now() - 1, 1000, 0, -1, -1 << 62} {
			for _, op := range []session.Op{session.OpSet, session.OpReplace} {
				f.set("k", "v")
				r := f.mustOK(store(op, "k", "w", expiry))
				sameItem(f.T, r.Item, session.Item{Key: []byte("k"), Expiry: expiry})
				f.wantAbsent("k")
			}
			f.mustOK(store(session.OpAdd, "k", "w", expiry))
			f.wantAbsent("k")
			f.mustOK(store(session.OpAdd, "k", "w", expiry)) // again: the first left nothing
			for _, op := range []session.Op{session.OpTouch, session.OpGet} {
				f.set("k", "v")
				c := mod(command(op, "k"), session.SetExpiry)
				c.Expiry = expiry
				if r := f.mustOK(c); r.Item.Expiry != expiry {
					f.Errorf("expiry %d, want %d", r.Item.Expiry, expiry)
				}
				f.wantAbsent("k")
			}
		}
	}},
	{"ShortenedNeverComesBack", func(f *fixture) {
		f.mustOK(set("k", "long", f.in(20*24*time.Hour)))
		f.mustOK(set("k", "short", f.in(time.Second)))
		f.clock.Advance(time.Second)
		f.wantAbsent("k")
		for range 50 {
			f.clock.Advance(12 * time.Hour)
			f.wantAbsent("k")
		}
	}},
	{"TouchedShorterNeverComesBack", func(f *fixture) {
		for _, first := range []time.Duration{time.Minute, time.Hour, 20 * 24 * time.Hour} {
			f.mustOK(set("k", "v", f.in(first)))
			for _, ttl := range []time.Duration{40 * 24 * time.Hour, 3 * time.Hour, time.Second} {
				c := command(session.OpTouch, "k")
				c.Expiry = f.in(ttl)
				f.mustOK(c)
			}
			f.clock.Advance(time.Second)
			f.wantAbsent("k")
			f.clock.Advance(2 * time.Hour)
			f.wantAbsent("k")
		}
	}},
	{"SlidingLivesOn", func(f *fixture) {
		f.mustOK(set("k", "v", f.in(30*time.Minute)))
		f.mustOK(set("abandoned", "v", f.in(30*time.Minute)))
		for range f.rounds(200) {
			f.clock.Advance(29 * time.Minute)
			c := command(session.OpTouch, "k")
			c.Expiry = f.in(30 * time.Minute)
			f.mustOK(c)
		}
		f.wantAbsent("abandoned")
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(30 * time.Minute)})
		f.clock.Advance(30 * time.Minute)
		f.wantAbsent("k")
	}},
	{"AnEarlierNowNeverRevives", func(f *fixture) {
		f.mustOK(set("k", "v", f.in(time.Second)))
		before := f.clock.Now()
		f.clock.Advance(time.Second)
		f.wantAbsent("k")
		b := &session.Burst{Now: before}
		*b.Add() = set("other", "v", f.in(time.Hour))
		session.Do(f.Store, b)
		if b.Results[0].Status != session.OK {
			f.Errorf("status %d", b.Results[0].Status)
		}
		f.wantAbsent("k")
		f.wantValue("other", "v")
	}},
}

func flushAt(at session.Time) session.Command {
	return session.Command{Op: session.OpFlush, FlushAt: at}
}

var flushTests = []suiteTest{
	{"AtOnce", func(f *fixture) {
		for _, at := range []session.Time{0, f.clock.Now() - 1, f.clock.Now()} {
			f.mustOK(set("a", "v", f.in(time.Second)))
			f.mustOK(set("b", "v", f.in(14*24*time.Hour)))
			f.mustOK(set("c", "v", session.Never))
			f.mustOK(flushAt(at))
			f.wantAbsent("a", "b", "c")
			f.mustOK(store(session.OpAdd, "a", "new", f.in(time.Hour)))
			f.wantValue("a", "new")
		}
	}},
	{"WithinABurst", func(f *fixture) {
		f.set("a", "old")
		got := f.do(get("a"), set("b", "v", f.in(time.Hour)), flushAt(0), get("a"), get("b"), set("c", "v", f.in(time.Hour)), get("c"))
		for i, want := range []session.Status{session.OK, session.OK, session.OK, session.NotFound, session.NotFound, session.OK, session.OK} {
			if got[i].Status != want {
				f.Errorf("command %d: status %d, want %d", i, got[i].Status, want)
			}
		}
		f.wantAbsent("a", "b")
		f.wantValue("c", "v")
	}},
	{"Later", func(f *fixture) {
		f.set("a", "v")
		f.mustOK(set("never", "v", session.Never))
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.wantValue("a", "v")
		f.set("b", "stored meanwhile")
		f.clock.Advance(10*time.Second - time.Millisecond)
		f.wantValue("a", "v")
		f.wantValue("b", "stored meanwhile")
		f.clock.Advance(time.Millisecond)
		f.wantAbsent("a", "b", "never")
		f.set("c", "v")
		f.clock.Advance(10 * time.Second)
		f.wantValue("c", "v")
	}},
	{"BeforeTheCommandsOfItsInstant", func(f *fixture) {
		f.set("a", "v")
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.clock.Advance(10 * time.Second)
		f.set("b", "v")
		f.wantAbsent("a")
		f.wantValue("b", "v")
	}},
	{"LongOverdue", func(f *fixture) {
		f.mustOK(set("a", "v", session.Never))
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.clock.Advance(40 * 24 * time.Hour)
		f.mustOK(store(session.OpAdd, "a", "new", session.Never))
		f.wantValue("a", "new")
		f.clock.Advance(time.Hour)
		f.wantValue("a", "new")
	}},
	{"ALaterOneReplacesAPendingOne", func(f *fixture) {
		f.set("a", "v")
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.mustOK(flushAt(f.in(20 * time.Second)))
		f.clock.Advance(19 * time.Second)
		f.wantValue("a", "v")
		f.clock.Advance(time.Second)
		f.wantAbsent("a")
		f.set("a", "v")
		f.mustOK(flushAt(f.in(20 * time.Second)))
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.clock.Advance(10 * time.Second)
		f.wantAbsent("a")
		f.set("a", "v")
		f.clock.Advance(20 * time.Second)
		f.wantValue("a", "v")
	}},
	{"AnImmediateOneReplacesAPendingOne", func(f *fixture) {
		f.set("a", "v")
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.mustOK(flushAt(0))
		f.wantAbsent("a")
		f.set("a", "v")
		f.clock.Advance(time.Minute)
		f.wantValue("a", "v")
	}},
	{"VersionsGoOn", func(f *fixture) {
		last := f.set("a", "v").Version
		f.mustOK(flushAt(0))
		if got := f.set("a", "v").Version; got <= last {
			f.Errorf("version %d, %d before the flush", got, last)
		}
	}},
}

var reopenTests = []suiteTest{
	{"KeepsItems", func(f *fixture) {
		f.mustReopen()
		c := set("k", repeat(700), f.in(time.Hour))
		c.Flags = 5
		it := f.mustOK(c).Item
		f.mustOK(set("never", "v", session.Never))
		f.set("gone", "v")
		f.mustOK(command(session.OpDelete, "gone"))
		f.set("stale", "v")
		f.mustOK(invalidate("stale"))
		f.mustOK(get("stale"))
		f.mustReopen()
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte(repeat(700)), Flags: 5, Expiry: it.Expiry, Version: it.Version})
		f.wantValue("never", "v")
		f.wantAbsent("gone")
		f.wantItem(session.Item{Key: []byte("stale"), Value: []byte("v"), Expiry: f.in(time.Hour), Stale: true, Claimed: true})
	}},
	{"KeepsTouches", func(f *fixture) {
		f.mustOK(set("longer", "v", f.in(30*time.Minute)))
		f.mustOK(set("shorter", "v", f.in(30*time.Minute)))
		for key, ttl := range map[string]time.Duration{"longer": 31 * time.Minute, "shorter": time.Minute} {
			c := command(session.OpTouch, key)
			c.Expiry = f.in(ttl)
			f.mustOK(c)
		}
		f.mustReopen()
		f.clock.Advance(time.Minute)
		f.wantAbsent("shorter")
		f.clock.Advance(29 * time.Minute)
		f.wantValue("longer", "v")
		f.clock.Advance(time.Minute)
		f.wantAbsent("longer")
	}},
	{"VersionsGoOn", func(f *fixture) {
		last := f.set("k", "v").Version
		for range 3 {
			f.mustReopen()
			got := f.set("k", "v").Version
			if got <= last {
				f.Errorf("version %d, %d before the reopening", got, last)
			}
			last = got
			f.mustOK(command(session.OpDelete, "k"))
		}
	}},
	{"ExpiryGoesOnMeanwhile", func(f *fixture) {
		f.mustOK(set("k", "v", f.in(time.Hour)))
		f.mustOK(set("lives", "v", f.in(time.Hour+time.Millisecond)))
		f.clock.Advance(time.Hour)
		f.mustReopen()
		f.wantAbsent("k")
		f.wantValue("lives", "v")
	}},
	{"FlushHolds", func(f *fixture) {
		f.set("k", "v")
		f.mustOK(flushAt(0))
		f.mustReopen()
		f.wantAbsent("k")
	}},
	{"PendingFlushHolds", func(f *fixture) {
		f.set("a", "v")
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.mustReopen()
		f.wantValue("a", "v")
		f.set("b", "v")
		f.clock.Advance(10 * time.Second)
		f.wantAbsent("a", "b")
	}},
	{"FlushFallsDueMeanwhile", func(f *fixture) {
		f.set("a", "v")
		f.mustOK(flushAt(f.in(10 * time.Second)))
		f.clock.Advance(time.Minute)
		f.mustReopen()
		f.wantAbsent("a")
		f.set("b", "v")
		f.mustReopen()
		f.wantValue("b", "v")
		f.clock.Advance(time.Minute)
		f.wantValue("b", "v")
	}},
}

// mustReopen reopens the store, or skips the test if that cannot be done.
func (f *fixture) mustReopen() {
	f.Helper()
	if f.Reopen == nil {
		f.Skip("this kind of store cannot be reopened")
	}
	f.Store = f.Reopen()
}
