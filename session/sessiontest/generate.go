package sessiontest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"cairn/session"
)

// A Generator makes random commands that are worth trying: few keys, so that
// they meet; expiries from the past to never; every Op with every Mod that has
// a meaning for it, and at times with some that have none. The same seed gives
// the same commands. It is not safe for concurrent use.
type Generator struct {
	Rand *rand.Rand

	// Prefix begins every key. Generators with different prefixes never meet,
	// flushes aside.
	Prefix string

	// Keys is how many keys there are (0: 100).
	Keys int

	// MaxValue is the length of the longest usual value in bytes (0: 300).
	// Rarely a value is TooLong bytes (0: never), which should be more than
	// the store takes.
	MaxValue int
	TooLong  int

	// NoFlush leaves OpFlush out, NoSetVersion the versions that clients
	// choose, and OnlyPlain every Mod but IfVersion and SetExpiry.
	NoFlush      bool
	NoSetVersion bool
	OnlyPlain    bool

	// FlushOdds makes one command in so many an OpFlush (0: 500).
	FlushOdds int

	// TTLs are the lifetimes to choose from (nil: 1 s to 40 d, of every kind
	// of bucket).
	TTLs []time.Duration

	// Known gives versions that the item has or had, or was born with, for
	// IfVersion and IfBorn. nil: all are guesses.
	Known func(key []byte) []uint64
}

var defaultTTLs = []time.Duration{
	time.Second, 5 * time.Second, time.Minute, 20 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 12 * time.Hour, 3 * 24 * time.Hour, 14 * 24 * time.Hour, 40 * 24 * time.Hour,
}

// Fill resets b, stamps it with now and puts n random commands into it.
func (g *Generator) Fill(b *session.Burst, now session.Time, n int) {
	b.Reset(now)
	for range n {
		g.Command(b.Add(), now)
	}
}

// Command makes c a random command, admitted at now. Its bytes are c's own.
func (g *Generator) Command(c *session.Command, now session.Time) {
	*c = session.Command{Op: g.op(), Key: g.Key()}
	switch c.Op {
	case session.OpFlush:
		*c = session.Command{Op: session.OpFlush}
		if g.oneIn(3) {
			c.FlushAt = g.expiry(now)
		}
		return
	case session.OpSet, session.OpAdd, session.OpReplace, session.OpAppend, session.OpPrepend:
		c.Value, c.Flags = g.value(), g.Rand.Uint32()>>g.Rand.IntN(33)
	case session.OpIncr, session.OpDecr:
		c.Delta = g.Rand.Uint64() >> g.Rand.IntN(64)
	}
	c.Expiry = g.expiry(now)
	g.refine(c, now)
}

// opWeights is how often each Op is drawn, out of their sum.
var opWeights = [...]int{
	session.OpGet: 40, session.OpTouch: 25, session.OpSet: 40, session.OpAdd: 10, session.OpReplace: 8,
	session.OpAppend: 6, session.OpPrepend: 6, session.OpIncr: 8, session.OpDecr: 6, session.OpDelete: 15,
}

func (g *Generator) op() session.Op {
	if !g.NoFlush && g.oneIn(cmp.Or(g.FlushOdds, 500)) {
		return session.OpFlush
	}
	sum := 0
	for _, weight := range opWeights {
		sum += weight
	}
	pick := g.Rand.IntN(sum)
	for op, weight := range opWeights {
		if pick < weight {
			return session.Op(op)
		}
		pick -= weight
	}
	panic("unreachable")
}

// Key returns a random key, of 1 to session.MaxKeyLen bytes.
func (g *Generator) Key() []byte { return g.key(g.Rand.IntN(g.keys())) }

// AllKeys returns every key that the Generator can make.
func (g *Generator) AllKeys() [][]byte {
	keys := make([][]byte, g.keys())
	for n := range keys {
		keys[n] = g.key(n)
	}
	return keys
}

func (g *Generator) keys() int {
	if g.Keys == 0 {
		return 100
	}
	return g.Keys
}

func (g *Generator) key(n int) []byte {
	key := fmt.Appendf(nil, "%s%d", g.Prefix, n)
	if n%16 == 15 { // a long one
		for len(key) < session.MaxKeyLen-n%3 {
			key = append(key, byte(n))
		}
	}
	return key
}

func (g *Generator) value() []byte {
	most := g.MaxValue
	if most == 0 {
		most = 300
	}
	switch {
	case g.TooLong > 0 && g.oneIn(200):
		return make([]byte, g.TooLong)
	case g.oneIn(4): // a number, at times with what is around a number
		n := g.Rand.Uint64() >> g.Rand.IntN(64)
		return fmt.Appendf(nil, "%s%d%s", pick(g, "", "", "", " ", "+", "x"), n, pick(g, "", "", "", " ", "  ", "y"))
	case g.oneIn(8):
		return nil
	}
	value := make([]byte, g.Rand.IntN(most+1))
	fill := byte(g.Rand.Uint32())
	for i := range value { // compressible in part, as sessions are
		if i%8 == 0 {
			fill = byte(g.Rand.Uint32())
		}
		value[i] = fill
	}
	return value
}

func (g *Generator) expiry(now session.Time) session.Time {
	ttls := g.TTLs
	if ttls == nil {
		ttls = defaultTTLs
	}
	switch g.Rand.IntN(24) {
	case 0:
		return session.Never
	case 1:
		return now
	case 2:
		return now - session.Time(g.Rand.Int64N(1e10))
	case 3:
		return now + 1
	}
	return now.Add(pick(g, ttls...)) + session.Time(g.Rand.IntN(2000))
}

// refine adds Mods to c. Those without a meaning for its Op must be ignored.
func (g *Generator) refine(c *session.Command, now session.Time) {
	if g.oneIn(5) {
		c.Mods |= session.IfVersion
		c.CAS = g.version(c.Key)
	}
	if g.oneIn(4) {
		c.Mods |= session.SetExpiry
	}
	if g.OnlyPlain {
		return
	}
	if !g.NoSetVersion && g.oneIn(16) {
		c.Mods |= session.SetVersion
		c.NewVersion = ChosenVersions + 1 + g.Rand.Uint64N(1<<61)
	}
	for _, rare := range rareMods {
		if g.oneIn(rare.in) {
			c.Mods |= rare.mod
		}
	}
	c.VivifyExpiry, c.RecacheBefore, c.Initial = g.expiry(now), g.expiry(now), g.Rand.Uint64()
	if g.oneIn(2) {
		c.Owner = g.owner()
	}
	if g.oneIn(8) {
		c.Created = now - session.Time(g.Rand.Int64N(1e10))
	}
	if g.oneIn(8) {
		c.Limit = session.Time(g.Rand.Int64N(1e10) >> g.Rand.IntN(34))
	}
	if g.oneIn(6) {
		c.Mods |= session.IfBorn
		c.Born = g.version(c.Key)
	}
}

// owner returns an owner, rarely the longest there can be or a longer one.
func (g *Generator) owner() []byte {
	owner := fmt.Appendf(nil, "user%d", g.Rand.IntN(20))
	if g.oneIn(10) {
		owner = append(make([]byte, session.MaxOwnerLen-len(owner)), owner...)
	}
	if g.oneIn(100) {
		owner = make([]byte, session.MaxOwnerLen+1)
	}
	return owner
}

var rareMods = []struct {
	mod session.Mods
	in  int // one command in so many has it
}{
	{session.Vivify, 6}, {session.Recache, 6}, {session.Invalidate, 4}, {session.DropValue, 6}, {session.Peek, 10},
	{session.NoClaim, 6}, {session.Tracked, 3},
}

// version returns a version for IfVersion, most often one that may match.
func (g *Generator) version(key []byte) uint64 {
	if g.Known != nil && !g.oneIn(8) {
		if known := g.Known(key); len(known) > 0 {
			return pick(g, known...)
		}
	}
	return pick[uint64](g, 0, ChosenVersions, math.MaxUint64)
}

func (g *Generator) oneIn(n int) bool { return g.Rand.IntN(n) == 0 }

func pick[T any](g *Generator, choices ...T) T { return choices[g.Rand.IntN(len(choices))] }
