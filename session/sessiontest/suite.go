package sessiontest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/session"
)

// Clock is a clock that only the test moves. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now session.Time
}

// Epoch is where the suite's clocks begin: 2 January 2026, 00:00:00.500 UTC.
const Epoch session.Time = 1_767_312_000_500

// NewClock makes a clock that stands at Epoch.
func NewClock() *Clock { return &Clock{now: Epoch} }

// Now makes a Clock a session.Clock.
func (c *Clock) Now() session.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wall gives the same instant to a store that asks for the wall clock.
func (c *Clock) Wall() time.Time { return c.Now().Time() }

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An Instance is one store under test.
type Instance struct {
	Store session.Store

	// Clock stamps the bursts from the beginning on, if it is not the one that open was
	// given: that of a store which is as old as the tests before, and was emptied.
	Clock *Clock

	// MaxValueSize is the store's limit in bytes. A few KB make the suite
	// fast; it must be at least 1,000.
	MaxValueSize int

	// Slow says that each burst takes milliseconds: tests that repeat one thing, and random
	// ones, are a tenth as long.
	Slow bool

	// Reopen closes the store and opens it again on the same data. It is nil
	// if this kind of store cannot do that.
	Reopen func() session.Store

	// Close closes the store, if it can be closed. The suite calls it at the
	// end of each test, and Apply after it at the end of one.
	Close func() error
}

// An Opener opens an empty store. It reports what goes wrong to t. If the store
// needs a clock of its own, clock.Now or clock.Wall is it; the suite stamps
// bursts with it too.
type Opener func(t *testing.T, clock *Clock) *Instance

// Run is the conformance suite: it checks every rule of package session on
// stores that open makes, one for each test.
func Run(t *testing.T, open Opener) {
	for _, group := range []struct {
		name  string
		tests []suiteTest
	}{
		{"Store", storeTests}, {"Read", readTests}, {"Number", numberTests}, {"Version", versionTests},
		{"Delete", deleteTests}, {"Stale", staleTests}, {"Vivify", vivifyTests}, {"Expiry", expiryTests},
		{"Flush", flushTests}, {"Burst", burstTests}, {"Limit", limitTests}, {"Reopen", reopenTests},
		{"Completion", completionTests}, {"Concurrency", concurrencyTests}, {"Random", randomTests},
		{"Observe", observeTests}, {"Owner", ownerTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) { test.run(newFixture(t, open)) })
			}
		})
	}
}

type suiteTest struct {
	name string
	run  func(f *fixture)
}

// fixture is what every test of the suite works with.
type fixture struct {
	*testing.T
	*Instance
	clock *Clock

	told *Recorder // by the store; nil: nobody asked
}

func newFixture(t *testing.T, open Opener) *fixture {
	clock := NewClock()
	f := &fixture{T: t, Instance: open(t, clock), clock: clock}
	if f.Clock != nil {
		f.clock = f.Clock
	}
	t.Cleanup(func() {
		if f.Close != nil {
			if err := f.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
	return f
}

// rounds is how often to do something that is done n times where the store is not slow.
func (f *fixture) rounds(n int) int {
	if f.Slow {
		return (n + 9) / 10
	}
	return n
}

// do carries out commands as one burst stamped with the clock's instant.
func (f *fixture) do(commands ...session.Command) []session.Result {
	f.Helper()
	b := &session.Burst{Now: f.clock.Now(), Commands: commands}
	session.Do(f.Store, b)
	if len(b.Results) != len(commands) {
		f.Fatalf("%d results for %d commands", len(b.Results), len(commands))
	}
	for i := range b.Results {
		checkShape(f.T, &commands[i], &b.Results[i])
	}
	return b.Results
}

// one carries out a burst of one command.
func (f *fixture) one(c session.Command) session.Result {
	f.Helper()
	return f.do(c)[0]
}

// checkShape checks what holds for every result, whatever the command.
func checkShape(t *testing.T, c *session.Command, r *session.Result) {
	t.Helper()
	if (r.Err != nil) != (r.Status == session.Failed) {
		t.Errorf("%s: status %d with error %v", Describe(c), r.Status, r.Err)
	}
	bare := r.Item.Key == nil && r.Item.Value == nil && r.Item.Version == 0 && r.Item.Expiry == 0 && r.Item.Flags == 0
	switch {
	case r.Status == session.NotStored && c.Op == session.OpAdd:
	case r.Status != session.OK || c.Op == session.OpFlush:
		if !bare || r.Won || r.Created {
			t.Errorf("%s: status %d with %+v", Describe(c), r.Status, r)
		}
	case !bytes.Equal(r.Item.Key, c.Key) || &r.Item.Key[0] != &c.Key[0]:
		t.Errorf("%s: the result's key is not the command's", Describe(c))
	case r.Item.Version == 0:
		t.Errorf("%s: version 0", Describe(c))
	case len(r.Item.Value) > 0 && c.Op != session.OpGet && c.Op != session.OpIncr && c.Op != session.OpDecr:
		t.Errorf("%s: the result has a value", Describe(c))
	}
}

// in returns the instant d after the clock's.
func (f *fixture) in(d time.Duration) session.Time { return f.clock.Now().Add(d) }

func (f *fixture) set(key, value string) session.Item {
	f.Helper()
	return f.mustOK(set(key, value, f.in(time.Hour))).Item
}

func (f *fixture) mustOK(c session.Command) session.Result {
	f.Helper()
	return f.want(session.OK, c)
}

// want carries out c and checks its status.
func (f *fixture) want(status session.Status, c session.Command) session.Result {
	f.Helper()
	r := f.one(c)
	if r.Status != status {
		f.Errorf("%s: status %d (error %v), want %d", Describe(&c), r.Status, r.Err, status)
	}
	return r
}

// wantItem checks that key holds an item that looks like want in all but
// Fetched and LastAccess; a Version of 0 stands for any.
func (f *fixture) wantItem(want session.Item) session.Item {
	f.Helper()
	r := f.one(peek(string(want.Key)))
	if r.Status != session.OK {
		f.Errorf("get %s: status %d (error %v)", want.Key, r.Status, r.Err)
		return r.Item
	}
	sameItem(f.T, r.Item, want)
	return r.Item
}

func sameItem(t *testing.T, got, want session.Item) {
	t.Helper()
	if want.Version == 0 {
		want.Version = got.Version
	}
	if !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) || got.Flags != want.Flags ||
		got.Expiry != want.Expiry || got.Stale != want.Stale || got.Claimed != want.Claimed || got.Version != want.Version {
		t.Errorf("item\n\t%+v, want\n\t%+v", got, want)
	}
}

// wantValue checks the value under key.
func (f *fixture) wantValue(key, want string) {
	f.Helper()
	if r := f.mustOK(peek(key)); string(r.Item.Value) != want {
		f.Errorf("value of %s is %s, want %s", key, abridged(r.Item.Value), abridged([]byte(want)))
	}
}

// wantAbsent checks that there is nothing under the keys.
func (f *fixture) wantAbsent(keys ...string) {
	f.Helper()
	for _, key := range keys {
		f.want(session.NotFound, peek(key))
	}
}

func command(op session.Op, key string) session.Command {
	return session.Command{Op: op, Key: []byte(key)}
}

func get(key string) session.Command { return command(session.OpGet, key) }

func peek(key string) session.Command {
	return session.Command{Op: session.OpGet, Mods: session.Peek, Key: []byte(key)}
}

func store(op session.Op, key, value string, expiry session.Time) session.Command {
	return session.Command{Op: op, Key: []byte(key), Value: []byte(value), Expiry: expiry}
}

func set(key, value string, expiry session.Time) session.Command {
	return store(session.OpSet, key, value, expiry)
}

// mod adds mods to a command.
func mod(c session.Command, mods session.Mods) session.Command {
	c.Mods |= mods
	return c
}

// cas makes a command conditional on a version.
func cas(c session.Command, version uint64) session.Command {
	c.Mods |= session.IfVersion
	c.CAS = version
	return c
}

// repeat returns a value of n bytes.
func repeat(n int) string { return strings.Repeat("v", n) }
