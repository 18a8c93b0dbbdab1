package torture

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine"
	"cairn/session"
	"cairn/session/sessiontest"
)

// jumpyClock is a wall clock that can be set, and the time that really passes.
type jumpyClock struct {
	mu      sync.Mutex
	offset  time.Duration // of the wall clock
	elapsed time.Duration
}

func (c *jumpyClock) wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sessiontest.Epoch.Time().Add(c.elapsed + c.offset)
}

func (c *jumpyClock) passed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

func (c *jumpyClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed += d
}

func (c *jumpyClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// TestWallClockJumps sets the wall clock back and forth by hours and weeks,
// while the store runs and while it is down, and compares with the model: no
// session dies before its time has passed, none comes back, and the store's
// clock never runs backwards nor, while it runs, much faster than time passes.
func TestWallClockJumps(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	clock := new(jumpyClock)
	disk := vfs.NewCrashableMem()
	l := sessiontest.NewLockstep(rng.Uint64(), 4096)
	open := func() *engine.Store {
		store, err := engine.Open(engine.Options{
			Dir: "data", FS: disk, Wall: clock.wall, Elapsed: clock.passed, DropEvery: -1, MemtableBytes: 64 << 10,
			HotBytes: 64 << 10, MaxValueSize: 4096, Logger: slog.New(slog.DiscardHandler),
			Fatal: func(err error) { panic(err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	jump := func() {
		clock.jump(pick(rng, time.Duration(-1), 1) * time.Duration(rng.Int64N(int64(pick(rng, time.Minute, 5*time.Hour, 30*24*time.Hour)))))
	}
	store := open()
	jumps, restarts := 0, 0
	for range rounds(150, 30_000) {
		before, passed := store.Now(), time.Duration(rng.Int64N(int64(pick(rng, time.Second, time.Minute, time.Hour))))
		if rng.IntN(5) == 0 {
			jumps++
			jump()
		}
		clock.pass(passed)
		store.Tick(context.Background())
		if now := store.Now(); now.Sub(before) < passed.Truncate(time.Millisecond)-time.Millisecond || now.Sub(before) > passed+passed/50+time.Second {
			t.Fatalf("the store's clock advanced by %v while %v passed", now.Sub(before), passed)
		}
		if err := l.Step(store, store.Now(), 1+rng.IntN(8)); err != nil {
			t.Fatal(err)
		}
		if err := store.DropExpired(context.Background()); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(10) > 0 {
			continue
		}
		restarts++
		store.Tick(context.Background()) // marks the clock: the crash comes between two of them
		latest := store.Now()
		disk2 := disk.CrashClone(vfs.CrashCloneCfg{})
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 {
			disk = disk2 // it crashed instead
		}
		jump()
		if store = open(); store.Now() < latest {
			t.Fatalf("the store's clock went from %d to %d over a restart", latest, store.Now())
		}
		if err := l.Verify(store, l.Model, store.Now()); err != nil {
			t.Fatalf("after a restart: %v", err)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	figures(t, "%d jumps while running, %d restarts with another time", jumps, restarts)
}

// TestBootWithWrongClock starts stores on a machine whose clock begins in 1970, or
// years too early, and which learns the time later: sessions neither die with
// the leap nor come back, and the next start has the right time.
func TestBootWithWrongClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{
		"1970":      -sessiontest.Epoch.Time().Sub(time.Unix(0, 0)),
		"years ago": -5 * 365 * 24 * time.Hour,
		"an hour":   -time.Hour,
	} {
		for _, fresh := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, fresh %t", name, fresh), func(t *testing.T) { bootWithWrongClock(t, off, fresh) })
		}
	}
}

func bootWithWrongClock(t *testing.T, off time.Duration, fresh bool) {
	clock, disk := new(jumpyClock), vfs.NewMem()
	open := func() *engine.Store {
		store, err := engine.Open(engine.Options{
			Dir: "data", FS: disk, Wall: clock.wall, Elapsed: clock.passed, DropEvery: -1, Logger: slog.New(slog.DiscardHandler),
		})
		must(t, err)
		return store
	}
	do := func(store *engine.Store, want session.Status, op session.Op, key string, ttl time.Duration) {
		t.Helper()
		b := &session.Burst{Now: store.Now()}
		*b.Add() = session.Command{Op: op, Key: []byte(key), Value: []byte("v"), Expiry: b.Now.Add(ttl)}
		if session.Do(store, b); b.Results[0].Status != want {
			t.Errorf("%d of %q: status %d, want %d", op, key, b.Results[0].Status, want)
		}
	}
	pass := func(store *engine.Store, d time.Duration) {
		t.Helper()
		for ; d > 0; d -= time.Minute {
			clock.pass(time.Minute)
			store.Tick(context.Background())
			must(t, store.DropExpired(context.Background()))
		}
	}
	if !fresh {
		store := open()
		do(store, session.OK, session.OpSet, "before", 2*time.Hour)
		do(store, session.OK, session.OpSet, "dead", time.Minute)
		pass(store, 10*time.Minute)
		do(store, session.NotFound, session.OpGet, "dead", 0)
		must(t, store.Close())
	}
	clock.jump(off)
	store := open()
	do(store, session.NotFound, session.OpGet, "dead", 0)
	do(store, session.OK, session.OpSet, "k", time.Hour)
	do(store, session.OK, session.OpSet, "short", time.Minute)
	pass(store, 5*time.Minute)
	do(store, session.NotFound, session.OpGet, "short", 0)
	clock.jump(-off) // the time has been learned
	pass(store, 40*time.Minute)
	do(store, session.OK, session.OpGet, "k", 0)
	do(store, session.NotFound, session.OpGet, "short", 0)
	if !fresh {
		do(store, session.OK, session.OpGet, "before", 0)
		do(store, session.NotFound, session.OpGet, "dead", 0)
	}
	pass(store, 30*time.Minute)
	do(store, session.NotFound, session.OpGet, "k", 0)
	must(t, store.Close())
	store = open()
	defer store.Close()
	if now, wall := store.Now(), session.FromTime(clock.wall()); now < wall {
		t.Errorf("the next start has the time %d, it is %d", now, wall)
	}
	do(store, session.NotFound, session.OpGet, "k", 0)
}

// TestServerClockJumps sets the clock of a running server forwards and back, and
// kills and restarts it in between, with three dialects connected: sessions live
// as long as real time says, and a restart with a clock that is late brings
// nothing back.
func TestServerClockJumps(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	s := newServer(t)
	shift := filepath.Join(filepath.Dir(s.dir), "shift")
	set := func(d time.Duration) {
		must(t, os.WriteFile(shift+".new", []byte(d.String()), 0o600))
		must(t, os.Rename(shift+".new", shift))
	}
	set(0)
	s.env = append(s.env, "CAIRN_CLOCK_SHIFT="+shift)
	s.start()

	// Clients ask for what relates to the moment of the request, as sessions do, so
	// that the server's clock alone decides what that means.
	const lifetime = 3600
	type stored struct {
		key []byte
		at  time.Time
	}
	var alive []stored
	var dead [][]byte
	most := time.Duration(0) // by which the clock has been ahead at a start
	jumps, restarts := 0, 0
	check := func() {
		t.Helper()
		c := s.mustConnect(meta{})
		for _, a := range alive {
			got := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: a.key})
			left := lifetime - int64(time.Since(a.at)/time.Second)
			// A start whose clock is late cannot know how long the server was down, nor
			// when in the last second it ended.
			ahead, unknown := int64(most/time.Second), int64(2*restarts)
			if got.ttl > left+unknown+5 || got.ttl < left-ahead-5 {
				t.Fatalf("%s has %d s to live, of %d s", a.key, got.ttl, left)
			}
		}
		for _, key := range dead {
			c.mustDo(t, session.NotFound, session.Command{Op: session.OpGet, Key: key})
		}
	}
	for n := range rounds(12, 400) {
		jumps++
		// Forwards only as far as nothing dies of a restart with the wrong time.
		d := time.Duration(rng.Int64N(int64(20 * time.Minute)))
		if rng.IntN(2) == 0 {
			d = -time.Duration(rng.Int64N(int64(30 * 24 * time.Hour)))
		}
		set(d)
		if rng.IntN(3) == 0 {
			restarts++
			most = max(most, d)
			s.kill()
			s.start()
		}
		c := s.mustConnect(dialects[n%len(dialects)])
		key, gone := fmt.Appendf(nil, "alive-%d", n), fmt.Appendf(nil, "gone-%d", n)
		for _, key := range [][]byte{key, gone} {
			// As of 1970 an expiry of one hour is a small number, which means from now on.
			set := []session.Command{{Op: session.OpSet, Key: key, Value: key, Expiry: session.FromUnix(lifetime)}}
			if answers, err := c.do(set, 0); err != nil || answers[0].status != session.OK {
				t.Fatalf("set %s: %v, %v", key, answers, err)
			}
		}
		alive = append(alive, stored{key, time.Now()})
		c.mustDo(t, session.OK, session.Command{Op: session.OpDelete, Key: gone})
		dead = append(dead, gone)
		check()
	}
	figures(t, "%d jumps of a running server's clock, %d kills", jumps, restarts)
}

// TestSuspendedProcess stops the process for a while: what died meanwhile is
// dead when it wakes, the rest is not.
func TestSuspendedProcess(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	c := s.mustConnect(meta{})
	now := wallNow()
	short, far := session.FromUnix(now.Unix()+2), session.FromUnix(now.Unix()+3600)
	c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("short"), Value: []byte("v"), Expiry: short})
	c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("far"), Value: []byte("v"), Expiry: far})
	s.signal(syscall.SIGSTOP)
	time.Sleep(3500 * time.Millisecond) // what is tested is that real time passes
	s.signal(syscall.SIGCONT)
	c.mustDo(t, session.NotFound, session.Command{Op: session.OpGet, Key: []byte("short")})
	if a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: []byte("far")}); !closeTTL(a.ttl, far, wallNow()) {
		t.Errorf("ttl %d", a.ttl)
	}
}

// TestFarExpiries stores what expires at the end of what each protocol can say,
// 2038 in text and meta and 2106 in binary, over kills. What is beyond it in text
// is a negative number of 32 bits for memcached, a time in the past, and refused in
// meta.
func TestFarExpiries(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	kept := []int64{1<<31 - 1}
	past := []int64{1 << 31, 1<<31 + 86_400, 1<<32 - 1}
	for _, far := range []struct {
		dialect
		kept, past []int64
	}{
		{text{}, kept, past},
		{meta{}, kept, nil}, // which refuses what 31 bits do not hold
		{binary{}, slices.Concat(kept, past), nil},
	} {
		s.storeFar(t, far.dialect, slices.Concat(far.kept, far.past))
		for range 2 {
			c := s.mustConnect(meta{})
			for _, at := range far.kept {
				a := c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: farKey(far, at)})
				if !closeTTL(a.ttl, session.FromUnix(at), wallNow()) {
					t.Errorf("%s: expiry %d has a ttl of %d s", far.name(), at, a.ttl)
				}
			}
			for _, at := range far.past {
				c.mustDo(t, session.NotFound, session.Command{Op: session.OpGet, Key: farKey(far, at)})
			}
			s.kill()
			s.start()
		}
	}
}

func farKey(d dialect, at int64) []byte { return fmt.Appendf(nil, "%s%d", d.name(), at) }

// storeFar stores a session for each of the expiries, in Unix seconds.
func (s *server) storeFar(t *testing.T, d dialect, expiries []int64) {
	t.Helper()
	c := s.mustConnect(d)
	for _, at := range expiries {
		c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: farKey(d, at), Value: []byte("v"), Expiry: session.FromUnix(at)})
	}
}

// TestPendingFlushSurvivesKill kills a server that is to be flushed soon.
func TestPendingFlushSurvivesKill(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{true, false} { // whether it falls due while the server is down
		s := newServer(t)
		s.start()
		c := s.mustConnect(text{})
		c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("before"), Value: []byte("v"), Expiry: session.Never})
		if _, err := c.conn.Write([]byte("flush_all 2\r\n")); err != nil {
			t.Fatal(err)
		}
		if line, err := readLine(c.r); err != nil || line != "OK" {
			t.Fatal(line, err)
		}
		c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("meanwhile"), Value: []byte("v"), Expiry: session.Never})
		s.kill()
		if late {
			time.Sleep(2500 * time.Millisecond)
		}
		s.start()
		c = s.mustConnect(text{})
		if !late {
			time.Sleep(2500 * time.Millisecond)
		}
		c.mustDo(t, session.NotFound, session.Command{Op: session.OpGet, Key: []byte("before")})
		c.mustDo(t, session.NotFound, session.Command{Op: session.OpGet, Key: []byte("meanwhile")})
		c.mustDo(t, session.OK, session.Command{Op: session.OpSet, Key: []byte("after"), Value: []byte("v"), Expiry: session.Never})
		s.kill()
		s.start()
		c = s.mustConnect(text{})
		c.mustDo(t, session.OK, session.Command{Op: session.OpGet, Key: []byte("after")})
		c.mustDo(t, session.NotFound, session.Command{Op: session.OpGet, Key: []byte("before")})
	}
}
