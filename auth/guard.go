package auth

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"cairn/origin"
)

// remembered bounds the logins that a Guard knows, and the origins that failed.
const remembered = 1 << 14

// Guesses at one user's password are bounded whatever the number of connections:
// over all origins from which the user has not logged in yet, and for each of
// the others by itself, so that no stranger slows them down.
const (
	strangerBurst, strangerInterval = 10, time.Second
	familiarBurst, familiarInterval = 20, 200 * time.Millisecond
)

// Guard checks the credentials that clients send. It is safe for concurrent
// use.
type Guard struct {
	file   *UserFile
	logger *slog.Logger
	log    rate.Sometimes // so that guessing cannot flood the log

	// known holds the credentials that were right, by the origin they came
	// from. Only right ones enter it, so guessing pushes nothing out.
	known *otter.Cache[login, remembrance]

	// familiar bounds the guesses from an origin at a user who has logged in
	// from there before.
	familiar *otter.Cache[source, *Pace]

	// strangers bounds the guesses at a user from everywhere else. Those at users
	// who do not exist share what few Paces unknownUser picks.
	mu        sync.Mutex
	strangers map[digest]*Pace
	flights   map[login]*flight

	penalties *penalties

	// hashing bounds how many checks run at once, so that logging in cannot
	// take the processor from those who are.
	hashing slots

	failures atomic.Int64 // for the log
	compared atomic.Int64 // passwords that were looked at
}

// source is a user who logs in from an origin.
type source struct {
	origin origin.Origin
	user   digest
}

// login is one user's credentials from one origin.
type login struct {
	source
	password digest
}

// remembrance is what is known of credentials that were right.
type remembrance struct {
	generation uint64 // of the users they were checked against
	ticket     Ticket
}

// flight is a check under way. Others with the same credentials wait for it.
type flight struct {
	done   chan struct{} // closed when it is over
	ticket Ticket
	right  bool
	given  bool // given up, nothing was found out
}

// NewGuard returns a Guard over the users of file. It logs failures to logger,
// which may be nil.
func NewGuard(file *UserFile, logger *slog.Logger) *Guard {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Guard{
		file:      file,
		logger:    logger,
		log:       rate.Sometimes{First: 10, Interval: time.Second},
		known:     otter.Must(&otter.Options[login, remembrance]{MaximumSize: remembered}),
		familiar:  otter.Must(&otter.Options[source, *Pace]{MaximumSize: remembered}),
		strangers: map[digest]*Pace{},
		flights:   map[login]*flight{},
		penalties: newPenalties(remembered),
		hashing: slots{
			free:  max(1, runtime.NumCPU()/2),
			queue: turns{most: 4 * waitingMost, perLane: waitingMost},
		},
	}
}

// Reload reads the user file again. Valid tells which of those who have logged
// in may stay.
func (g *Guard) Reload() error {
	if err := g.file.Reload(); err != nil {
		return err
	}
	u := g.file.users.Load()
	g.mu.Lock()
	defer g.mu.Unlock()
	for user := range g.strangers {
		if !u.names[user] {
			delete(g.strangers, user)
		}
	}
	return nil
}

// Valid reports whether the credentials that a Ticket stands for are still
// right.
func (g *Guard) Valid(t Ticket) bool { return g.file.users.Load().valid(t) }

// Recall reports whether the same credentials were right before, from the same
// origin and since the users last changed. It takes microseconds. On false the
// caller goes on with Check, also where so much is guessed from that origin that
// right and wrong have to wait alike.
func (g *Guard) Recall(o origin.Origin, user, password []byte) (Ticket, bool) {
	l := loginOf(o, user, password)
	r, ok := g.known.GetIfPresent(l)
	if !ok || r.generation != g.file.users.Load().generation {
		return Ticket{}, false
	}
	if pace, ok := g.familiar.GetIfPresent(l.source); ok && pace.Busy() {
		return Ticket{}, false
	}
	return r.ticket, true
}

// Check reports whether the user has that password. It can take seconds: a hash
// is computed, guesses at a user are bounded, and the answer to a failure is
// held back. It returns false early when ctx ends.
func (g *Guard) Check(ctx context.Context, o origin.Origin, user, password []byte) (Ticket, bool) {
	l := loginOf(o, user, password)
	for {
		f, first := g.join(l)
		if first {
			g.fly(ctx, f, l, user, password)
			return f.ticket, f.right
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Ticket{}, false
		}
		if !f.given {
			return f.ticket, f.right
		}
	}
}

// join gives the check of the credentials that is under way, or a new one, which
// the caller has to fly.
func (g *Guard) join(l login) (f *flight, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.flights[l]; f != nil {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	g.flights[l] = f
	return f, true
}

// fly carries out a check, and ends it when its answer may leave.
func (g *Guard) fly(ctx context.Context, f *flight, l login, user, password []byte) {
	began := time.Now()
	u := g.file.users.Load()
	f.ticket, f.right = g.judge(ctx, u, l, user, password)
	if !f.right {
		g.reject(ctx, u, began, l.origin, user)
		f.given = ctx.Err() != nil
	}
	g.mu.Lock()
	delete(g.flights, l)
	g.mu.Unlock()
	close(f.done)
}

// judge finds out whether credentials are right, as soon as the bounds on
// guesses let it. No hash is computed for a user who does not exist, so random
// names cost nothing: how long that takes is for reject to hide.
func (g *Guard) judge(ctx context.Context, u *users, l login, user, password []byte) (Ticket, bool) {
	exists := u.names[l.user]
	pace := g.paceOf(l.source, exists)
	if !pace.Enter(ctx, l.origin) || !exists {
		return Ticket{}, false
	}
	if !g.hashing.enter(ctx, l.origin) {
		pace.Return()
		return Ticket{}, false
	}
	g.compared.Add(1)
	ticket, right := u.check(user, password)
	g.hashing.leave()
	if right {
		pace.Return()
		g.known.Set(l, remembrance{u.generation, ticket})
		g.familiar.SetIfAbsent(l.source, NewPace(familiarBurst, familiarInterval))
	}
	return ticket, right
}

// paceOf is what bounds the guesses from a source.
func (g *Guard) paceOf(s source, exists bool) *Pace {
	user := s.user
	if !exists {
		user = unknownUser(user)
	} else if pace, ok := g.familiar.GetIfPresent(s); ok {
		return pace
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	pace := g.strangers[user]
	if pace == nil {
		pace = NewPace(strangerBurst, strangerInterval)
		g.strangers[user] = pace
	}
	return pace
}

// unknownUser puts users who do not exist into 256 classes, which are the same
// as long as the process lives.
func unknownUser(user digest) digest { return digest{user[0]} }

// reject counts and logs a failed attempt, and returns when it may be answered
// or ctx ends. That is a whole number of beats after the attempt began, so that
// the time tells nothing of whether a hash was computed.
func (g *Guard) reject(ctx context.Context, u *users, began time.Time, o origin.Origin, user []byte) {
	failures := g.failures.Add(1)
	held := max(g.penalties.fail(o, began).Sub(began), time.Since(began))
	if beat := u.beat(); beat > 0 {
		held = (held + beat - 1) / beat * beat
	}
	g.log.Do(func() {
		g.logger.Warn("authentication failed", "address", o.String(), "user", string(user),
			"delay", held.Round(time.Millisecond), "failures", failures)
	})
	sleep(ctx, time.Until(began.Add(held)))
}

// loginOf names credentials without keeping them.
func loginOf(o origin.Origin, user, password []byte) login {
	return login{source: source{o, digestOf(user)}, password: digestOf(password)}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
