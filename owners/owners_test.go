package owners

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/policy"
	"cairn/session"
	"cairn/session/memory"
	"cairn/session/sessiontest"
)

// world is a Directory on a store in memory, behind rules.
type world struct {
	t     *testing.T
	dir   string
	rules *policy.Rules
	clock *sessiontest.Clock
	*Directory

	*memory.Store

	mu     sync.Mutex
	before func(b *session.Burst) // called before a burst is carried out
	pauses int
}

func newWorld(t *testing.T, rules string) *world {
	w := &world{t: t, dir: t.TempDir(), Store: memory.New(0), clock: sessiontest.NewClock()}
	w.write(rules)
	var err error
	if w.rules, err = policy.Open(nil, filepath.Join(w.dir, "rules.yaml")); err != nil {
		t.Fatal(err)
	}
	w.Directory = New(Options{Store: w, Rules: w.rules, Dir: w.dir, Wait: func(context.Context, time.Duration) { w.pauses++ }})
	return w
}

func (w *world) write(rules string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) Now() session.Time { return w.clock.Now() }

func (w *world) Apply(b *session.Burst, to session.Completer) {
	w.rules.Admit(b)
	w.mu.Lock()
	before := w.before
	w.mu.Unlock()
	if before != nil {
		before(b)
	}
	w.Store.Apply(b, to)
}

func (w *world) Scan(ctx context.Context, prefix, after []byte, fn func(*session.Item) bool) error {
	for _, it := range w.Items(w.Now()) {
		if bytes.HasPrefix(it.Key, prefix) && (after == nil || bytes.Compare(it.Key, after) > 0) && !fn(&it) {
			break
		}
	}
	return ctx.Err()
}

// put stores a session of somebody, "" for nobody.
func (w *world) put(key, owner string) {
	w.t.Helper()
	value := `{"cart":1}`
	if owner != "" {
		value = fmt.Sprintf(`{"uid":%q}`, owner)
	}
	w.do(session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: w.Now().Add(time.Hour)})
}

func (w *world) do(c session.Command) session.Status {
	b := &session.Burst{Now: w.Now(), Commands: []session.Command{c}}
	session.Do(w, b)
	return b.Results[0].Status
}

// keys are those of all sessions.
func (w *world) keys() string {
	var all []string
	for _, it := range w.Items(w.Now()) {
		all = append(all, string(it.Key))
	}
	return strings.Join(all, " ")
}

func (w *world) keysOf(id string) string {
	var all []string
	if err := w.Sessions(context.Background(), []byte(id), nil, false, func(it *session.Item) bool {
		all = append(all, string(it.Key))
		return true
	}); err != nil {
		w.t.Error(err)
	}
	return strings.Join(all, " ")
}

const plainRules = `rules: [{name: app, prefix: "s:", owner: "json: uid"}]`

func TestKick(t *testing.T) {
	w := newWorld(t, plainRules)
	for _, s := range []string{"s:1 ann", "s:2 ann", "s:3 bob", "s:4 ann", "s:5 "} {
		key, owner, _ := strings.Cut(s, " ")
		w.put(key, owner)
	}
	kick := func(k Kick, want Kicked, left string) {
		t.Helper()
		if got, err := w.Kick(context.Background(), k); err != nil || got != want {
			t.Errorf("%+v, error %v, want %+v", got, err, want)
		}
		if keys := w.keys(); keys != left {
			t.Errorf("%q are left, want %q", keys, left)
		}
	}
	kick(Kick{Owner: []byte("ann"), DryRun: true}, Kicked{Matched: 3}, "s:1 s:2 s:3 s:4 s:5")
	kick(Kick{Owner: []byte("ann"), Except: []byte("s:2")}, Kicked{Matched: 2, Deleted: 2}, "s:2 s:3 s:5")
	kick(Kick{Owner: []byte("nobody")}, Kicked{}, "s:2 s:3 s:5")
	w.put("s:6", "ann")
	if done, found, err := w.KickOthers(context.Background(), []byte("s:6"), nil); err != nil || !found || done.Deleted != 1 {
		t.Errorf("%+v, %t, error %v", done, found, err)
	}
	for _, key := range []string{"s:5", "s:7"} {
		if done, found, err := w.KickOthers(context.Background(), []byte(key), nil); err != nil || found || done.Deleted != 0 {
			t.Errorf("%s: %+v, %t, error %v", key, done, found, err)
		}
	}
	kick(Kick{Owner: []byte("ann")}, Kicked{Matched: 1, Deleted: 1}, "s:3 s:5")
}

// What a request stores while a kick is under way ends too if its session had begun;
// one that begins later stays.
func TestKickLooksAgain(t *testing.T) {
	w := newWorld(t, plainRules)
	w.put("s:1", "ann")
	rounds := 0
	w.before = func(b *session.Burst) {
		if b.Commands[0].Op != session.OpDelete {
			return
		}
		switch rounds++; rounds {
		case 1: // in the same instant: may have begun before
			w.put("s:2", "ann")
		case 2:
			w.clock.Advance(time.Millisecond)
			w.put("s:3", "ann")
		}
	}
	if got, err := w.Kick(context.Background(), Kick{Owner: []byte("ann")}); err != nil || got.Deleted != 2 || w.keys() != "s:3" {
		t.Errorf("%+v, error %v, left %q", got, err, w.keys())
	}
}

// undoer is an Undo that remembers what it was asked for.
type undoer []string

func (u *undoer) Before(_ context.Context, reason string, _ session.Origin) (string, func()) {
	*u = append(*u, reason)
	return "undo-1", func() { *u = append(*u, "done") }
}

func TestKickOfManyCanBeUndone(t *testing.T) {
	w := newWorld(t, plainRules)
	u := new(undoer)
	w.Directory.options.Undo = u
	for i := range Many + 1 {
		w.put(fmt.Sprintf("s:a%d", i), "ann")
		if i > 0 {
			w.put(fmt.Sprintf("s:b%d", i), "bob")
		}
	}
	if got, err := w.Kick(context.Background(), Kick{Owner: []byte("bob")}); err != nil || got.Undo != "" || got.Deleted != Many {
		t.Errorf("%+v, error %v", got, err)
	}
	if got, err := w.Kick(context.Background(), Kick{Owner: []byte("ann")}); err != nil || got.Undo != "undo-1" || got.Deleted != Many+1 {
		t.Errorf("%+v, error %v", got, err)
	}
	if !slices.Equal(*u, undoer{`end 101 sessions of "ann"`, "done"}) {
		t.Errorf("asked for %q", *u)
	}
}

// An owner is found by the id and by the hash, whichever rule has hashed it.
func TestHashedOwners(t *testing.T) {
	w := newWorld(t, plainRules)
	if err := os.WriteFile(filepath.Join(w.dir, "secret"), []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.write(`rules: [{name: app, prefix: "s:", owner: "json: uid"}, {name: h, prefix: "h:", owner: "json: uid", owner-hash: secret}]`)
	if err := w.rules.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"s:1", "h:2", "s:3", "h:4"} {
		w.put(key, "ann")
	}
	if keys := w.keysOf("ann"); keys != "h:2 h:4 s:1 s:3" {
		t.Errorf("ann has %q", keys)
	}
	hash := string(w.rules.Set().OwnerForms([]byte("ann"))[1])
	if keys := w.keysOf(hash); keys != "h:2 h:4" {
		t.Errorf("%s has %q", hash, keys)
	}
	for _, it := range w.Items(w.Now()) {
		if it.Key[0] == 'h' && string(it.Owner) != hash {
			t.Errorf("%s is of %q", it.Key, it.Owner)
		}
	}
	if got, err := w.Kick(context.Background(), Kick{Owner: []byte("ann")}); err != nil || got.Deleted != 4 {
		t.Errorf("%+v, error %v", got, err)
	}
}

// A login more than the rule allows ends the session that was not used for longest, of
// that rule only.
func TestLimit(t *testing.T) {
	w := newWorld(t, `rules: [{name: app, prefix: "s:", owner: "json: uid", max-per-owner: 2}, {name: other, prefix: "o:", owner: "json: uid"}]`)
	w.Directory.mu.Lock()
	w.observe()
	w.Directory.mu.Unlock()
	settle := func() {
		for _, one := range w.limits.take() {
			if err := w.keepTo(context.Background(), one); err != nil {
				t.Error(err)
			}
		}
	}
	for _, key := range []string{"s:1", "s:2", "o:1", "o:2", "o:3"} {
		w.put(key, "ann")
		w.clock.Advance(time.Second)
	}
	w.do(session.Command{Op: session.OpGet, Key: []byte("s:1")})
	w.clock.Advance(time.Second)
	settle()
	if keys := w.keys(); keys != "o:1 o:2 o:3 s:1 s:2" {
		t.Errorf("left %q", keys)
	}
	w.put("s:3", "ann")
	settle()
	if keys := w.keysOf("ann"); keys != "o:1 o:2 o:3 s:1 s:3" {
		t.Errorf("left %q", keys)
	}
	w.put("s:4", "")
	w.put("s:4", "ann") // a login under the same key
	w.put("s:5", "bob")
	settle()
	if keys := w.keys(); keys != "o:1 o:2 o:3 s:3 s:4 s:5" {
		t.Errorf("left %q", keys)
	}
	if f := w.Figures(); f.Limited != 2 || f.FiveMinutes != 2 {
		t.Errorf("figures %+v", f)
	}
	w.put("s:3", "ann") // is nobody's login
	if len(w.limits.take()) != 0 {
		t.Error("a rewrite makes the limiter look")
	}
}

// The limiter works by itself, under logins from several connections at once.
func TestLimitUnderConcurrentLogins(t *testing.T) {
	w := newWorld(t, `rules: [{name: app, prefix: "s:", owner: "json: uid", max-per-owner: 3}]`)
	ended := make(chan struct{}, 1<<10)
	w.before = func(b *session.Burst) {
		if b.Origin == limiter {
			for range b.Commands {
				ended <- struct{}{}
			}
		}
	}
	w.Start()
	defer w.Stop()
	var logins sync.WaitGroup
	for i := range 8 {
		logins.Go(func() {
			for j := range 25 {
				w.put(fmt.Sprintf("s:%d-%d", i, j), "ann")
			}
		})
	}
	logins.Wait()
	for range 8*25 - 3 {
		<-ended
	}
	w.Stop() // what is under way is over
	if n := len(w.Items(w.Now())); n != 3 {
		t.Errorf("%d sessions are left, want 3", n)
	}
}

func TestActive(t *testing.T) {
	clock := sessiontest.NewClock()
	a := newActive()
	for i := range 20_000 {
		a.see(fmt.Appendf(nil, "user%d", i), clock.Now())
		a.see(fmt.Appendf(nil, "user%d", i), clock.Now())
	}
	within := func(what string, got uint64, want float64) {
		t.Helper()
		if float64(got) < want*0.96 || float64(got) > want*1.04 {
			t.Errorf("%s: %d, want about %.0f", what, got, want)
		}
	}
	fiveMinutes, hour := a.count(clock.Now())
	within("at once", fiveMinutes, 20_000)
	within("at once, in the hour", hour, 20_000)
	clock.Advance(6 * time.Minute)
	for i := range 5_000 {
		a.see(fmt.Appendf(nil, "user%d", 18_000+i), clock.Now())
	}
	fiveMinutes, hour = a.count(clock.Now())
	within("five minutes", fiveMinutes, 5_000)
	within("an hour", hour, 23_000)
	clock.Advance(55 * time.Minute)
	fiveMinutes, hour = a.count(clock.Now())
	within("an hour later", hour, 5_000)
	if fiveMinutes != 0 {
		t.Errorf("%d in five minutes, after an hour", fiveMinutes)
	}
	clock.Advance(2 * time.Hour)
	if _, hour := a.count(clock.Now()); hour != 0 {
		t.Errorf("%d after two hours", hour)
	}
}

// Sessions from before a rule get their owners, and lose them with it; neither value,
// version nor expiry changes, and what the application has invalidated stays that way.
func TestUpdate(t *testing.T) {
	w := newWorld(t, `rules: []`)
	for i := range 250 {
		w.put(fmt.Sprintf("s:%03d", i), fmt.Sprint("user", i%10))
	}
	w.put("x:1", "user1")
	w.put("s:stale", "user1")
	w.do(session.Command{Op: session.OpDelete, Mods: session.Invalidate, Key: []byte("s:stale")})
	before := w.Items(w.Now())
	if err := w.update(context.Background()); err != nil || !w.Complete() || w.keysOf("user1") != "" {
		t.Errorf("without rules: complete %t, error %v, %q", w.Complete(), err, w.keysOf("user1"))
	}
	w.write(plainRules)
	if err := w.rules.Reload(); err != nil {
		t.Fatal(err)
	}
	if w.isUpToDate() {
		t.Error("the new rule is taken for the old ones")
	}
	w.pauses = 0
	if err := w.update(context.Background()); err != nil || !w.Complete() || !w.isUpToDate() {
		t.Errorf("complete %t, error %v", w.Complete(), err)
	}
	if w.pauses != 2 {
		t.Errorf("%d pauses, want one for each 100 sessions", w.pauses)
	}
	if keys := strings.Fields(w.keysOf("user1")); len(keys) != 25 {
		t.Errorf("user1 has %q", keys)
	}
	for i, it := range w.Items(w.Now()) {
		if old := before[i]; it.Version != old.Version || it.Expiry != old.Expiry || !bytes.Equal(it.Value, old.Value) || it.Stale != old.Stale {
			t.Errorf("%+v has become %+v", old, it)
		}
	}
	if f := w.Figures(); f.Updated != 250 {
		t.Errorf("%d sessions updated", f.Updated)
	}
	if err := w.update(context.Background()); err != nil || w.Figures().Updated != 250 {
		t.Error("what is up to date was looked at again")
	}
	w.write(`rules: []`)
	if err := w.rules.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := w.update(context.Background()); err != nil || w.keysOf("user1") != "" || !w.isUpToDate() {
		t.Errorf("error %v, %q", err, w.keysOf("user1"))
	}
}

// A session that its application stores while owners are brought up to date keeps what
// the application stored.
func TestUpdateGivesWay(t *testing.T) {
	w := newWorld(t, `rules: []`)
	w.put("s:1", "ann")
	w.write(plainRules)
	if err := w.rules.Reload(); err != nil {
		t.Fatal(err)
	}
	w.before = func(b *session.Burst) {
		if b.Origin == keeper {
			w.put("s:1", "bob")
		}
	}
	if err := w.update(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w.keysOf("ann") != "" || w.keysOf("bob") != "s:1" {
		t.Errorf("ann has %q, bob %q", w.keysOf("ann"), w.keysOf("bob"))
	}
}
