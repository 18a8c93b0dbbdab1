package locks

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/policy"
	"cairn/session"
	"cairn/session/memory"
)

const testRules = `
rules:
  - {name: php, prefix: s., locks: l., volatile: true, park: 2s, free-on-close: true}
  - {name: msm, prefix: m., locks: ml., volatile: true}
  - {name: kept, prefix: d., locks: dl.}
`

// world is a Store whose time the test moves.
type world struct {
	t      testing.TB
	store  *Store
	next   *memory.Store
	now    session.Time
	alarms []*alarm
}

type alarm struct {
	at   session.Time
	f    func()
	done bool
}

func newWorld(t testing.TB, maxWaiting int) *world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(testRules), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Open(nil, file)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, next: memory.New(0), now: 1_000_000}
	w.store = New(Options{Next: w.next, Rules: rules, Clock: w, MaxWaiting: maxWaiting, After: w.after})
	return w
}

func (w *world) Now() session.Time { return w.now }

func (w *world) after(d time.Duration, f func()) func() bool {
	a := &alarm{at: w.now.Add(d), f: f}
	w.alarms = append(w.alarms, a)
	return func() bool { was := a.done; a.done = true; return !was }
}

// pass lets time pass, and alarms ring.
func (w *world) pass(d time.Duration) {
	until := w.now.Add(d)
	for {
		var first *alarm
		w.alarms = slices.DeleteFunc(w.alarms, func(a *alarm) bool { return a.done })
		for _, a := range w.alarms {
			if a.at <= until && (first == nil || a.at < first.at) {
				first = a
			}
		}
		if first == nil {
			w.now = until
			return
		}
		w.now = max(w.now, first.at)
		first.done = true
		first.f()
	}
}

// ask is what a client has asked for.
type ask struct {
	burst session.Burst
	done  int
}

func (a *ask) Complete(bursts []*session.Burst) { a.done += len(bursts) }

// answer tells the statuses of the answer; "" if there is none yet.
func (a *ask) answer() string {
	if a.done == 0 {
		return ""
	}
	var all []string
	for _, r := range a.burst.Results {
		all = append(all, [...]string{"", "ok", "not found", "not stored", "exists", "nan", "too large", "failed", "fenced"}[r.Status])
	}
	return strings.Join(all, ", ")
}

// client is a connection with that number.
type client uint64

func (c client) Front() string { return session.Memcached }
func (c client) ID() uint64    { return uint64(c) }
func (c client) User() string  { return "" }

func (w *world) send(from uint64, patient bool, commands ...session.Command) *ask {
	a := &ask{burst: session.Burst{Now: w.now, Origin: client(from), Patient: patient, Commands: commands}}
	w.store.Apply(&a.burst, a)
	w.store.Wait()
	return a
}

func (w *world) add(client uint64, key string, ttl time.Duration) *ask {
	return w.send(client, true, session.Command{Op: session.OpAdd, Key: []byte(key), Expiry: w.now.Add(ttl)})
}

func (w *world) remove(client uint64, key string) *ask {
	return w.send(client, false, session.Command{Op: session.OpDelete, Key: []byte(key)})
}

func (w *world) want(a *ask, answer string) {
	w.t.Helper()
	if got := a.answer(); got != answer || a.done > 1 {
		w.t.Fatalf("answered %q (%d times), want %q", got, a.done, answer)
	}
}

func TestLineIsServedInOrder(t *testing.T) {
	w := newWorld(t, 100)
	w.want(w.add(1, "l.a", time.Minute), "ok")
	var line []*ask
	for client := range uint64(5) {
		line = append(line, w.add(2+client, "l.a", time.Minute))
	}
	w.want(w.add(9, "l.b", time.Minute), "ok")
	for i, a := range line {
		w.want(a, "")
		w.want(w.send(1+uint64(i), false, session.Command{Op: session.OpAdd, Key: []byte("l.a")}), "not stored")
		w.want(w.remove(1+uint64(i), "l.a"), "ok")
		w.want(a, "ok")
		if i+1 < len(line) {
			w.want(line[i+1], "")
		}
	}
	w.want(w.remove(6, "l.a"), "ok")
	w.want(w.remove(6, "l.a"), "not found")
	if f := w.store.Figures(); f.Held != 1 || f.Waiting != 0 || f.Got != 5 || f.InVain+f.GaveWay+f.Freed != 0 || f.Waited.Count != 5 {
		t.Errorf("%+v", f)
	}
}

func TestWaitsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		then func(w *world, a *ask)
		want string
	}{
		"not yet":          {func(w *world, a *ask) { w.pass(1999 * time.Millisecond) }, ""},
		"patience":         {func(w *world, a *ask) { w.pass(2 * time.Second) }, "not stored"},
		"the client sends": {func(w *world, a *ask) { w.store.Hurry(&a.burst); w.store.Hurry(&a.burst) }, "not stored"},
		"the holder goes":  {func(w *world, a *ask) { w.store.Free(1) }, "ok"},
		"another one goes": {func(w *world, a *ask) { w.store.Free(7) }, ""},
		"a flush":          {func(w *world, a *ask) { w.send(3, false, session.Command{Op: session.OpFlush}) }, "ok"},
		"touched away": {func(w *world, a *ask) {
			w.send(3, false, session.Command{Op: session.OpTouch, Key: []byte("l.a"), Expiry: w.now})
		}, "ok"},
	} {
		w := newWorld(t, 100)
		w.want(w.add(1, "l.a", time.Minute), "ok")
		a := w.add(2, "l.a", time.Minute)
		w.want(a, "")
		c.then(w, a)
		if got := a.answer(); got != c.want || a.done > 1 {
			t.Errorf("%s: %q, %d times", name, got, a.done)
		}
		if waiting := w.store.Figures().Waiting; (waiting == 0) != (c.want != "") {
			t.Errorf("%s: %d wait", name, waiting)
		}
	}
}

// TestExpiryIsForTheNext gives a lock that expires to the one who has waited longest,
// for as long as that one asked.
func TestExpiryIsForTheNext(t *testing.T) {
	w := newWorld(t, 100)
	w.want(w.add(1, "l.a", time.Second), "ok")
	w.pass(500 * time.Millisecond)
	a := w.add(2, "l.a", 10*time.Second)
	w.pass(500 * time.Millisecond)
	w.want(a, "ok")
	if it := a.burst.Results[0].Item; it.Expiry.Sub(w.now) != 10*time.Second {
		t.Errorf("lives for %v", it.Expiry.Sub(w.now))
	}
	w.store.Free(1) // whose lock it is not any more
	w.want(w.send(3, false, session.Command{Op: session.OpAdd, Key: []byte("l.a")}), "not stored")
	w.store.Free(2)
	w.want(w.add(3, "l.a", time.Second), "ok")
}

func TestWhoDoesNotWait(t *testing.T) {
	w := newWorld(t, 3)
	lock := session.Command{Op: session.OpAdd, Key: []byte("l.a"), Expiry: w.now.Add(time.Minute)}
	get := session.Command{Op: session.OpGet, Key: []byte("s.a")}
	w.want(w.add(1, "l.a", time.Minute), "ok")
	w.want(w.send(2, false, lock), "not stored")
	w.want(w.send(2, true, lock, lock), "not stored, not stored")
	w.want(w.send(2, true, get, lock), "not found, not stored")
	w.want(w.send(2, true, session.Command{Op: session.OpGet, Key: []byte("l.a")}), "ok")
	w.want(w.add(1, "ml.a", time.Minute), "ok")
	w.want(w.add(2, "ml.a", time.Minute), "not stored") // the rule has no park
	w.store.Free(1)
	w.want(w.add(2, "ml.a", time.Minute), "not stored") // nor free-on-close
	w.want(w.add(2, "dl.a", time.Minute), "ok")
	if _, stored := w.next.Execute(&session.Command{Op: session.OpGet, Key: []byte("dl.a")}, w.now, nil).Item, w.next.Len(); stored != 1 {
		t.Errorf("%d items in the store", stored)
	}
	w.want(w.add(1, "l.a", time.Minute), "ok")
	for range 3 {
		w.want(w.add(2, "l.a", time.Minute), "")
	}
	w.want(w.add(2, "l.a", time.Minute), "not stored") // as many as may wait
	crowd := newWorld(t, 1000)
	crowd.add(1, "l.a", time.Minute)
	for range maxLine {
		crowd.want(crowd.add(2, "l.a", time.Minute), "")
	}
	crowd.want(crowd.add(2, "l.a", time.Minute), "not stored")
}

// orderStore notes whether a lock was free when something else was stored.
type orderStore struct {
	*memory.Store
	locks  **Store
	locked []bool
}

func (s *orderStore) Apply(b *session.Burst, to session.Completer) {
	(*s.locks).mu.Lock()
	s.locked = append(s.locked, (*s.locks).taken([]byte("l.a"), b.Now))
	(*s.locks).mu.Unlock()
	s.Store.Apply(b, to)
}

// TestOrder frees a lock after what it protects was stored, in one burst too.
func TestOrder(t *testing.T) {
	w := newWorld(t, 1)
	order := &orderStore{Store: w.next, locks: &w.store}
	w.store.options.Next = order
	set := session.Command{Op: session.OpSet, Key: []byte("s.a"), Expiry: session.Never}
	del := session.Command{Op: session.OpDelete, Key: []byte("l.a")}
	add := session.Command{Op: session.OpAdd, Key: []byte("l.a"), Expiry: session.Never}
	w.want(w.send(1, false, set, add, set, del, set, add, add), "ok, ok, ok, ok, ok, ok, not stored")
	if !slices.Equal(order.locked, []bool{false, true, false}) {
		t.Errorf("locked: %v", order.locked)
	}
}

func TestTravel(t *testing.T) {
	w, dir := newWorld(t, 10), t.TempDir()
	w.add(1, "l.a", time.Minute)
	w.add(2, "ml.b", time.Minute)
	w.add(3, "l.gone", time.Second)
	w.pass(2 * time.Second)
	if err := w.store.Save(dir); err != nil {
		t.Fatal(err)
	}
	other := newWorld(t, 10)
	other.now = w.now
	if err := other.store.Load(dir); err != nil {
		t.Fatal(err)
	}
	if err := Forget(dir); err != nil {
		t.Fatal(err)
	}
	other.want(other.add(3, "l.gone", time.Second), "ok")
	a := other.add(3, "l.a", time.Minute)
	other.want(a, "")
	other.want(other.add(3, "ml.b", time.Minute), "not stored")
	other.store.Free(1)
	other.want(a, "ok")
	fresh := newWorld(t, 10)
	if err := fresh.store.Load(dir); err != nil || fresh.store.Figures().Held != 0 {
		t.Errorf("a file that was forgotten: %v, %+v", err, fresh.store.Figures())
	}
}

// TestManyHeld lets a client hold more locks than most do. What has expired is looked
// for in vain less and less often then, and forgotten all the same.
func TestManyHeld(t *testing.T) {
	const many = 10 * maxHeld
	w := newWorld(t, 0)
	for i := range many {
		w.want(w.add(1, fmt.Sprint("l.", i), 30*time.Second), "ok")
	}
	h := w.store.held[1]
	if len(h.versions) != many || h.most < many {
		t.Errorf("%d locks are held, the next search is at %d", len(h.versions), h.most)
	}
	w.pass(time.Minute)
	for i := range h.most {
		w.want(w.add(1, fmt.Sprint("l.later.", i), time.Second), "ok")
		w.pass(time.Second)
	}
	if len(h.versions) > 2*maxHeld || h.most > 2*maxHeld {
		t.Errorf("%d locks are held in the end, the next search is at %d", len(h.versions), h.most)
	}
}

// TestFull has as many locks as there may be. What has expired makes room, but is not
// looked for at each command.
func TestFull(t *testing.T) {
	w := newWorld(t, 0)
	w.store.most = 3
	for i := range 3 {
		w.want(w.add(1, fmt.Sprint("l.", i), 500*time.Millisecond), "ok")
	}
	w.want(w.add(1, "l.3", time.Hour), "failed")
	w.want(w.remove(1, "l.3"), "not found")
	w.pass(sweepEvery - 1*time.Millisecond)
	w.want(w.add(1, "l.3", time.Hour), "failed")
	w.pass(time.Millisecond)
	w.want(w.add(1, "l.3", time.Hour), "ok")
}

// TestRandom compares what clients hear with an oracle that knows who holds a lock,
// until when, and who waits.
func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, 1000)
	type waiting struct {
		ask    *ask
		client uint64
		ttl    time.Duration
		until  session.Time
	}
	type lock struct {
		holder uint64 // 0: nobody
		expiry session.Time
		line   []waiting
	}
	locks := [3]lock{}
	grant := func(l *lock) {
		if l.holder != 0 || len(l.line) == 0 {
			return
		}
		next := l.line[0]
		l.line = l.line[1:]
		w.want(next.ask, "ok")
		l.holder, l.expiry = next.client, w.now.Add(next.ttl)
	}
	for step := range 100_000 {
		n := r.IntN(len(locks))
		l, key, client := &locks[n], fmt.Sprint("l.", n), 1+r.Uint64N(6)
		ttl := time.Duration(r.IntN(5000)+1) * time.Millisecond
		switch r.IntN(8) {
		case 0, 1, 2:
			a := w.add(client, key, ttl)
			if l.holder == 0 {
				w.want(a, "ok")
				l.holder, l.expiry = client, w.now.Add(ttl)
			} else if len(l.line) < maxLine {
				l.line = append(l.line, waiting{a, client, ttl, w.now.Add(2 * time.Second)})
			} else {
				w.want(a, "not stored")
			}
		case 3, 4:
			want := "not found"
			if l.holder != 0 {
				want = "ok"
			}
			w.want(w.remove(client, key), want)
			l.holder = 0
			grant(l)
		case 5:
			w.store.Free(client)
			for i := range locks {
				l := &locks[i]
				l.line = slices.DeleteFunc(l.line, func(o waiting) bool { return o.client == client })
				if l.holder == client {
					l.holder = 0
					grant(l)
				}
			}
		case 6:
			if len(l.line) > 0 && r.IntN(3) == 0 {
				i := r.IntN(len(l.line))
				w.store.Hurry(&l.line[i].ask.burst)
				w.want(l.line[i].ask, "not stored")
				l.line = slices.Delete(l.line, i, i+1)
			}
		case 7:
			for range r.IntN(300) {
				w.pass(time.Millisecond)
				for i := range locks {
					l := &locks[i]
					if l.expiry <= w.now {
						l.holder = 0
					}
					for len(l.line) > 0 && l.line[0].until <= w.now && l.line[0].ask.answer() == "not stored" {
						l.line = l.line[1:]
					}
					grant(l)
				}
			}
		}
		for i := range locks {
			for _, waiter := range locks[i].line {
				if got := waiter.ask.answer(); got != "" || waiter.until <= w.now {
					t.Fatalf("seed %d, step %d: %q after %d ms in line", seed, step, got, w.now-waiter.until+2000)
				}
			}
		}
	}
	if f := w.store.Figures(); f.Got < 1000 || f.InVain < 5 || f.Freed < 100 {
		t.Errorf("too little has happened: %+v", f)
	}
}

// TestList lists the locks that are held, who holds them, and who waits.
func TestList(t *testing.T) {
	w := newWorld(t, 100)
	w.want(w.add(1, "l.a", time.Minute), "ok")
	w.want(w.add(2, "l.b", time.Hour), "ok")
	w.want(w.send(3, false, session.Command{Op: session.OpAdd, Key: []byte("ml.c"), Expiry: session.Never}), "ok")
	begin := w.now
	w.pass(time.Second)
	w.add(4, "l.b", time.Hour)
	w.pass(500 * time.Millisecond)
	w.add(5, "l.b", time.Hour)
	got := fmt.Sprint(w.list())
	if want := fmt.Sprintf("[l.b %d 2 2 %d l.a %d 1 0 0 ml.c %d 0 0 0]",
		begin.Add(time.Hour), begin.Add(time.Second), begin.Add(time.Minute), session.Never); got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
	w.want(w.remove(2, "l.b"), "ok")
	if got := w.store.List()[0]; string(got.Key) != "l.b" || got.Connection != 4 || got.Waiting != 1 {
		t.Errorf("then %+v", got)
	}
	w.pass(2 * time.Second)
	if times := w.store.Figures().Waited; times.Count != 2 || times.Sum != 2500*time.Millisecond {
		t.Errorf("%d waited for %v", times.Count, times.Sum)
	}
}

func (w *world) list() (all []any) {
	for _, h := range w.store.List() {
		all = append(all, string(h.Key), h.Expiry, h.Connection, h.Waiting, h.Since)
	}
	return all
}
