package auth

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// remembered bounds the sources that a Guard knows, good ones and bad ones.
const remembered = 1 << 14

// Guard checks the credentials that clients send. It is safe for concurrent
// use.
type Guard struct {
	file     *UserFile
	throttle *Throttle
	logger   *slog.Logger
	log      rate.Sometimes // so that guessing cannot flood the log

	// hashing bounds how many checks run at once, so that logging in cannot
	// take the processor from those who are.
	hashing chan struct{}

	// known holds the credentials that were right, by the address they came
	// from, with the generation of users they were checked against.
	known *otter.Cache[login, uint64]

	failures atomic.Int64 // for the log
}

// login is one user's credentials from one address.
type login struct {
	source
	password digest
}

// NewGuard gives a Guard over the users of file. It logs failures to logger,
// which may be nil.
func NewGuard(file *UserFile, logger *slog.Logger) *Guard {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Guard{
		file:     file,
		throttle: NewThrottle(remembered),
		logger:   logger,
		log:      rate.Sometimes{First: 10, Interval: time.Second},
		hashing:  make(chan struct{}, max(1, runtime.NumCPU()/2)),
		known:    otter.Must(&otter.Options[login, uint64]{MaximumSize: remembered}),
	}
}

// Reload reads the user file again. Connections that have logged in stay so.
func (g *Guard) Reload() error { return g.file.Reload() }

// Recall reports whether the same credentials were right before, from the same
// address and since the users last changed. It takes microseconds. On false the
// caller goes on with Check.
func (g *Guard) Recall(addr netip.Addr, user, password []byte) bool {
	u := g.file.users.Load()
	generation, ok := g.known.GetIfPresent(loginOf(addr, user, password))
	return ok && generation == u.generation
}

// Check reports whether the user has that password. It can take seconds: a
// hash is computed, an address that failed before has to wait, and the answer
// to a failure is held back. It returns false early when ctx ends. The zero
// addr stands for all clients without one, on a Unix socket.
func (g *Guard) Check(ctx context.Context, addr netip.Addr, user, password []byte) bool {
	u := g.file.users.Load()
	l := loginOf(addr, user, password)
	if !sleep(ctx, g.throttle.Admit(l.source, time.Now())) {
		return false
	}
	right, err := g.compute(ctx, u, user, password)
	if err != nil {
		return false
	}
	if right {
		g.known.Set(l, u.generation)
		return true
	}
	g.reject(ctx, l.source, addr, user)
	return false
}

func (g *Guard) compute(ctx context.Context, u *users, user, password []byte) (bool, error) {
	select {
	case g.hashing <- struct{}{}:
		defer func() { <-g.hashing }()
		return u.check(user, password), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// reject counts and logs a failed attempt, and returns when it may be answered
// or ctx ends.
func (g *Guard) reject(ctx context.Context, from source, addr netip.Addr, user []byte) {
	failures := g.failures.Add(1)
	delay := g.throttle.Fail(from, time.Now())
	g.log.Do(func() {
		g.logger.Warn("authentication failed", "address", addr, "user", string(user),
			"delay", delay, "failures", failures)
	})
	sleep(ctx, delay)
}

// loginOf names credentials without keeping them.
func loginOf(addr netip.Addr, user, password []byte) login {
	return login{
		source:   source{addr: network(addr), user: digestOf(user)},
		password: digestOf(password),
	}
}

// network is what counts as one address: an IPv6 host has a whole /64 of them.
func network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	return netip.PrefixFrom(addr, 64).Masked().Addr()
}

// sleep waits for d. It reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
