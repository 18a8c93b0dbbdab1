package sessiontest

import (
	"math"
	"time"

	"cairn/session"
)

func invalidate(key string) session.Command {
	return mod(command(session.OpDelete, key), session.Invalidate)
}

// wantClaim carries out a read and checks what it says of the claim.
func (f *fixture) wantClaim(c session.Command, stale, claimed, won bool) {
	f.Helper()
	r := f.mustOK(c)
	if r.Item.Stale != stale || r.Item.Claimed != claimed || r.Won != won {
		f.Errorf("%s: stale %t claimed %t won %t, want %t %t %t", Describe(&c),
			r.Item.Stale, r.Item.Claimed, r.Won, stale, claimed, won)
	}
}

var staleTests = []suiteTest{
	{"InvalidateKeepsTheValue", func(f *fixture) {
		c := set("k", "v", f.in(time.Hour))
		c.Flags = 4
		it := f.mustOK(c).Item
		r := f.mustOK(invalidate("k"))
		if r.Item.Version <= it.Version {
			f.Errorf("version %d after %d", r.Item.Version, it.Version)
		}
		want := session.Item{Key: []byte("k"), Flags: 4, Expiry: f.in(time.Hour), Stale: true, Version: r.Item.Version}
		sameItem(f.T, r.Item, want)
		want.Value = []byte("v")
		f.wantItem(want)
	}},
	{"InvalidateWithExpiry", func(f *fixture) {
		f.set("k", "v")
		c := invalidate("k")
		c.Expiry = f.in(time.Minute) // without SetExpiry it means nothing
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(time.Hour), Stale: true})
		f.mustOK(mod(c, session.SetExpiry))
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(time.Minute), Stale: true})
		c.Expiry = f.clock.Now()
		f.mustOK(mod(c, session.SetExpiry))
		f.wantAbsent("k")
	}},
	{"OneReaderWins", func(f *fixture) {
		f.set("k", "v")
		f.wantClaim(get("k"), false, false, false)
		f.mustOK(invalidate("k"))
		f.wantClaim(peek("k"), true, false, false)
		f.wantClaim(get("k"), true, true, true)
		f.wantClaim(get("k"), true, true, false)
		f.wantClaim(peek("k"), true, true, false)
		f.mustOK(invalidate("k"))
		f.wantClaim(get("k"), true, true, true)
	}},
	{"OneOfABurstWins", func(f *fixture) {
		f.set("k", "v")
		won := 0
		for _, r := range f.do(invalidate("k"), get("k"), get("k"), get("k")) {
			if r.Won {
				won++
			}
		}
		if won != 1 {
			f.Errorf("%d winners", won)
		}
	}},
	{"TouchKeepsBoth", func(f *fixture) {
		f.set("k", "v")
		f.mustOK(invalidate("k"))
		f.mustOK(get("k"))
		c := command(session.OpTouch, "k")
		c.Expiry = f.in(2 * time.Hour)
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(2 * time.Hour), Stale: true, Claimed: true})
	}},
	{"AStoreClearsBoth", func(f *fixture) {
		for _, c := range []session.Command{
			set("k", "v", f.in(time.Hour)),
			store(session.OpReplace, "k", "v", f.in(time.Hour)),
			store(session.OpAppend, "k", "", 0),
			store(session.OpPrepend, "k", "", 0),
		} {
			f.set("k", "v")
			f.mustOK(invalidate("k"))
			f.mustOK(get("k"))
			f.mustOK(c)
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(time.Hour)})
		}
	}},
	{"StaleIsPresent", func(f *fixture) {
		f.set("k", "v")
		f.mustOK(invalidate("k"))
		f.want(session.NotStored, store(session.OpAdd, "k", "w", f.in(time.Hour)))
		f.mustOK(command(session.OpDelete, "k"))
		f.wantAbsent("k")
	}},
	{"NoClaimLeavesTheClaimToOthers", func(f *fixture) {
		f.set("k", "v")
		f.mustOK(invalidate("k"))
		f.wantClaim(mod(get("k"), session.NoClaim), true, false, false)
		f.wantClaim(mod(get("k"), session.NoClaim), true, false, false)
		f.wantClaim(get("k"), true, true, true)
	}},
	{"RecacheClaimsWhatExpiresSoon", func(f *fixture) {
		f.set("k", "v")
		c := mod(get("k"), session.Recache)
		c.RecacheBefore = f.in(time.Hour) // not before its expiry
		f.wantClaim(c, false, false, false)
		c.RecacheBefore = f.in(time.Hour) + 1
		f.wantClaim(mod(c, session.Peek), false, false, false)
		f.wantClaim(c, false, true, true)
		f.wantClaim(c, false, true, false)
		f.wantClaim(get("k"), false, true, false)
		f.set("k", "v")
		f.wantClaim(get("k"), false, false, false)
		f.mustOK(set("k", "v", session.Never))
		c.RecacheBefore = session.Never
		f.wantClaim(c, false, false, false)
	}},
	{"RecacheGoesByTheExpiryFound", func(f *fixture) {
		f.set("k", "v")
		c := mod(get("k"), session.Recache|session.SetExpiry)
		c.RecacheBefore, c.Expiry = f.in(2*time.Hour), f.in(3*time.Hour)
		f.wantClaim(c, false, true, true)
		f.set("k", "v")
		c.RecacheBefore, c.Expiry = f.in(time.Minute), f.in(time.Second)
		f.wantClaim(c, false, false, false)
	}},
	{"OldVersionStoresStale", func(f *fixture) {
		for _, op := range []session.Op{session.OpSet, session.OpReplace} {
			old := f.set("k", "v")
			it := f.mustOK(invalidate("k")).Item
			f.mustOK(get("k")) // claims it
			c := cas(mod(store(op, "k", "w", f.in(time.Minute)), session.Invalidate), old.Version)
			c.Flags = 6
			r := f.mustOK(c)
			want := session.Item{Key: []byte("k"), Flags: 6, Expiry: it.Expiry, Stale: true, Claimed: true, Version: r.Item.Version}
			if r.Item.Version <= it.Version {
				f.Errorf("version %d after %d", r.Item.Version, it.Version)
			}
			sameItem(f.T, r.Item, want)
			want.Value = []byte("w")
			f.wantItem(want)

			f.want(session.Exists, cas(c, r.Item.Version+1))
			f.want(session.Exists, cas(store(op, "k", "x", f.in(time.Minute)), old.Version))
			f.wantItem(want)
			f.mustOK(cas(c, r.Item.Version)) // the present version stores as ever
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte("w"), Flags: 6, Expiry: f.in(time.Minute)})
			f.mustOK(command(session.OpDelete, "k"))
			f.want(session.NotFound, c)
		}
	}},
}

var vivifyTests = []suiteTest{
	{"Get", func(f *fixture) {
		c := mod(get("k"), session.Vivify)
		c.VivifyExpiry, c.Flags = f.in(time.Minute), 8
		r := f.mustOK(c)
		want := session.Item{Key: []byte("k"), Flags: 8, Expiry: f.in(time.Minute), Claimed: true, Version: r.Item.Version}
		sameItem(f.T, r.Item, want)
		if !r.Won || !r.Created {
			f.Errorf("won %t created %t", r.Won, r.Created)
		}
		f.wantItem(want)
		if r := f.mustOK(c); r.Won || r.Created || !r.Item.Claimed {
			f.Errorf("the second one: %+v", r)
		}
		f.mustOK(set("k", "v", f.in(time.Hour)))
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(time.Hour)})
	}},
	{"GetIgnoresTheOtherMods", func(f *fixture) {
		c := mod(get("k"), session.Vivify|session.SetExpiry|session.Recache|session.Peek|session.IfVersion|session.SetVersion)
		c.VivifyExpiry, c.Expiry, c.RecacheBefore = f.in(time.Minute), f.in(time.Hour), session.Never
		c.CAS, c.NewVersion = 1, ChosenVersions+5
		r := f.mustOK(c)
		if !r.Won || !r.Created {
			f.Errorf("won %t created %t", r.Won, r.Created)
		}
		f.wantItem(session.Item{Key: []byte("k"), Expiry: f.in(time.Minute), Claimed: true, Version: ChosenVersions + 5})
	}},
	{"IncrAndDecr", func(f *fixture) {
		for _, op := range []session.Op{session.OpIncr, session.OpDecr} {
			f.mustOK(session.Command{Op: session.OpFlush})
			c := mod(command(op, "n"), session.Vivify|session.SetExpiry|session.IfVersion)
			c.Delta, c.Initial, c.VivifyExpiry, c.Expiry, c.CAS, c.Flags = 5, 40, f.in(time.Minute), f.in(time.Hour), math.MaxUint64, 2
			r := f.mustOK(c)
			want := session.Item{Key: []byte("n"), Value: []byte("40"), Flags: 2, Expiry: f.in(time.Minute), Version: r.Item.Version}
			sameItem(f.T, r.Item, want)
			if r.Number != 40 || !r.Created || r.Won {
				f.Errorf("%+v", r)
			}
			f.wantItem(want)
			f.want(session.Exists, c)
			c.Mods = session.Vivify
			if r := f.mustOK(c); r.Created || r.Number == 40 {
				f.Errorf("the second one: %+v", r)
			}
			f.wantItem(session.Item{Key: []byte("n"), Value: session.AppendNumber(nil, 40+5-10*uint64(op-session.OpIncr), 0),
				Flags: 2, Expiry: f.in(time.Minute)})
		}
	}},
	{"AppendAndPrepend", func(f *fixture) {
		for _, op := range []session.Op{session.OpAppend, session.OpPrepend} {
			f.mustOK(session.Command{Op: session.OpFlush})
			c := mod(store(op, "k", "v", f.in(time.Hour)), session.Vivify|session.IfVersion)
			c.VivifyExpiry, c.Flags, c.CAS = f.in(time.Minute), 3, math.MaxUint64
			r := f.mustOK(c)
			if !r.Created || r.Won {
				f.Errorf("%+v", r)
			}
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Flags: 3, Expiry: f.in(time.Minute), Version: r.Item.Version})
			f.want(session.Exists, c)
			c.Mods = session.Vivify
			if r := f.mustOK(c); r.Created {
				f.Errorf("the second one: %+v", r)
			}
			f.wantValue("k", "vv")
		}
	}},
	{"AlreadyExpired", func(f *fixture) {
		for _, op := range []session.Op{session.OpGet, session.OpIncr, session.OpAppend} {
			c := mod(command(op, "k"), session.Vivify)
			c.VivifyExpiry = f.clock.Now()
			if r := f.mustOK(c); !r.Created || r.Won != (op == session.OpGet) {
				f.Errorf("%s: %+v", Describe(&c), r)
			}
			f.wantAbsent("k")
		}
	}},
}
