package sessiontest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"cairn/session"
)

// CompareOwners tells in what the answers of a store to who owns what differ from
// those of the model. It looks at keys that begin with prefix only, so that others
// may be in use, unless the prefix is empty: then it compares the lists of owners too.
func CompareOwners(model *Model, store session.Owned, prefix string) error {
	want, err := ownedKeys(model, prefix)
	if err != nil {
		return err
	}
	for owner, keys := range want {
		got, err := keysOf(store, []byte(owner), prefix)
		if err != nil {
			return fmt.Errorf("owner %q: %w", owner, err)
		}
		if !slices.Equal(got, keys) {
			return fmt.Errorf("owner %q has %q, want %q", owner, got, keys)
		}
	}
	got, err := ownedKeys(store, prefix)
	if err != nil {
		return err
	}
	for owner := range got {
		if want[owner] == nil {
			return fmt.Errorf("owner %q has %q, want none", owner, got[owner])
		}
	}
	if prefix != "" {
		return nil
	}
	a, err := summaries(model)
	if err != nil {
		return err
	}
	b, err := summaries(store)
	if err == nil && !slices.Equal(a, b) {
		err = fmt.Errorf("owners %v, want %v", b, a)
	}
	return err
}

// ownedKeys returns the keys of each owner that begin with prefix.
func ownedKeys(s session.Owned, prefix string) (map[string][]string, error) {
	all := make(map[string][]string)
	var names [][]byte
	err := s.ScanOwners(context.Background(), nil, nil, func(o *session.OwnerSummary) bool {
		names = append(names, bytes.Clone(o.Owner))
		return true
	})
	for _, name := range names {
		keys, scanErr := keysOf(s, name, prefix)
		if scanErr != nil {
			return nil, scanErr
		}
		if len(keys) > 0 {
			all[string(name)] = keys
		}
	}
	return all, err
}

func keysOf(s session.Owned, owner []byte, prefix string) (keys []string, err error) {
	err = s.ScanOwner(context.Background(), owner, nil, false, func(it *session.Item) bool {
		if bytes.HasPrefix(it.Key, []byte(prefix)) {
			keys = append(keys, string(it.Key))
		}
		return true
	})
	return keys, err
}

func summaries(s session.Owned) (all []string, err error) {
	err = s.ScanOwners(context.Background(), nil, nil, func(o *session.OwnerSummary) bool {
		all = append(all, fmt.Sprintf("%q: %d since %d", o.Owner, o.Sessions, o.Oldest))
		return true
	})
	return all, err
}

// ownerTests are for stores that are session.Owned.
var ownerTests = []suiteTest{
	{"FollowTheirItems", func(f *fixture) {
		owned := f.owned()
		model := NewModel(f.MaxValueSize)
		both := func(commands ...session.Command) {
			f.Helper()
			f.do(commands...)
			session.Do(model, &session.Burst{Now: f.clock.Now(), Commands: commands})
			if err := CompareOwners(model, owned, ""); err != nil {
				f.Errorf("after %s: %v", Describe(&commands[0]), err)
			}
		}
		mine := func(key, owner string, minutes int) session.Command {
			c := mod(set(key, "value of "+key, f.in(minute(minutes))), session.Tracked)
			c.Owner = []byte(owner)
			return c
		}
		both(mine("a", "ann", 30), mine("b", "bob", 30), mine("c", "ann", 600), set("d", "nobody's", f.in(minute(30))))
		both(mine("a", "ann", 6000)) // a higher bucket
		both(mine("c", "ann", 10))   // a lower one
		both(mine("b", "ann", 30))   // another owner
		both(mine("b", "", 30))      // nobody's any more
		both(mine("d", "ann", 30))
		touch := command(session.OpTouch, "d")
		touch.Expiry = f.in(minute(60000))
		both(touch)
		both(set("d", "untracked keeps the owner", f.in(minute(60))))
		both(command(session.OpDelete, "c"))
		both(store(session.OpAppend, "a", "more", 0))
		both(mine("c", "ann", 20), command(session.OpDelete, "c"), mine("c", "bob", 20))
		both(mine("e", "a\x00n\xff", 20), mine("f", "1", 20), mine("g", "10", 20), mine("h", "2", 20))
		gone := mine("f", "1", 20)
		gone.Expiry = f.clock.Now()
		both(gone)
		f.clock.Advance(minute(45))
		both(get("a"))
		both(command(session.OpFlush, ""))
		both(mine("a", "ann", 30))
		both(command(session.OpFlush, ""), mine("b", "bob", 30))
	}},
	{"PageThroughMany", func(f *fixture) {
		owned, want := f.owned(), []string{}
		for i := range 1300 / 50 {
			var some []session.Command
			for k := range 50 {
				n := i*50 + k
				c := mod(set(fmt.Sprintf("k%04d", n), "v", f.in(minute(10+n%3*500))), session.Tracked)
				c.Owner = []byte("ann")
				want, some = append(want, string(c.Key)), append(some, c)
			}
			for i, r := range f.do(some...) {
				if r.Status != session.OK {
					f.Errorf("%s: status %d (error %v)", Describe(&some[i]), r.Status, r.Err)
				}
			}
		}
		if got, err := keysOf(owned, []byte("ann"), ""); err != nil || !slices.Equal(got, want) {
			f.Errorf("%d keys, error %v, want %d", len(got), err, len(want))
		}
		var got []string
		err := owned.ScanOwner(context.Background(), []byte("ann"), []byte("k0700"), true, func(it *session.Item) bool {
			if string(it.Value) != "v" || string(it.Owner) != "ann" {
				f.Errorf("item %+v", it)
			}
			got = append(got, string(it.Key))
			return len(got) < 3
		})
		if err != nil || !slices.Equal(got, []string{"k0701", "k0702", "k0703"}) {
			f.Errorf("keys %q, error %v", got, err)
		}
	}},
	{"ListByPrefix", func(f *fixture) {
		owned := f.owned()
		for i, owner := range []string{"a", "ab", "abc", "b", "ba", "abd", "ab\xff", "10", "9"} {
			c := mod(set(fmt.Sprint("k", i), "v", f.in(minute(30))), session.Tracked)
			c.Owner = []byte(owner)
			f.mustOK(c)
		}
		for _, c := range []struct {
			prefix, after string
			want          []string
		}{
			{"", "", []string{"9", "a", "b", "10", "ab", "ba", "abc", "abd", "ab\xff"}},
			{"ab", "", []string{"ab", "abc", "abd", "ab\xff"}},
			{"ab", "ab", []string{"abc", "abd", "ab\xff"}},
			{"ab", "abc", []string{"abd", "ab\xff"}},
			{"ab", "zz", []string{"abc", "abd", "ab\xff"}},
			{"", "ab\xff", nil},
			{"x", "", nil},
		} {
			var got []string
			err := owned.ScanOwners(context.Background(), []byte(c.prefix), []byte(c.after), func(o *session.OwnerSummary) bool {
				got = append(got, string(o.Owner))
				return true
			})
			if err != nil || !slices.Equal(got, c.want) {
				f.Errorf("prefix %q after %q: %q, error %v, want %q", c.prefix, c.after, got, err, c.want)
			}
		}
	}},
}

func minute(n int) time.Duration { return time.Duration(n) * time.Minute }

// owned returns the store under test as one that knows owners.
func (f *fixture) owned() session.Owned {
	owned, ok := f.Store.(session.Owned)
	if !ok {
		f.Skip("the store does not know owners")
	}
	return owned
}
