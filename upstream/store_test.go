package upstream

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/migrate"
	"cairn/session"
	"cairn/session/sessiontest"
)

// wall is the clock that old stores go by, too.
type wall struct{}

func (wall) Now() session.Time { return session.FromTime(time.Now()) }

// moved is a Store before the model of a store.
type moved struct {
	*Store
	t *testing.T
}

// opened makes a Store and opens it. What o lacks of them gets a default.
func opened(t *testing.T, o Options) *moved {
	t.Helper()
	if o.Next == nil {
		model := sessiontest.NewModel(0)
		o.Observers = new(session.Observers)
		model.Subscribe(o.Observers)
		o.Next = model
	}
	if o.Clock == nil {
		o.Clock = wall{}
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute // a slow machine does not fail the test
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &moved{New(o), t}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *moved) do(c session.Command) session.Result {
	b := &session.Burst{Now: s.o.Clock.Now()}
	*b.Add() = c
	session.Do(s.Store, b)
	return b.Results[0]
}

// get returns a value, "" if there is none.
func (s *moved) get(key string) string {
	return string(s.do(session.Command{Op: session.OpGet, Key: []byte(key)}).Item.Value)
}

func (s *moved) set(key, value string, life time.Duration) {
	s.t.Helper()
	c := session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: s.o.Clock.Now().Add(life)}
	if r := s.do(c); r.Status != session.OK {
		s.t.Fatalf("set %s: %+v", key, r)
	}
}

func (s *moved) delete(key string) session.Status {
	return s.do(session.Command{Op: session.OpDelete, Key: []byte(key)}).Status
}

// await waits for what other goroutines and processes bring about.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// Every command sees the session of the old store as if it were here.
func TestFetch(t *testing.T) {
	for _, kind := range []string{"memcached", "redis-server"} {
		t.Run(kind, func(t *testing.T) {
			old := startOld(t, kind)
			s := opened(t, Options{Sources: []*migrate.Source{old.source()}})
			for i, c := range []session.Command{
				{Op: session.OpGet}, {Op: session.OpTouch, Expiry: session.Never}, {Op: session.OpReplace, Expiry: session.Never},
				{Op: session.OpAppend}, {Op: session.OpPrepend}, {Op: session.OpIncr, Delta: 1}, {Op: session.OpDecr, Delta: 1},
				{Op: session.OpDelete}, {Op: session.OpDelete, Mods: session.Invalidate},
				{Op: session.OpGet, Mods: session.SetExpiry, Expiry: session.Never},
			} {
				key := fmt.Sprint("k", i)
				c.Key = []byte(key)
				if r := s.do(c); r.Status != session.NotFound && r.Status != session.NotStored {
					t.Errorf("%s of what is nowhere: %+v", sessiontest.Describe(&c), r)
				}
				key = fmt.Sprint("there", i)
				c.Key = []byte(key)
				old.set(key, "41", 7, 1000)
				if r := s.do(c); r.Status != session.OK {
					t.Errorf("%s: %+v", sessiontest.Describe(&c), r)
				}
			}
			old.set("x", "value", 7, 1000)
			if r := s.do(session.Command{Op: session.OpAdd, Key: []byte("x"), Expiry: session.Never}); r.Status != session.NotStored {
				t.Errorf("add: %+v", r)
			}
			old.set("y", "value", 7, 1000)
			if r := s.do(session.Command{Op: session.OpSet, Mods: session.IfVersion, CAS: 4711, Key: []byte("y"), Expiry: session.Never}); r.Status != session.Exists {
				t.Errorf("cas with the old store's number: %+v", r)
			}
			r := s.do(session.Command{Op: session.OpGet, Key: []byte("y")})
			left := r.Item.Expiry.Sub(s.o.Clock.Now())
			if string(r.Item.Value) != "value" || left < 900*time.Second || left > 1000*time.Second {
				t.Errorf("%+v, which has %v left", r.Item, left)
			}
			if want := map[string]uint32{"memcached": 7}[kind]; r.Item.Flags != want {
				t.Errorf("flags %d, not %d", r.Item.Flags, want)
			}
			old.set("z", "value", 0, 0)
			if r := s.do(session.Command{Op: session.OpGet, Key: []byte("z")}); r.Item.Expiry != session.Never {
				t.Errorf("%+v", r.Item)
			}
			if st := s.Status(); st.Hits != 13 || st.Misses != 10 || st.Failures != 0 || !st.Endless || st.Done {
				t.Errorf("%+v", st)
			}
		})
	}
}

// Keys that a line of a request cannot have, many at once, and from several servers.
func TestFetchMany(t *testing.T) {
	first, second := startOld(t, "memcached"), startOld(t, "memcached")
	s := opened(t, Options{Sources: []*migrate.Source{first.source(), second.source()}})
	b := &session.Burst{Now: s.o.Clock.Now()}
	for i := range 3 * chunk {
		key := fmt.Sprint("k", i)
		switch i % 3 {
		case 0:
			first.set(key, key, 0, 0)
		case 1:
			second.set(key, key, 0, 0)
		}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
	}
	first.ask("ms IP8= 3 b\r\nodd\r\n", "HD")
	*b.Add() = session.Command{Op: session.OpGet, Key: []byte(" \xff")}
	session.Do(s.Store, b)
	for i, r := range b.Results[:3*chunk] {
		want := string(b.Commands[i].Key)
		if i%3 == 2 {
			want = ""
		}
		if string(r.Item.Value) != want {
			t.Errorf("%q: %q", b.Commands[i].Key, r.Item.Value)
		}
	}
	if r := b.Results[3*chunk]; string(r.Item.Value) != "odd" {
		t.Errorf("%+v", r)
	}
	if s.delete("k0") != session.OK || s.delete("k1") != session.OK || first.get("k0") != "" || second.get("k1") != "" {
		t.Error("what was removed is still at the old store")
	}
}

// Clients that work around a server which is down leave copies at another. The one
// that was stored last is fetched, wherever it is.
func TestFetchLatest(t *testing.T) {
	first, second := startOld(t, "memcached"), startOld(t, "memcached")
	s := opened(t, Options{Sources: []*migrate.Source{first.source(), second.source()}})
	first.set("a", "earlier", 0, 900)
	second.set("a", "later", 0, 1000)
	first.set("b", "later", 0, 1000)
	second.set("b", "earlier", 0, 900)
	first.set("c", "never ends", 0, 0)
	second.set("c", "ends", 0, 900)
	if a, b, c := s.get("a"), s.get("b"), s.get("c"); a != "later" || b != "later" || c != "never ends" {
		t.Errorf("a is %q, b %q, c %q", a, b, c)
	}
	if st := s.Status(); st.Hits != 3 {
		t.Errorf("%+v", st)
	}
}

// What the servers that answer have is found. What none of them has may be at the
// one that does not answer.
func TestFetchFromTheOthers(t *testing.T) {
	down, up := startOld(t, "memcached"), startOld(t, "memcached")
	s := opened(t, Options{Sources: []*migrate.Source{down.source(), up.source()}})
	down.set("a", "away", 0, 0)
	up.set("b", "here", 0, 0)
	down.kill()
	if a, b := s.get("a"), s.get("b"); a != "" || b != "here" {
		t.Errorf("a is %q, b %q", a, b)
	}
	if st := s.Status(); st.Hits != 1 || st.Failures != 1 || st.Misses != 0 {
		t.Errorf("%+v", st)
	}
	down.start()
	down.set("a", "back", 0, 0)
	await(t, "it is asked again", func() bool { return s.get("a") == "back" })
}

// A session that can be none here is left where it is.
func TestUnsuitable(t *testing.T) {
	old := startOld(t, "memcached")
	s := opened(t, Options{Sources: []*migrate.Source{old.source()}, MaxValue: 1000})
	old.set("large", strings.Repeat("v", 1001), 0, 0)
	old.set("small", "v", 0, 0)
	if s.get("large") != "" || s.get("small") != "v" || old.get("large") == "" || s.Status().Unsuitable != 1 {
		t.Errorf("%+v", s.Status())
	}
}

// Nothing is different where the old store has nothing.
func TestTransparent(t *testing.T) {
	old := startOld(t, "memcached")
	sessiontest.Run(t, func(t *testing.T, clock *sessiontest.Clock) *sessiontest.Instance {
		model := sessiontest.NewModel(2000)
		observers := new(session.Observers)
		model.Subscribe(observers)
		s := opened(t, Options{Next: model, Clock: clock, Observers: observers, Sources: []*migrate.Source{old.source()}})
		return &sessiontest.Instance{Store: seenFrom{s.Store, observers}, MaxValueSize: 2000, Close: model.Close}
	})
}

// seenFrom is a Store with the observers of the one behind it.
type seenFrom struct {
	*Store
	*session.Observers
}

// Observe is the Observers': nobody calls it.
func (s seenFrom) Observe(events []session.Event) { s.Store.Observe(events) }

// What was removed here is not there any more, whatever comes between.
func TestRemovedStaysRemoved(t *testing.T) {
	now := wall{}.Now()
	for name, c := range map[string]session.Command{
		"delete":          {Op: session.OpDelete},
		"touch to expire": {Op: session.OpTouch, Expiry: now},
		"gat to expire":   {Op: session.OpGet, Mods: session.SetExpiry, Expiry: now},
		"set to expire":   {Op: session.OpSet, Expiry: now},
	} {
		old := startOld(t, "memcached")
		o := Options{Sources: []*migrate.Source{old.source()}, Dir: t.TempDir()}
		s := opened(t, o)
		for _, key := range []string{"a", "b"} {
			old.set(key, "old", 0, 0)
		}
		c.Key = []byte("a")
		s.do(c)
		if old.get("a") != "" {
			t.Errorf("%s: it is there", name)
		}
		// The old store cannot be told, and this one is killed: its files are as they
		// are now.
		old.kill()
		c.Key = []byte("b")
		s.do(c)
		crashed := t.TempDir()
		journal, err := os.ReadFile(filepath.Join(o.Dir, journalName))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, journalName), journal, 0o600); err != nil {
			t.Fatal(err)
		}
		if s.Status().Pending != 1 {
			t.Errorf("%s: %+v", name, s.Status())
		}
		old.start()
		old.set("b", "old", 0, 0) // as if it had been there all the time
		o.Dir, o.Next = crashed, nil
		again := opened(t, o)
		if got := again.get("b"); got != "" {
			t.Errorf("%s: it came back: %q", name, got)
		}
		await(t, name+": the old store is told", func() bool { return old.get("b") == "" && again.Status().Pending == 0 })
	}
}

// A session that has ended here is not fetched again, even if the old store keeps it
// for longer.
func TestEndedHereIsEnded(t *testing.T) {
	old := startOld(t, "memcached")
	clock := sessiontest.NewClock()
	o := Options{Sources: []*migrate.Source{old.source()}, Clock: clock, Dir: t.TempDir()}
	s := opened(t, o)
	old.set("a", "old", 0, 0)
	s.set("a", "new", time.Minute)
	clock.Advance(2 * time.Minute)
	if got := s.get("a"); got != "" {
		t.Errorf("%q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := opened(t, o); again.get("a") != "" {
		t.Error("it came back with the next process")
	}
}

func TestFlush(t *testing.T) {
	old := startOld(t, "memcached")
	clock := sessiontest.NewClock()
	o := Options{Sources: []*migrate.Source{old.source()}, Clock: clock, Dir: t.TempDir()}
	s := opened(t, o)
	old.set("a", "old", 0, 0)
	s.do(session.Command{Op: session.OpFlush, FlushAt: clock.Now()})
	if old.get("a") != "" {
		t.Error("the old store was not flushed")
	}
	old.set("a", "old", 0, 0)
	if got := s.get("a"); got != "" {
		t.Errorf("after a flush: %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := opened(t, o); again.get("a") != "" || again.Status().Ended != endedByFlush || !again.Status().Done {
		t.Errorf("after a restart: %+v", again.Status())
	}
}

// A Redis may have more than sessions: a flush ends the move only.
func TestFlushLeavesRedisAlone(t *testing.T) {
	old := startOld(t, "redis-server")
	s := opened(t, Options{Sources: []*migrate.Source{old.source()}})
	old.set("a", "old", 0, 0)
	s.do(session.Command{Op: session.OpFlush, FlushAt: s.o.Clock.Now()})
	if s.get("a") != "" || old.get("a") != "old" {
		t.Error("a flush has done something else")
	}
}

// A flush that takes effect later ends the move then.
func TestFlushLater(t *testing.T) {
	old := startOld(t, "redis-server")
	clock := sessiontest.NewClock()
	s := opened(t, Options{Sources: []*migrate.Source{old.source()}, Clock: clock})
	old.set("a", "old", 0, 0)
	old.set("b", "old", 0, 0)
	s.do(session.Command{Op: session.OpFlush, FlushAt: clock.Now().Add(time.Minute)})
	if s.get("a") != "old" {
		t.Error("it took effect at once")
	}
	clock.Advance(time.Minute)
	if s.get("a") != "" || s.get("b") != "" {
		t.Error("it had no effect")
	}
}

// With Mirror the old store has what is here.
func TestMirror(t *testing.T) {
	for _, kind := range []string{"memcached", "redis-server"} {
		t.Run(kind, func(t *testing.T) {
			old := startOld(t, kind)
			s := opened(t, Options{Sources: []*migrate.Source{old.source()}, Mirror: true})
			key := func(name string) []byte { return []byte(name) }
			s.set("set", "v", time.Hour)
			s.set("changed", "1", time.Hour)
			s.do(session.Command{Op: session.OpAppend, Key: key("changed"), Value: []byte("2")})
			s.do(session.Command{Op: session.OpIncr, Key: key("changed"), Delta: 1})
			old.set("touched", "v", 0, 100)
			s.do(session.Command{Op: session.OpTouch, Key: key("touched"), Expiry: s.o.Clock.Now().Add(time.Hour)})
			old.set("stale", "v", 0, 100)
			s.do(session.Command{Op: session.OpDelete, Mods: session.Invalidate, Key: key("stale")})
			s.set("deleted", "v", time.Hour)
			s.delete("deleted")
			await(t, "the old store has it all", func() bool {
				return old.get("set") == "v" && old.get("changed") == "13" && old.get("stale") == "" && s.Status().Queue == 0
			})
			if old.get("deleted") != "" {
				t.Error("what was deleted is there")
			}
			if kind == "memcached" {
				await(t, "a touch", func() bool { return strings.HasPrefix(old.ask("mg touched t\r\n", "HD"), "HD t3") })
			} else {
				await(t, "a touch", func() bool { return strings.HasPrefix(old.ask("TTL touched\r\n", ":"), ":3") })
			}
		})
	}
}

// What the old store does not take is not there with an earlier value.
func TestMirrorRefused(t *testing.T) {
	old := startOld(t, "memcached")
	s := opened(t, Options{Sources: []*migrate.Source{old.source()}, Mirror: true})
	s.set("a", "small", time.Hour)
	await(t, "a copy", func() bool { return old.get("a") == "small" })
	s.set("a", strings.Repeat("v", 2<<20), time.Hour)
	await(t, "a refusal", func() bool { return s.Status().Refused == 1 && old.get("a") == "" })
}

// Each of several servers has every change, whichever of them clients will ask; and
// one that does not take it has no earlier value.
func TestMirrorToEach(t *testing.T) {
	first, second := startOld(t, "memcached"), startOld(t, "memcached", "-I", "4m")
	s := opened(t, Options{Sources: []*migrate.Source{first.source(), second.source()}, Mirror: true})
	both := func(key, value string) func() bool {
		return func() bool { return first.get(key) == value && second.get(key) == value && s.Status().Queue == 0 }
	}
	second.set("moved", "old", 0, 100)
	s.do(session.Command{Op: session.OpAppend, Key: []byte("moved"), Value: []byte("+")})
	await(t, "a session that was moved", both("moved", "old+"))
	s.set("new", "v", time.Hour)
	await(t, "a new session", both("new", "v"))
	s.delete("moved")
	if !both("moved", "")() {
		t.Error("what was deleted is there")
	}
	large := strings.Repeat("v", 2<<20)
	s.set("new", large, time.Hour)
	await(t, "a refusal", func() bool { return s.Status().Refused == 1 && first.get("new") == "" && second.get("new") == large })
	copied := s.Status().Copied
	second.kill()
	s.set("new", "w", time.Hour)
	await(t, "one of them is behind", func() bool { return first.get("new") == "w" })
	if st := s.Status(); st.Queue == 0 || st.Copied != copied {
		t.Errorf("%+v", st)
	}
	second.start()
	await(t, "it catches up", both("new", "w"))
}

// While the old store is down changes wait, and reach it when it is back.
func TestMirrorCatchesUp(t *testing.T) {
	old := startOld(t, "memcached")
	s := opened(t, Options{Sources: []*migrate.Source{old.source()}, Mirror: true})
	old.kill()
	for i := range 200 {
		s.set(fmt.Sprint("k", i), "v", time.Hour)
	}
	s.delete("k0")
	old.start()
	await(t, "it catches up", func() bool { return old.get("k199") == "v" && s.Status().Queue == 0 && s.Status().Pending == 0 })
	await(t, "all of it", func() bool {
		for i := range 200 {
			if (old.get(fmt.Sprint("k", i)) == "v") != (i > 0) {
				return false
			}
		}
		return true
	})
}

// An old store that does not answer holds up nobody but who asks for what is there.
func TestSilentUpstreamHoldsUpNobodyElse(t *testing.T) {
	old := startSilent(t)
	s := opened(t, Options{Sources: []*migrate.Source{old.source(t)}})
	s.set("here", "v", time.Hour)
	const waiting = 3 * maxLinks
	var asking sync.WaitGroup
	for i := range waiting {
		asking.Go(func() {
			if got := s.get(fmt.Sprint("away", i)); got != "" {
				t.Errorf("%q", got)
			}
		})
	}
	for range maxLinks {
		<-old.asked
	}
	// All that may be asked for is under way and stays so.
	for i := range 100 {
		s.set(fmt.Sprint("new", i), "v", time.Hour)
		if s.get("here") != "v" || s.get(fmt.Sprint("new", i)) != "v" {
			t.Fatal("what is here is not found")
		}
	}
	close(old.speak)
	asking.Wait()
}

// Requests of an old store end with the timeout, and it is left alone after some.
func TestTimeoutAndBreaker(t *testing.T) {
	old := startSilent(t)
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	var log bytes.Buffer
	s := opened(t, Options{Sources: []*migrate.Source{old.source(t)}, Timeout: 20 * time.Millisecond, Now: clock,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range patience {
		if got := s.get(fmt.Sprint("k", i)); got != "" {
			t.Errorf("%q", got)
		}
	}
	asked := len(old.asked)
	if !s.Status().Resting || s.get("other") != "" || len(old.asked) != asked {
		t.Errorf("it is still asked: %+v", s.Status())
	}
	if s.delete("gone") != session.NotFound || s.Status().Pending != 1 {
		t.Errorf("a removal is not noted: %+v", s.Status())
	}
	close(old.speak)
	await(t, "it is asked again", func() bool {
		mu.Lock()
		now = now.Add(time.Minute) // an answer may be late once more
		mu.Unlock()
		return s.get("other") == "" && !s.Status().Resting
	})
	if !strings.Contains(log.String(), "does not answer") || !strings.Contains(log.String(), "answers again") {
		t.Errorf("the log: %s", log.String())
	}
}

// A server that speaks something else is as one that is down.
func TestNonsense(t *testing.T) {
	old := startOld(t, "redis-server")
	source, err := migrate.OpenSource("memcached://"+old.addr, migrate.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := opened(t, Options{Sources: []*migrate.Source{source}})
	s.set("a", "v", time.Hour)
	if s.get("a") != "v" || s.get("b") != "" || s.delete("b") != session.NotFound {
		t.Error("it matters")
	}
	if st := s.Status(); st.Failures == 0 || st.Pending != 1 || st.Servers[0].LastError == "" {
		t.Errorf("%+v", st)
	}
}

// When a move is over follows from how long sessions live.
func TestDone(t *testing.T) {
	old := startOld(t, "memcached")
	clock := sessiontest.NewClock()
	s := opened(t, Options{Sources: []*migrate.Source{old.source()}, Clock: clock})
	if st := s.Status(); st.Done || !st.DoneAt.IsZero() {
		t.Errorf("%+v", st)
	}
	began := clock.Now()
	s.set("a", "v", time.Hour)
	clock.Advance(30 * time.Minute)
	s.set("b", "v", time.Minute)
	if st := s.Status(); st.Done || !st.DoneAt.Equal(began.Add(time.Hour).Time()) {
		t.Errorf("%+v", st)
	}
	clock.Advance(31 * time.Minute)
	old.set("late", "v", 0, 0)
	if s.get("late") != "v" {
		t.Error("it is not fetched")
	}
	s.counts.endless.Store(false)
	if st := s.Status(); st.Done {
		t.Errorf("just now there was a hit: %+v", st)
	}
	clock.Advance(quietFor + time.Second)
	if st := s.Status(); !st.Done {
		t.Errorf("%+v", st)
	}
}

// interrupted is a Next that calls after, once, when it has tried a burst.
type interrupted struct {
	*sessiontest.Model
	after func()
}

func (n *interrupted) Try(b *session.Burst) bool {
	tried := n.Model.Try(b)
	if after := n.after; after != nil {
		n.after = nil
		after()
	}
	return tried
}

// A session that another client fetches just after it was looked for here is there.
func TestFetchedMeanwhile(t *testing.T) {
	old := startOld(t, "memcached")
	old.set("k", "old", 0, 0)
	next := &interrupted{Model: sessiontest.NewModel(0)}
	s := opened(t, Options{Next: next, Sources: []*migrate.Source{old.source()}})
	next.after = func() {
		if got := s.get("k"); got != "old" {
			t.Errorf("the other client gets %q", got)
		}
	}
	if got := s.get("k"); got != "old" {
		t.Errorf("the client gets %q", got)
	}
}

// Sessions are set, read and removed by one client each, while others ask for them
// and the old store has one of each: a client sees nothing but its own, and in the end
// each server of the old store has what is here.
func TestRandomMove(t *testing.T) {
	for seed := range uint64(3) {
		for _, mirror := range []bool{true, false} {
			servers := 1
			if mirror && seed == 2 {
				servers = 3
			}
			t.Run(fmt.Sprint(seed, mirror), func(t *testing.T) { randomMove(t, seed, mirror, servers) })
		}
	}
}

func randomMove(t *testing.T, seed uint64, mirror bool, servers int) {
	const sessions, steps = 20, 60
	o := Options{Mirror: mirror}
	var old []*oldStore
	for range servers {
		old = append(old, startOld(t, "memcached"))
		o.Sources = append(o.Sources, old[len(old)-1].source())
	}
	for i := range sessions {
		old[i%servers].set(fmt.Sprint("k", i), "old", 0, 0)
	}
	s := opened(t, o)
	last := make([]string, sessions)
	var owners, others sync.WaitGroup
	stop := make(chan struct{})
	for i := range sessions {
		owners.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			last[i] = ownSession(t, s, r, fmt.Sprint("k", i), steps)
		})
	}
	for i := range 8 {
		others.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(1000+i)))
			for {
				select {
				case <-stop:
					return
				default:
					s.get(fmt.Sprint("k", r.IntN(sessions)))
				}
			}
		})
	}
	owners.Wait()
	close(stop)
	others.Wait()
	for i, want := range last {
		key := fmt.Sprint("k", i)
		if got := s.get(key); got != want {
			t.Errorf("%s is %q, not %q", key, got, want)
		}
		for _, server := range old {
			await(t, key+" there is as here", func() bool { return server.get(key) == want || !mirror && want != "" })
		}
	}
}

// ownSession does what one client may do with its session and returns what it left.
func ownSession(t *testing.T, s *moved, r *rand.Rand, key string, steps int) (want string) {
	want = "old"
	for step := range steps {
		switch r.IntN(4) {
		case 0:
			want = fmt.Sprint(key, " ", step)
			s.set(key, want, time.Hour)
		case 1:
			if ok := s.delete(key) == session.OK; ok != (want != "") {
				t.Errorf("%s, step %d: delete says %v of %q", key, step, ok, want)
			}
			want = ""
		default:
			if got := s.get(key); got != want {
				t.Errorf("%s, step %d: %q, not %q", key, step, got, want)
			}
		}
	}
	return want
}
