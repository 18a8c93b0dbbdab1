package sessiontest

import (
	"math"
	"time"

	"cairn/session"
)

var storeTests = []suiteTest{
	{"SetStoresWhateverIsThere", func(f *fixture) {
		c := set("k", "one", f.in(time.Hour))
		c.Flags = math.MaxUint32
		first := f.mustOK(c).Item
		sameItem(f.T, first, session.Item{Key: []byte("k"), Flags: math.MaxUint32, Expiry: f.in(time.Hour)})
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("one"), Flags: math.MaxUint32,
			Expiry: f.in(time.Hour), Version: first.Version})
		second := f.mustOK(set("k", "two", session.Never)).Item
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("two"), Expiry: session.Never, Version: second.Version})
	}},
	{"AddOnlyIfAbsent", func(f *fixture) {
		f.mustOK(store(session.OpAdd, "k", "one", f.in(time.Hour)))
		r := f.want(session.NotStored, store(session.OpAdd, "k", "two", f.in(time.Minute)))
		if len(r.Item.Key) > 0 && (string(r.Item.Key) != "k" || r.Item.Expiry != f.in(time.Hour)) {
			f.Errorf("refused add describes %+v", r.Item)
		}
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("one"), Expiry: f.in(time.Hour)})
		f.mustOK(command(session.OpDelete, "k"))
		f.mustOK(store(session.OpAdd, "k", "three", f.in(time.Minute)))
		f.wantValue("k", "three")
	}},
	{"ReplaceOnlyIfPresent", func(f *fixture) {
		f.want(session.NotStored, store(session.OpReplace, "k", "one", f.in(time.Hour)))
		f.wantAbsent("k")
		f.set("k", "one")
		c := store(session.OpReplace, "k", "two", f.in(time.Minute))
		c.Flags = 7
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("two"), Flags: 7, Expiry: f.in(time.Minute)})
	}},
	{"AppendAndPrependKeepFlagsAndExpiry", func(f *fixture) {
		f.want(session.NotStored, store(session.OpAppend, "k", "x", f.in(time.Hour)))
		f.want(session.NotStored, store(session.OpPrepend, "k", "x", f.in(time.Hour)))
		f.wantAbsent("k")
		c := set("k", "mid", f.in(time.Hour))
		c.Flags = 9
		f.mustOK(c)
		for _, step := range []struct {
			op          session.Op
			value, want string
		}{
			{session.OpAppend, "-end", "mid-end"},
			{session.OpPrepend, "begin-", "begin-mid-end"},
			{session.OpAppend, "", "begin-mid-end"},
			{session.OpPrepend, "", "begin-mid-end"},
		} {
			c := store(step.op, "k", step.value, f.in(time.Minute))
			c.Flags = 1
			r := f.mustOK(c)
			f.wantItem(session.Item{Key: []byte("k"), Value: []byte(step.want), Flags: 9,
				Expiry: f.in(time.Hour), Version: r.Item.Version})
		}
	}},
	{"EmptyValue", func(f *fixture) {
		f.set("k", "")
		f.wantItem(session.Item{Key: []byte("k"), Expiry: f.in(time.Hour)})
		f.want(session.NotStored, store(session.OpAdd, "k", "x", f.in(time.Hour)))
		f.mustOK(store(session.OpAppend, "k", "x", 0))
		f.wantValue("k", "x")
		f.set("k", "")
		f.wantValue("k", "")
	}},
	{"ModsWithoutMeaningAreIgnored", func(f *fixture) {
		c := set("k", "v", f.in(time.Hour))
		c.Mods = session.SetExpiry | session.Vivify | session.Recache | session.DropValue | session.Peek | session.Invalidate
		c.VivifyExpiry, c.RecacheBefore = f.in(time.Second), session.Never
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(time.Hour)})
		c = mod(store(session.OpReplace, "absent", "v", f.in(time.Hour)), session.Vivify)
		f.want(session.NotStored, c)
		c = mod(command(session.OpTouch, "absent"), session.Vivify)
		f.want(session.NotFound, c)
		f.mustOK(cas(store(session.OpAdd, "absent", "v", f.in(time.Hour)), 12345))
		f.mustOK(cas(get("absent"), 12345))
		c = cas(command(session.OpTouch, "absent"), 12345)
		c.Expiry = f.in(time.Minute)
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("absent"), Value: []byte("v"), Expiry: f.in(time.Minute)})
	}},
	{"BinaryKeysAndValues", func(f *fixture) {
		keys := []string{"\x00", "\x00\x00", "\xff\xff", "a b", "line\r\n", "d", "d\x00", string(make([]byte, session.MaxKeyLen))}
		for i, key := range keys {
			f.set(key, key+string(rune('0'+i)))
		}
		for i, key := range keys {
			f.wantValue(key, key+string(rune('0'+i)))
		}
	}},
	{"KeysDoNotMix", func(f *fixture) {
		f.set("a", "1")
		f.set("ab", "2")
		f.mustOK(command(session.OpDelete, "a"))
		f.wantAbsent("a")
		f.wantValue("ab", "2")
	}},
}

var readTests = []suiteTest{
	{"AbsentIsNotFound", func(f *fixture) {
		for _, op := range []session.Op{session.OpGet, session.OpTouch, session.OpIncr, session.OpDecr, session.OpDelete} {
			f.want(session.NotFound, command(op, "k"))
		}
		for _, mods := range []session.Mods{session.SetExpiry, session.Recache, session.Peek, session.IfVersion} {
			f.want(session.NotFound, mod(get("k"), mods))
		}
		f.wantAbsent("k")
	}},
	{"GetShowsTheItem", func(f *fixture) {
		it := f.set("k", "v")
		r := f.mustOK(get("k"))
		sameItem(f.T, r.Item, session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: it.Expiry, Version: it.Version})
		if r.Won || r.Created {
			f.Errorf("plain get won %t, created %t", r.Won, r.Created)
		}
	}},
	{"GetGivesANewExpiry", func(f *fixture) {
		it := f.set("k", "v")
		c := mod(get("k"), session.SetExpiry)
		c.Expiry = f.in(2 * time.Hour)
		r := f.mustOK(c)
		want := session.Item{Key: []byte("k"), Value: []byte("v"), Expiry: f.in(2 * time.Hour), Version: it.Version}
		sameItem(f.T, r.Item, want)
		f.wantItem(want)
		c = get("k")
		c.Expiry = f.in(time.Minute) // without SetExpiry it means nothing
		f.mustOK(c)
		f.wantItem(want)
	}},
	{"TouchGivesANewExpiryOnly", func(f *fixture) {
		c := set("k", "v", f.in(time.Hour))
		c.Flags = 5
		it := f.mustOK(c).Item
		for _, ttl := range []time.Duration{time.Second, 30 * 24 * time.Hour, time.Minute, 0} {
			c := command(session.OpTouch, "k")
			if c.Expiry = f.in(ttl); ttl == 0 {
				c.Expiry = session.Never
			}
			want := session.Item{Key: []byte("k"), Flags: 5, Expiry: c.Expiry, Version: it.Version}
			sameItem(f.T, f.mustOK(c).Item, want)
			want.Value = []byte("v")
			f.wantItem(want)
		}
	}},
	{"FetchedAndLastAccessAreFromBefore", func(f *fixture) {
		f.set("k", "v")
		if r := f.mustOK(get("k")); r.Item.Fetched {
			f.Error("fetched before the first get")
		}
	}},
}

var numberTests = []suiteTest{
	{"IncrAndDecr", func(f *fixture) {
		for _, step := range []struct {
			value  string
			op     session.Op
			delta  uint64
			number uint64
			left   string
		}{
			{"5", session.OpIncr, 1, 6, "6"},
			{"9", session.OpIncr, 1, 10, "10"},
			{"10", session.OpDecr, 1, 9, "9 "},
			{"10", session.OpIncr, 0, 10, "10"},
			{"5", session.OpDecr, 6, 0, "0"},
			{"100", session.OpDecr, math.MaxUint64, 0, "0  "},
			{"18446744073709551615", session.OpIncr, 1, 0, "0                   "},
			{"18446744073709551614", session.OpIncr, 3, 1, "1                   "},
			{"1", session.OpIncr, math.MaxUint64, 0, "0"},
			{"0", session.OpIncr, math.MaxUint64, math.MaxUint64, "18446744073709551615"},
			{"  7", session.OpIncr, 1, 8, "8  "},
			{"+7", session.OpIncr, 1, 8, "8 "},
			{"7\r\n", session.OpIncr, 1, 8, "8  "},
			{"7 apples", session.OpDecr, 1, 6, "6       "},
			{"007", session.OpIncr, 1, 8, "8  "},
			{"7\x00", session.OpIncr, 1, 8, "8 "},
			{"7\x00x", session.OpDecr, 1, 6, "6  "},
		} {
			c := set("n", step.value, f.in(time.Hour))
			c.Flags = 3
			before := f.mustOK(c).Item
			c = command(step.op, "n")
			c.Delta = step.delta
			r := f.mustOK(c)
			want := session.Item{Key: []byte("n"), Value: []byte(step.left), Flags: 3, Expiry: f.in(time.Hour)}
			sameItem(f.T, r.Item, want)
			if r.Number != step.number || r.Created || r.Won {
				f.Errorf("%q op %d by %d: %+v, want %d", step.value, step.op, step.delta, r, step.number)
			}
			if r.Item.Version <= before.Version {
				f.Errorf("version %d after %d", r.Item.Version, before.Version)
			}
			want.Version = r.Item.Version
			f.wantItem(want)
		}
	}},
	{"NotANumber", func(f *fixture) {
		for _, value := range []string{"", " ", "x", "-1", "1.5", "0x10", "7x", "18446744073709551616", "++1", "+", "\x001"} {
			it := f.set("n", value)
			for _, op := range []session.Op{session.OpIncr, session.OpDecr} {
				c := command(op, "n")
				c.Delta = 1
				f.want(session.NotNumeric, c)
			}
			f.wantItem(session.Item{Key: []byte("n"), Value: []byte(value), Expiry: it.Expiry, Version: it.Version})
		}
	}},
	{"GivesANewExpiry", func(f *fixture) {
		f.set("n", "1")
		c := mod(command(session.OpIncr, "n"), session.SetExpiry)
		c.Delta, c.Expiry = 1, f.in(time.Minute)
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("n"), Value: []byte("2"), Expiry: f.in(time.Minute)})
		c = mod(command(session.OpDecr, "n"), session.SetExpiry)
		c.Expiry = f.clock.Now()
		if r := f.mustOK(c); r.Number != 2 {
			f.Errorf("number %d, want 2", r.Number)
		}
		f.wantAbsent("n")
	}},
	{"KeepsStaleAndClaimed", func(f *fixture) {
		f.set("n", "1")
		f.mustOK(mod(command(session.OpDelete, "n"), session.Invalidate))
		f.mustOK(get("n"))
		c := command(session.OpIncr, "n")
		c.Delta = 1
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("n"), Value: []byte("2"), Expiry: f.in(time.Hour), Stale: true, Claimed: true})
	}},
}

var deleteTests = []suiteTest{
	{"RemovesTheItem", func(f *fixture) {
		it := f.set("k", "v")
		r := f.mustOK(command(session.OpDelete, "k"))
		sameItem(f.T, r.Item, session.Item{Key: []byte("k"), Expiry: it.Expiry, Version: it.Version})
		f.wantAbsent("k")
		f.want(session.NotFound, command(session.OpDelete, "k"))
	}},
	{"DropValueKeepsTheItem", func(f *fixture) {
		c := set("k", "v", f.in(time.Hour))
		c.Flags = 5
		before := f.mustOK(c).Item
		r := f.mustOK(mod(command(session.OpDelete, "k"), session.DropValue))
		want := session.Item{Key: []byte("k"), Expiry: f.in(time.Hour)}
		sameItem(f.T, r.Item, want)
		if r.Item.Version <= before.Version {
			f.Errorf("version %d after %d", r.Item.Version, before.Version)
		}
		f.wantItem(want)
	}},
	{"DropValueWithExpiry", func(f *fixture) {
		f.set("k", "v")
		c := mod(command(session.OpDelete, "k"), session.DropValue|session.SetExpiry)
		c.Expiry = f.in(time.Minute)
		f.mustOK(c)
		f.wantItem(session.Item{Key: []byte("k"), Expiry: f.in(time.Minute)})
		f.clock.Advance(time.Minute)
		f.wantAbsent("k")
	}},
	{"DropValueEndsStaleness", func(f *fixture) {
		f.set("k", "v")
		f.mustOK(mod(command(session.OpDelete, "k"), session.Invalidate))
		f.mustOK(get("k"))
		f.mustOK(mod(command(session.OpDelete, "k"), session.DropValue))
		f.wantItem(session.Item{Key: []byte("k"), Expiry: f.in(time.Hour)})
		f.mustOK(mod(command(session.OpDelete, "k"), session.DropValue|session.Invalidate))
		f.wantItem(session.Item{Key: []byte("k"), Expiry: f.in(time.Hour), Stale: true})
	}},
	{"PlainDeleteIgnoresExpiry", func(f *fixture) {
		f.set("k", "v")
		c := mod(command(session.OpDelete, "k"), session.SetExpiry)
		c.Expiry = f.in(time.Hour)
		f.mustOK(c)
		f.wantAbsent("k")
	}},
	{"AllKindsNeedTheItem", func(f *fixture) {
		for _, mods := range []session.Mods{0, session.Invalidate, session.DropValue, session.Vivify, session.SetVersion} {
			c := mod(command(session.OpDelete, "k"), mods)
			c.NewVersion, c.VivifyExpiry = 7, f.in(time.Hour)
			f.want(session.NotFound, c)
			f.wantAbsent("k")
		}
	}},
}
