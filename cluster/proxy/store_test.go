package proxy

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"cairn/session"
	"cairn/session/sessiontest"
)

var (
	randomCommands = flag.Int("proxy.commands", 1_000, "commands of TestLockstepAmongElections")
	randomSeed     = flag.Uint64("proxy.seed", 1, "its seed")
)

// maxValue is the largest value in tests that the nodes' clocks are told the time in.
const maxValue = 4096

// elect lets another node lead.
func (c *town) elect() {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.nodes[c.leader()].Transfer(ctx)
}

// empty lets go of all sessions, by way of a proxy.
func (c *town) empty(t *testing.T, p *Proxy) {
	t.Helper()
	c.clock.Advance(time.Second)
	b := &session.Burst{Now: c.clock.Now(), Commands: []session.Command{{Op: session.OpFlush, FlushAt: c.clock.Now()}}}
	session.Do(p, b)
	if r := b.Results[0]; r.Status != session.OK {
		t.Fatalf("flush: status %d, %v", r.Status, r.Err)
	}
	c.clock.Advance(time.Second)
}

// awake is a proxy that the cluster knows, however far the clock has come. A log forgets a
// proxy that was not heard of for ten minutes of its time, and what such a proxy has sent
// and got no answer to, in an election say, has an unknown outcome. Clocks of tests take
// such steps between two commands.
type awake struct {
	*Proxy
	t    *testing.T
	last *atomic.Int64 // Now of the latest burst
}

func (a awake) Apply(b *session.Burst, to session.Completer) {
	for begun := time.Now(); b.Now.Sub(session.Time(a.last.Load())) > time.Minute; {
		known := &session.Burst{Now: b.Now, Commands: []session.Command{{Op: session.OpTouch, Key: []byte("nothing"), Expiry: session.Never}}}
		session.Do(a.Proxy, known)
		switch err := known.Results[0].Err; {
		case err == nil, errors.Is(err, session.ErrClosed):
			a.last.Store(int64(b.Now))
		case time.Since(begun) > patience:
			a.t.Errorf("the proxy does not become known: %v", err)
			a.last.Store(int64(b.Now))
		}
	}
	a.Proxy.Apply(b, to)
}

// TestConformance runs the suite of all stores at a proxy of its own for each test. One
// cluster is for many of them, and another node leads it each time; a new one begins when
// a test has let years pass.
func TestConformance(all *testing.T) {
	var c *town
	sessiontest.Run(all, func(t *testing.T, clock *sessiontest.Clock) *sessiontest.Instance {
		if c == nil || c.clock.Now().Sub(sessiontest.Epoch) > 365*24*time.Hour {
			c = newTown(all, clock, maxValue)
			c.start()
		} else {
			c.elect()
		}
		p := c.open()
		c.empty(t, p)
		return &sessiontest.Instance{
			Store:        awake{p, all, new(atomic.Int64)},
			Clock:        c.clock,
			MaxValueSize: maxValue,
			Slow:         true,
			Reopen: func() session.Store {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				i := c.leader()
				c.stop(i)
				c.start()
				p = c.open()
				return awake{p, all, new(atomic.Int64)}
			},
			Close: func() error { return p.Close() },
		}
	})
}

// TestLockstepAmongElections compares what random commands do, each burst at one of two
// proxies, with the model, while leaders change, are taken to be silent, and stop and come
// back.
func TestLockstepAmongElections(t *testing.T) {
	c := newTown(t, sessiontest.NewClock(), maxValue)
	c.start()
	r := rand.New(rand.NewPCG(*randomSeed, 3))
	other := c.open()
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	proxies := []*Proxy{c.proxy, other}
	either := func() *Proxy { return proxies[r.IntN(len(proxies))] }
	l := sessiontest.NewLockstep(*randomSeed, maxValue)
	done := 0
	step := func(at *Proxy, n int) {
		t.Helper()
		if err := l.Step(at, c.clock.Now(), n); err != nil {
			t.Fatalf("-proxy.seed=%d, after %d commands: %v", *randomSeed, done, err)
		}
		done += n
	}
	for done < *randomCommands {
		n := 1 + r.IntN(8)
		step(either(), n)
		if r.IntN(4) == 0 {
			c.clock.Advance(time.Duration(r.IntN(2000)) * time.Millisecond)
		}
		switch r.IntN(60) {
		case 0:
			c.elect()
		case 1:
			ask := c.cutLeader()
			step(c.proxy, n)
			ask()
		case 2:
			i := c.leader()
			if r.IntN(2) == 0 {
				i = (i + 1) % len(c.nodes)
			}
			c.stop(i)
			step(either(), n)
			c.start()
		}
	}
	for i, p := range proxies {
		if err := l.Verify(p, l.Model, c.clock.Now()); err != nil {
			t.Errorf("proxy %d: %v", i, err)
		}
	}
}
