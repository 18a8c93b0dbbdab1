package auth

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
)

// timed runs one check and says how long it took on the bubble's clock.
func timed(g *Guard, addr netip.Addr, user, password string) (bool, time.Duration) {
	start := time.Now()
	right := g.Check(context.Background(), addr, []byte(user), []byte(password))
	return right, time.Since(start)
}

func TestGuardDelaysFailuresAndForgivesThem(t *testing.T) {
	f := openUsers(t, "alice:secret\nbob:secret")
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		expect := func(addr netip.Addr, user, password string, right bool, took time.Duration) {
			t.Helper()
			if gotRight, gotTook := timed(g, addr, user, password); gotRight != right || gotTook != took {
				t.Errorf("%v %s:%s = %v after %v, want %v after %v", addr, user, password, gotRight, gotTook, right, took)
			}
		}
		for _, delay := range []int{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			expect(here, "alice", "wrong", false, time.Duration(delay)*time.Millisecond)
		}
		expect(there, "alice", "secret", true, 0)
		expect(here, "bob", "secret", true, 0)
		expect(here, "alice", "secret", true, 0)
		time.Sleep(forgetAfter)
		expect(here, "alice", "wrong", false, 100*time.Millisecond)
	})
}

func TestGuardQueuesAttemptsMadeSideBySide(t *testing.T) {
	f := openUsers(t, "alice:secret")
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		timed(g, here, "alice", "wrong")
		start := time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var longest time.Duration
		for i := range 20 {
			wg.Go(func() {
				g.Check(context.Background(), here, []byte("alice"), []byte("wrong "+strconv.Itoa(i)))
				mu.Lock()
				defer mu.Unlock()
				longest = max(longest, time.Since(start))
			})
		}
		wg.Wait()
		if longest < 2*time.Second || longest > longestWait+longestPenalty {
			t.Errorf("20 guesses side by side took %v", longest)
		}
		if right, took := timed(g, here, "alice", "secret"); !right || took > longestWait {
			t.Errorf("the right password after them: %v after %v", right, took)
		}
	})
}

func TestGuardRemembersWhoWasRight(t *testing.T) {
	f := openUsers(t, "alice:"+hashOf(t, "secret"))
	g := NewGuard(f, nil)
	recall := func(addr netip.Addr, password string) bool {
		return g.Recall(addr, []byte("alice"), []byte(password))
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
	synctest.Test(t, func(t *testing.T) {
		g := NewGuard(f, nil)
		for range 10 {
			timed(g, here, "alice", "wrong")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		start := time.Now()
		if g.Check(ctx, here, []byte("alice"), []byte("wrong")) || time.Since(start) > time.Millisecond {
			t.Errorf("the check ended after %v", time.Since(start))
		}
		if g.Check(ctx, there, []byte("alice"), []byte("secret")) {
			t.Error("a check passed after its context ended")
		}
	})
}

func TestGuardLogsNoPasswordAndNoFlood(t *testing.T) {
	f := openUsers(t, "alice:secret")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := NewGuard(f, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for i := range 1000 {
			user := []byte("mallory" + strconv.Itoa(i))
			g.reject(ctx, loginOf(here, user, nil).source, here, user)
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

func TestThrottleMemoryIsBounded(t *testing.T) {
	throttle := NewThrottle(100)
	now := time.Unix(0, 0)
	for i := range 10_000 {
		throttle.Fail(loginOf(here, []byte(strconv.Itoa(i)), nil).source, now)
	}
	throttle.records.CleanUp()
	if n := throttle.records.EstimatedSize(); n > 100 {
		t.Errorf("%d sources are remembered, the bound is 100", n)
	}
}

func TestNetworkJoinsTheAddressesOfOneHost(t *testing.T) {
	same := func(a, b string) bool {
		return network(netip.MustParseAddr(a)) == network(netip.MustParseAddr(b))
	}
	if !same("2001:db8::1", "2001:db8::ffff") || same("2001:db8::1", "2001:db8:0:1::1") {
		t.Error("IPv6 addresses are not told apart by their /64")
	}
	if !same("::ffff:192.0.2.1", "192.0.2.1") || same("192.0.2.1", "192.0.2.2") {
		t.Error("IPv4 addresses are not told apart one by one")
	}
	if network(netip.Addr{}).IsValid() {
		t.Error("no address became one")
	}
}
