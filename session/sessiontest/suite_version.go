package sessiontest

import (
	"math"
	"time"

	"cairn/session"
)

// changing are the commands that give a present number a new version, each
// with a valid operand.
func changing(f *fixture) []session.Command {
	incr, decr := command(session.OpIncr, "k"), command(session.OpDecr, "k")
	incr.Delta, decr.Delta = 1, 1
	return []session.Command{
		set("k", "1", f.in(time.Hour)),
		store(session.OpReplace, "k", "1", f.in(time.Hour)),
		store(session.OpAppend, "k", "1", 0),
		store(session.OpPrepend, "k", "1", 0),
		incr, decr,
		mod(command(session.OpDelete, "k"), session.Invalidate),
		mod(command(session.OpDelete, "k"), session.DropValue),
		mod(command(session.OpDelete, "k"), session.DropValue|session.Invalidate),
	}
}

var versionTests = []suiteTest{
	{"EveryChangeAscends", func(f *fixture) {
		last := f.mustOK(store(session.OpAdd, "k", "1", f.in(time.Hour))).Item.Version
		for _, c := range changing(f) {
			f.set("k", "1")
			before := f.mustOK(peek("k")).Item.Version
			got := f.mustOK(c).Item.Version
			if before <= last || got <= before {
				f.Errorf("%s: versions %d, %d, %d do not ascend", Describe(&c), last, before, got)
			}
			if after := f.mustOK(peek("k")).Item.Version; after != got {
				f.Errorf("%s: version %d, its result said %d", Describe(&c), after, got)
			}
			last = got
		}
		f.mustOK(command(session.OpDelete, "k"))
		if got := f.set("k", "1").Version; got <= last {
			f.Errorf("version %d after delete, %d before", got, last)
		}
	}},
	{"TouchAndClaimKeepIt", func(f *fixture) {
		f.set("k", "1")
		it := f.mustOK(mod(command(session.OpDelete, "k"), session.Invalidate)).Item
		touch := command(session.OpTouch, "k")
		touch.Expiry = f.in(time.Minute)
		touched := mod(get("k"), session.SetExpiry|session.SetVersion)
		touched.Expiry, touched.NewVersion = f.in(time.Hour), it.Version+99
		for _, c := range []session.Command{get("k"), touch, mod(touch, session.SetVersion), touched, peek("k")} {
			if c.Has(session.SetVersion) {
				c.NewVersion = it.Version + 99
			}
			if got := f.mustOK(c).Item.Version; got != it.Version {
				f.Errorf("%s: version %d, want %d", Describe(&c), got, it.Version)
			}
		}
	}},
	{"FailureKeepsIt", func(f *fixture) {
		it := f.set("k", "x")
		f.want(session.NotStored, store(session.OpAdd, "k", "y", f.in(time.Hour)))
		f.want(session.NotNumeric, command(session.OpIncr, "k"))
		f.want(session.Exists, cas(set("k", "y", f.in(time.Hour)), it.Version+1))
		f.want(session.TooLarge, set("k", repeat(f.MaxValueSize+1), f.in(time.Hour)))
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("x"), Expiry: it.Expiry, Version: it.Version})
	}},
	{"IfBorn", func(f *fixture) {
		tracked := mod(set("k", "1", f.in(time.Hour)), session.Tracked)
		born := func(c session.Command, born uint64) session.Command {
			c.Mods |= session.IfBorn
			c.Born = born
			return c
		}
		f.want(session.Fenced, born(tracked, 1))
		f.wantAbsent("k")
		first := f.mustOK(tracked).Item
		if first.Born == 0 {
			f.Fatal("born at 0")
		}
		second := f.mustOK(born(set("k", "2", f.in(time.Hour)), first.Born)).Item
		f.mustOK(born(store(session.OpReplace, "k", "3", f.in(time.Hour)), second.Born))
		f.want(session.Fenced, born(set("k", "4", f.in(time.Hour)), first.Born+1))
		f.want(session.Fenced, born(cas(set("k", "4", f.in(time.Hour)), 0), first.Born+1))
		f.want(session.Exists, born(cas(set("k", "4", f.in(time.Hour)), 0), first.Born))
		f.want(session.NotStored, born(store(session.OpAdd, "k", "4", f.in(time.Hour)), first.Born))
		f.want(session.Fenced, born(store(session.OpAdd, "k", "4", f.in(time.Hour)), first.Born+1))
		f.mustOK(command(session.OpDelete, "k"))
		for _, op := range []session.Op{session.OpSet, session.OpAdd, session.OpReplace} {
			f.want(session.Fenced, born(store(op, "k", "4", f.in(time.Hour)), first.Born))
		}
		f.wantAbsent("k")
		if again := f.mustOK(tracked).Item; again.Born <= first.Born {
			f.Errorf("born at %d after %d", again.Born, first.Born)
		}
		f.want(session.Fenced, born(tracked, first.Born))
	}},
	{"IfVersion", func(f *fixture) {
		for _, c := range append(changing(f), command(session.OpDelete, "k")) {
			f.mustOK(session.Command{Op: session.OpFlush})
			f.want(session.NotFound, cas(c, 1))
			f.wantAbsent("k")
			it := f.set("k", "1")
			for _, wrong := range []uint64{0, it.Version + 1, math.MaxUint64} {
				if c.Has(session.Invalidate) {
					c.Mods |= session.SetExpiry
					c.Expiry = f.in(time.Minute)
				}
				f.want(session.Exists, cas(c, wrong))
				f.wantItem(session.Item{Key: []byte("k"), Value: []byte("1"), Expiry: it.Expiry, Version: it.Version})
			}
			f.mustOK(cas(c, it.Version))
			if f.one(peek("k")).Item.Version == it.Version {
				f.Errorf("%s: no effect", Describe(&c))
			}
		}
	}},
	{"SetVersion", func(f *fixture) {
		for i, c := range append(changing(f), mod(set("k", "1", f.in(time.Hour)), session.IfVersion)) {
			it := f.set("k", "1")
			c.Mods |= session.SetVersion
			c.CAS, c.NewVersion = it.Version, ChosenVersions+uint64(100-i)
			if got := f.mustOK(c).Item.Version; got != c.NewVersion {
				f.Errorf("%s: version %d", Describe(&c), got)
			}
			if got := f.mustOK(peek("k")).Item.Version; got != c.NewVersion {
				f.Errorf("%s: version %d afterwards", Describe(&c), got)
			}
			f.mustOK(cas(set("k", "1", f.in(time.Hour)), c.NewVersion))
		}
		c := mod(store(session.OpAdd, "new", "1", f.in(time.Hour)), session.SetVersion)
		c.NewVersion = math.MaxUint64
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("new"), Value: []byte("1"), Expiry: f.in(time.Hour), Version: math.MaxUint64})
	}},
	{"ChosenOnesDoNotDisturbTheCounter", func(f *fixture) {
		before := f.set("k", "1").Version
		c := mod(set("k", "1", f.in(time.Hour)), session.SetVersion)
		c.NewVersion = math.MaxUint64
		f.mustOK(c)
		if got := f.set("k", "1").Version; got <= before || got == math.MaxUint64 {
			f.Errorf("version %d, %d before", got, before)
		}
		c.NewVersion = 1
		f.mustOK(c)
		if got := f.set("other", "1").Version; got <= before {
			f.Errorf("version %d, %d before", got, before)
		}
	}},
	{"IfVersionWithinABurst", func(f *fixture) {
		it := f.set("k", "1")
		got := f.do(
			cas(set("k", "2", f.in(time.Hour)), it.Version),
			cas(set("k", "3", f.in(time.Hour)), it.Version),
			cas(command(session.OpDelete, "k"), it.Version),
		)
		if got[0].Status != session.OK || got[1].Status != session.Exists || got[2].Status != session.Exists {
			f.Errorf("statuses %d %d %d", got[0].Status, got[1].Status, got[2].Status)
		}
		f.wantValue("k", "2")
	}},
}
