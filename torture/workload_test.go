package torture

import (
	"fmt"
	"math/rand/v2"
	"time"

	"cairn/session"
	"cairn/session/sessiontest"
)

// workload makes commands for one owner of keys, in the dialect it is asked
// for. Expiries are a day away or more, in the past, or never: what is near is
// the business of mortals.
type workload struct {
	rng      *rand.Rand
	prefix   string
	keys     int
	maxValue int // bytes
	known    func(key string) []uint64

	// old leaves out what memcached 1.6.18 does not know (versions chosen by
	// clients, dropped values, vivifying appends), forgets at times (the new
	// expiry of a number that grows, and that it is stale) or checks in
	// another order (the version of an empty value that is to count).
	old bool
}

// key gives the name of one of its keys.
func (w *workload) key(n int) []byte { return fmt.Appendf(nil, "%s%d", w.prefix, n) }

// reads are commands that show every key.
func (w *workload) reads() []session.Command {
	commands := make([]session.Command, w.keys)
	for n := range commands {
		commands[n] = session.Command{Op: session.OpGet, Key: w.key(n)}
	}
	return commands
}

// commands makes n commands that d can say, admitted at now.
func (w *workload) commands(d dialect, n int, now session.Time) []session.Command {
	commands := make([]session.Command, 0, n)
	for len(commands) < n {
		if c := w.command(now); d.speaks(&c) {
			commands = append(commands, c)
		}
	}
	return commands
}

var workloadOps = []session.Op{
	session.OpSet, session.OpSet, session.OpSet, session.OpSet, session.OpGet, session.OpGet, session.OpGet,
	session.OpTouch, session.OpTouch, session.OpAdd, session.OpReplace, session.OpAppend, session.OpPrepend,
	session.OpIncr, session.OpDecr, session.OpDelete,
}

func (w *workload) command(now session.Time) session.Command {
	c := session.Command{Op: pick(w.rng, workloadOps...), Key: w.key(w.rng.IntN(w.keys))}
	c.Expiry, c.VivifyExpiry, c.RecacheBefore = w.expiry(now), w.expiry(now), w.expiry(now)
	if c.RecacheBefore == session.Never {
		c.RecacheBefore = now // no dialect can say never here
	}
	c.Initial = w.rng.Uint64N(100)
	switch c.Op {
	case session.OpIncr, session.OpDecr:
		c.Delta = w.rng.Uint64() >> w.rng.IntN(64)
	case session.OpSet, session.OpAdd, session.OpReplace, session.OpAppend, session.OpPrepend:
		c.Flags, c.Value = w.rng.Uint32(), w.value()
	}
	w.refine(&c)
	return c
}

func (w *workload) refine(c *session.Command) {
	for _, mod := range []session.Mods{session.SetExpiry, session.Vivify, session.Recache, session.Invalidate} {
		if w.rng.IntN(6) == 0 {
			c.Mods |= mod
		}
	}
	if !w.old && w.rng.IntN(8) == 0 {
		c.Mods |= session.SetVersion
		c.NewVersion = sessiontest.ChosenVersions + 1 + w.rng.Uint64N(1<<60)
	}
	if !w.old && c.Op == session.OpDelete && w.rng.IntN(4) == 0 {
		c.Mods |= session.DropValue
	}
	known := w.known(string(c.Key))
	if w.rng.IntN(4) == 0 && len(known) > 0 {
		c.Mods |= session.IfVersion
		c.CAS = pick(w.rng, known...)
	}
	// a bit that has no meaning cannot be said in any dialect
	if c.Op != session.OpGet {
		c.Mods &^= session.Recache
	}
	switch c.Op {
	case session.OpGet, session.OpIncr, session.OpDecr, session.OpDelete:
	default:
		c.Mods &^= session.SetExpiry
	}
	if w.old {
		n := w.rng.IntN(w.keys)
		if c.Mods&(session.Recache|session.Invalidate) != 0 {
			c.Key = w.key(n &^ 1)
		}
		switch c.Op {
		case session.OpIncr, session.OpDecr:
			c.Key, c.Delta = w.key(n|1), c.Delta>>8 // a number of 64 bits is none if a minus stands anywhere behind it
			c.Mods &^= session.SetExpiry | session.IfVersion
		case session.OpAppend, session.OpPrepend:
			c.Mods &^= session.Vivify
		}
	}
	if c.Op != session.OpDelete && (!c.Has(session.IfVersion) || c.Op != session.OpSet && c.Op != session.OpReplace) {
		c.Mods &^= session.Invalidate
	}
}

func (w *workload) value() []byte {
	switch w.rng.IntN(4) {
	case 0:
		return fmt.Appendf(nil, "%d", w.rng.Uint64()>>w.rng.IntN(64))
	case 1:
		return nil
	}
	value := make([]byte, w.rng.IntN(w.maxValue+1))
	for i := range value {
		value[i] = 1 + byte(w.rng.Uint32N(255))            // memcached ends a number at a zero byte, Cairn does not
		if i > 0 && w.rng.IntN(3) > 0 || value[i] == '-' { // memcached minds a minus far behind a number
			value[i] = value[max(i-1, 0)] &^ 4 // never a minus
		}
	}
	return value
}

func (w *workload) expiry(now session.Time) session.Time {
	switch w.rng.IntN(12) {
	case 0:
		return session.Never
	case 1:
		return now - session.Time(5000+w.rng.IntN(100_000)) // servers count in seconds
	}
	ttl := pick(w.rng, 25*time.Hour, 30*time.Hour, 3*24*time.Hour, 20*24*time.Hour, 40*24*time.Hour)
	at := now.Add(ttl) + session.Time(w.rng.IntN(3_600_000))
	return session.FromUnix(at.Unix())
}

func pick[T any](rng *rand.Rand, choices ...T) T { return choices[rng.IntN(len(choices))] }

// wallNow is the present by the wall clock, which servers follow.
func wallNow() session.Time { return session.FromTime(time.Now()) }
