package auth

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/bubble"
	"cairn/origin"
)

var (
	here  = host(1)
	there = host(2)
)

// timed runs one check and says how long it took on the bubble's clock.
func timed(g *Guard, o origin.Origin, user, password string) (bool, time.Duration) {
	start := time.Now()
	_, right := g.Check(context.Background(), o, []byte(user), []byte(password))
	return right, time.Since(start)
}

// expect runs a check that must come out like that.
func expect(t *testing.T, g *Guard, o origin.Origin, user, password string, right bool, took time.Duration) {
	t.Helper()
	if gotRight, gotTook := timed(g, o, user, password); gotRight != right || gotTook != took {
		t.Errorf("%v %s:%s = %v after %v, want %v after %v", o, user, password, gotRight, gotTook, right, took)
	}
}

// flood makes so many guesses side by side, one after another each, until the
// function returned is called. It returns when all are under way.
func flood(t *testing.T, guesses int, from func(i int) origin.Origin, g *Guard, user func() string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range guesses {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				g.Check(ctx, from(i), []byte(user()), []byte("guess "+strconv.Itoa(i)+" "+strconv.Itoa(n)))
			}
		})
	}
	synctest.Wait()
	return func() {
		cancel()
		wg.Wait()
	}
}

func always[T any](v T) func() T { return func() T { return v } }

func fromOne(o origin.Origin) func(int) origin.Origin { return func(int) origin.Origin { return o } }

func TestGuardDelaysFailuresAndForgivesThem(t *testing.T) {
	f := openUsers(t, "alice:secret\nbob:secret")
	bubble.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		for _, delay := range []int{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			expect(t, g, here, "alice", "wrong", false, time.Duration(delay)*time.Millisecond)
		}
		expect(t, g, there, "alice", "secret", true, 0)
		expect(t, g, here, "bob", "secret", true, 0)
		expect(t, g, here, "alice", "secret", true, 0)
		time.Sleep(forgetAfter)
		expect(t, g, here, "alice", "wrong", false, 100*time.Millisecond)
	})
}

// TestFailuresTellNothingOfUsers compares what it takes to fail as somebody and
// as nobody, also where a hash takes long and where the user is under attack.
func TestFailuresTellNothingOfUsers(t *testing.T) {
	f := openUsers(t, "alice:secret")
	f.users.Load().beat = always(600 * time.Millisecond)
	bubble.Test(t, func(t *testing.T) {
		var took [2][]time.Duration
		for i, user := range []string{"alice", "nobody"} {
			g := NewGuard(f, nil)
			for n := range 20 {
				_, d := timed(g, here, user, "wrong"+strconv.Itoa(n))
				took[i] = append(took[i], d)
			}
			stop := flood(t, 40, func(i int) origin.Origin { return host(100 + i) }, g, always(user))
			_, d := timed(g, there, user, "wrong")
			took[i] = append(took[i], d)
			stop()
		}
		for n := range took[0] {
			if took[0][n] != took[1][n] {
				t.Errorf("failure %d of somebody took %v, of nobody %v", n, took[0][n], took[1][n])
			}
		}
	})
}

// TestRandomNamesCostNothing lets 500 connections try names that do not exist.
func TestRandomNamesCostNothing(t *testing.T) {
	f := openUsers(t, "alice:"+hashOf(t, "secret"))
	f.users.Load().beat = always(time.Duration(0))
	bubble.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		var mu sync.Mutex
		n := 0
		stop := flood(t, 500, fromOne(here), g, func() string {
			mu.Lock()
			defer mu.Unlock()
			n++
			return "mallory" + strconv.Itoa(n)
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, g, here, "alice", "secret", true, 0)
		stop()
		if n := g.compared.Load(); n != 1 {
			t.Errorf("%d hashes were computed", n)
		}
		if n := len(g.strangers); n > 257 {
			t.Errorf("%d users are remembered", n)
		}
	})
}

// TestGuessesAreBoundedByUser counts the passwords that are looked at while 900
// connections guess at one user for a minute.
func TestGuessesAreBoundedByUser(t *testing.T) {
	for name, from := range map[string]func(int) origin.Origin{"one origin": fromOne(there), "many origins": func(i int) origin.Origin { return host(i + 10) }} {
		t.Run(name, func(t *testing.T) {
			f := openUsers(t, "alice:secret\nbob:secret")
			bubble.Test(t, func(t *testing.T) {
				g := NewGuard(f, nil)
				expect(t, g, here, "alice", "secret", true, 0)
				before := g.compared.Load()
				stop := flood(t, 250, from, g, always("alice"))
				time.Sleep(time.Minute)
				if n := g.compared.Load() - before; n < 30 || n > strangerBurst+61 {
					t.Errorf("%d passwords were looked at in a minute", n)
				}
				// Who has logged in from there before is not slowed, whatever
				// the password; nor are others.
				if _, ok := g.Recall(here, []byte("alice"), []byte("secret")); !ok {
					t.Error("not recalled")
				}
				writeUsers(t, f.path, "alice:new\nbob:secret")
				if err := g.Reload(); err != nil {
					t.Error(err)
				}
				expect(t, g, here, "alice", "new", true, 0)
				expect(t, g, there, "bob", "secret", true, 0)
				stop()
			})
		})
	}
}

// TestAFloodFromOneOriginLetsOthersIn lets a user log in for the first time from
// an origin of its own.
func TestAFloodFromOneOriginLetsOthersIn(t *testing.T) {
	f := openUsers(t, "alice:secret")
	bubble.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		stop := flood(t, 250, fromOne(there), g, always("alice"))
		time.Sleep(time.Minute)
		if right, took := timed(g, here, "alice", "secret"); !right || took > 2*strangerInterval {
			t.Errorf("%v after %v", right, took)
		}
		stop()
	})
}

// TestAFloodFromAFamiliarOrigin guesses from where the user logs in: what is
// right is accepted there at once no more, and elsewhere it is.
func TestAFloodFromAFamiliarOrigin(t *testing.T) {
	f := openUsers(t, "alice:secret")
	bubble.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		recalled := func(o origin.Origin) bool {
			_, ok := g.Recall(o, []byte("alice"), []byte("secret"))
			return ok
		}
		expect(t, g, here, "alice", "secret", true, 0)
		expect(t, g, there, "alice", "secret", true, 0)
		before := g.compared.Load()
		stop := flood(t, 60, fromOne(here), g, always("alice"))
		if recalled(here) || !recalled(there) {
			t.Errorf("recalled here %v, there %v", recalled(here), recalled(there))
		}
		time.Sleep(time.Minute)
		if n, most := g.compared.Load()-before, int64(familiarBurst+time.Minute/familiarInterval+1); n < most/4 || n > most {
			t.Errorf("%d passwords were looked at in a minute, want up to %d", n, most)
		}
		expect(t, g, there, "alice", "secret", true, 0)
		stop()
		time.Sleep(time.Minute)
		if !recalled(here) {
			t.Error("not recalled when the flood is over")
		}
	})
}

// TestClientsThatReturnTogetherAreCheckedOnce is what a restart brings: all
// connections of an application log in at the same time.
func TestClientsThatReturnTogetherAreCheckedOnce(t *testing.T) {
	f := openUsers(t, "alice:"+hashOf(t, "secret"))
	bubble.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		g.hashing.free = 1
		if !g.hashing.enter(t.Context(), there) {
			t.Fatal("nothing can be computed")
		}
		var wg sync.WaitGroup
		for n := range 1000 {
			wg.Go(func() { expect(t, g, host(n%5), "alice", "secret", true, 0) })
		}
		synctest.Wait() // all wait for the slot, or for the check of who does
		g.hashing.leave()
		wg.Wait()
		if n := g.compared.Load(); n != 5 {
			t.Errorf("%d hashes were computed for 5 origins", n)
		}
	})
}

func TestGuardRemembersWhoWasRight(t *testing.T) {
	f := openUsers(t, "alice:"+hashOf(t, "secret"))
	g := NewGuard(f, nil)
	recall := func(o origin.Origin, password string) bool {
		ticket, ok := g.Recall(o, []byte("alice"), []byte(password))
		return ok && ticket.User == "alice" && g.Valid(ticket)
	}
	if recall(here, "secret") {
		t.Fatal("recalled before the first check")
	}
	if right, _ := timed(g, here, "alice", "secret"); !right {
		t.Fatal("the right password was refused")
	}
	if !recall(here, "secret") || recall(here, "other") || recall(there, "secret") {
		t.Error("not exactly the checked credentials are recalled")
	}
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if recall(here, "secret") {
		t.Error("recalled although the users may have changed")
	}
}

func TestGuardGivesUpWhenTheContextEnds(t *testing.T) {
	f := openUsers(t, "alice:secret")
	bubble.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		for range 10 {
			timed(g, here, "alice", "wrong")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, right := g.Check(ctx, here, []byte("alice"), []byte("wrong")); right || time.Since(start) > time.Millisecond {
			t.Errorf("the check ended after %v", time.Since(start))
		}
	})
}

func TestGuardLogsNoPasswordAndNoFlood(t *testing.T) {
	f := openUsers(t, "alice:secret")
	bubble.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := NewGuard(f, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for i := range 1000 {
			g.reject(ctx, f.users.Load(), time.Now(), here, []byte("mallory"+strconv.Itoa(i)))
		}
		timed(g, here, "alice", "hunter2")
		if lines := strings.Count(log.String(), "\n"); lines < 10 || lines > 20 {
			t.Errorf("1001 failures at once made %d log lines", lines)
		}
		if strings.Contains(log.String(), "hunter2") {
			t.Error("the log contains a password")
		}
	})
}
