package live

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"cairn/session"
)

var now = time.Unix(1_800_000_000, 0)

func command(verb string, op session.Op, key string, took time.Duration) Command {
	return Command{At: now, Verb: verb, Op: op, Key: []byte(key), Took: took}
}

func TestFilter(t *testing.T) {
	commands := []Command{
		command("mg", session.OpGet, "shop:1", 3*time.Millisecond),
		command("get", session.OpGet, "shop:2", time.Millisecond),
		command("set", session.OpSet, "blog:1", 40*time.Millisecond),
		{At: now, Verb: "stats"},
	}
	for _, of := range []struct {
		filter Filter
		want   []string
	}{
		{Filter{}, []string{"mg", "get", "set", "stats"}},
		{Filter{Prefix: []byte("shop:")}, []string{"mg", "get"}},
		{Filter{Verbs: []string{"get"}}, []string{"mg", "get"}},
		{Filter{Verbs: []string{"mg"}}, []string{"mg"}},
		{Filter{Verbs: []string{"set", "stats"}}, []string{"set", "stats"}},
		{Filter{Slower: 3 * time.Millisecond}, []string{"mg", "set"}},
		{Filter{Slower: 3 * time.Millisecond, Prefix: []byte("shop:"), Verbs: []string{"get"}}, []string{"mg"}},
	} {
		f := New(nil)
		w, err := f.Watch(of.filter, 100)
		if err != nil {
			t.Fatal(err)
		}
		f.Tell(commands)
		w.Close()
		f.Tell(commands) // nobody listens
		var got []string
		for len(w.Commands()) > 0 {
			got = append(got, (<-w.Commands()).Verb)
		}
		if !reflect.DeepEqual(got, of.want) {
			t.Errorf("%+v: %v, want %v", of.filter, got, of.want)
		}
	}
}

// The bytes of a key are the watcher's own.
func TestKeysAreCopied(t *testing.T) {
	f := New(nil)
	w, err := f.Watch(Filter{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := []Command{command("get", session.OpGet, "key", 0)}
	f.Tell(c)
	copy(c[0].Key, "XXX")
	if got := <-w.Commands(); string(got.Key) != "key" {
		t.Errorf("%q", got.Key)
	}
}

// What exceeds the rate, and what a slow reader has no room for, is counted.
func TestWatchIsBounded(t *testing.T) {
	f := New(nil)
	w, err := f.Watch(Filter{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 15 {
		f.Tell([]Command{command("get", session.OpGet, "k", 0)})
	}
	if waiting, skipped := len(w.Commands()), w.Skipped(); waiting != 10 || skipped != 5 {
		t.Errorf("in a moment: %d sent, %d skipped", waiting, skipped)
	}
	for second := range 3 {
		for range 10 {
			c := command("get", session.OpGet, "k", 0)
			c.At = now.Add(time.Duration(second+1) * time.Second)
			f.Tell([]Command{c})
		}
	}
	if waiting, skipped := len(w.Commands()), w.Skipped(); waiting != 20 || skipped != 20 {
		t.Errorf("for a slow reader: %d wait, %d skipped", waiting, skipped)
	}
	if w.Skipped() != 0 {
		t.Error("what was skipped is counted twice")
	}
}

func TestListenersAreBounded(t *testing.T) {
	effects := new(session.Observers)
	f := New(effects)
	if f.Wanted() || (*Feed)(nil).Wanted() || effects.Wanted() {
		t.Error("wanted by nobody")
	}
	var all []*Watch
	for range maxListeners {
		w, err := f.Watch(Filter{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	if _, err := f.Count(Filter{}); err != ErrTooMany {
		t.Errorf("one too many: %v", err)
	}
	if !f.Wanted() || !effects.Wanted() {
		t.Error("not wanted")
	}
	for _, w := range all {
		w.Close()
	}
	if f.Wanted() || effects.Wanted() {
		t.Error("still wanted")
	}
}

type origin struct{ front string }

func (o origin) Front() string { return o.front }
func (o origin) ID() uint64    { return 7 }
func (o origin) User() string  { return "ops" }

// What clients of memcached's protocols change is told by their front end, with its
// time; what others change, by the store.
func TestEffectsOfOthers(t *testing.T) {
	effects := new(session.Observers)
	f := New(effects)
	w, err := f.Watch(Filter{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	set := &session.Command{Op: session.OpSet, Key: []byte("k")}
	effects.Observe([]session.Event{
		{Effect: session.Stored, Command: set, Size: 1, Origin: origin{session.Memcached}},
		{Effect: session.Stored, Command: set, Size: 2, Origin: origin{"http"}, Now: 5},
		{Effect: session.Swept},
		{Effect: session.Flushed, Command: &session.Command{Op: session.OpFlush}},
	})
	if n := len(w.Commands()); n != 2 {
		t.Fatalf("%d commands", n)
	}
	got := <-w.Commands()
	if want := (Command{At: session.Time(5).Time(), Verb: "set", Op: session.OpSet, Key: []byte("k"), Outcome: "stored", Size: 2,
		From: Origin{Front: "http", Connection: 7, User: "ops"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := <-w.Commands(); got.Verb != "flush_all" || got.Outcome != "flushed" || got.From != (Origin{}) {
		t.Errorf("%+v", got)
	}
}

// A key with more than a thousandth of all uses is found among any number of others,
// and its count is not too low.
func TestHotKeys(t *testing.T) {
	f := New(nil)
	c, err := f.Count(Filter{})
	if err != nil {
		t.Fatal(err)
	}
	f.Tell([]Command{{At: now, Verb: "version"}}) // has no key
	const rounds = 20_000
	for i := range rounds {
		f.Tell([]Command{command("get", session.OpGet, fmt.Sprint("cold:", i), 0)})
		if i%100 == 0 {
			f.Tell([]Command{command("set", session.OpSet, "warm", 0)})
		}
		if i%10 == 0 {
			f.Tell([]Command{command("mg", session.OpGet, "hot", 0), command("set", session.OpSet, "hot", 0)})
		}
	}
	c.Close()
	f.Tell([]Command{command("get", session.OpGet, "late", 0)})
	top, total := c.Top(2)
	if want := uint64(rounds + rounds/100 + 2*rounds/10); total != want {
		t.Errorf("%d uses, want %d", total, want)
	}
	for i, want := range []Use{{Key: "hot", Uses: 2 * rounds / 10}, {Key: "warm", Uses: rounds / 100}} {
		got := top[i]
		if got.Key != want.Key || got.Uses < want.Uses || got.Uses-got.Error > want.Uses || got.Reads+got.Writes != got.Uses-got.Error {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
	if all, _ := c.Top(10 * maxCounted); len(all) != maxCounted || len(c.keys) != maxCounted {
		t.Errorf("%d and %d keys are kept", len(all), len(c.keys))
	}
}

// What watching costs each command.
func BenchmarkTell(b *testing.B) {
	for _, which := range []string{"nobody", "filtered", "slow", "over the rate", "hot keys"} {
		b.Run(which, func(b *testing.B) {
			f := New(nil)
			var err error
			switch which {
			case "filtered":
				_, err = f.Watch(Filter{Prefix: []byte("other:")}, 1000)
			case "slow":
				_, err = f.Watch(Filter{Slower: time.Second}, 1000)
			case "over the rate":
				_, err = f.Watch(Filter{}, 1)
			case "hot keys":
				_, err = f.Count(Filter{})
			}
			if err != nil {
				b.Fatal(err)
			}
			commands := make([]Command, 4096)
			for i := range commands {
				commands[i] = command("get", session.OpGet, fmt.Sprint("session:", i), time.Millisecond)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if f.Wanted() {
					f.Tell(commands[i%len(commands):][:1])
				}
			}
		})
	}
}
