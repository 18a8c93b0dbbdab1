package serve

import (
	"sync"
	"sync/atomic"

	"cairn/session"
)

const (
	// freeBuffer is how many bytes of input or output a connection may hold
	// without asking. They count, but nobody waits for them: small requests go
	// on whatever the large ones do.
	freeBuffer = 64 << 10

	// maxOvertakings is how often others may get memory before a claim that has
	// waited for longer.
	maxOvertakings = 100
)

// budget is the memory that connections hold for what comes in and goes out.
// Whoever needs much of it at a time claims all that it will need before it
// begins, so that those who have begun can always finish.
type budget struct {
	limit int64       // bytes
	tight atomic.Bool // somebody waits

	mu      sync.Mutex
	used    int64 // may exceed limit, because some of it was not asked for
	holders int   // claims that were granted
	grants  uint64
	waiting []*claim // in the order in which they came

	// handover says that connections are about to stand still, so that nobody
	// gives back anything: only bursts that the store has get memory, up to twice
	// the limit.
	handover bool
}

// claim is one connection's part of a budget. Its connection alone calls its
// methods.
type claim struct {
	budget *budget

	// granted is called when what ask waited for is there, from any goroutine,
	// with the budget locked.
	granted func()

	// then is called instead, once, by a goroutine of its own, if a store waits.
	then func()

	has    int64
	holds  bool   // it was granted more than freeBuffer
	wants  int64  // what it waits for; 0: it does not
	before uint64 // grants when it began to wait
}

// ask makes the claim n bytes if they are there, and reports that. Otherwise it
// keeps what it has, and granted is called once when it has n. It must not ask with
// more than freeBuffer, because those who hold something and wait could wait for
// each other.
func (c *claim) ask(n int64) bool {
	if n <= c.has {
		return true
	}
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(c) // a claim is in the list once at most
	c.wants, c.before = n, b.grants
	b.waiting = append(b.waiting, c)
	b.grant(c)
	return c.wants == 0
}

// take makes the claim n bytes if they are there, or there is nobody who could
// give them back, and reports that. Otherwise then is called when they are. It is
// called by a store that carries out a burst of the connection, which leaves the
// claim alone meanwhile.
func (c *claim) take(n int64, then func()) bool {
	if n <= max(c.has, freeBuffer) {
		return true
	}
	if c.holds {
		c.set(n)
		return true
	}
	c.then = then
	return c.ask(n)
}

// set makes the claim n bytes whether they are there or not, because they are in
// use already, or not any more.
func (c *claim) set(n int64) {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.change(c, n, c.holds && n > freeBuffer)
	b.grant(nil)
}

// end gives everything back and waits for nothing any more.
func (c *claim) end() {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(c)
	b.change(c, 0, false)
	b.grant(nil)
}

// change makes c have n bytes.
func (b *budget) change(c *claim, n int64, holds bool) {
	b.used += n - c.has
	if c.holds {
		b.holders--
	}
	if holds {
		b.holders++
	}
	c.has, c.holds = n, holds
}

// remove makes c wait no more.
func (b *budget) remove(c *claim) {
	if c.wants == 0 {
		return
	}
	c.wants = 0
	for i, w := range b.waiting {
		if w == c {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			break
		}
	}
	b.tight.Store(len(b.waiting) > 0)
}

// grant gives what there is to those who wait. The one that asks just now learns
// of it without being told.
func (b *budget) grant(asking *claim) {
	limit := b.limit
	if b.handover {
		limit *= 2
	}
	for c := b.next(); c != nil; c = b.next() {
		if b.used-c.has+c.wants > limit && b.holders > 0 {
			break
		}
		b.grants++
		n := c.wants
		b.remove(c)
		b.change(c, n, true)
		then := c.then
		c.then = nil
		switch {
		case c == asking:
		case then != nil:
			go then()
		default:
			c.granted()
		}
	}
	b.tight.Store(len(b.waiting) > 0)
}

// next returns the claim to be granted next: the smallest, or the oldest if that
// was overtaken too often; nil: none.
func (b *budget) next() (next *claim) {
	for _, c := range b.waiting {
		switch {
		case b.handover && c.then == nil:
		case next == nil:
			if next = c; b.grants-c.before >= maxOvertakings {
				return c
			}
		case c.wants-c.has < next.wants-next.has:
			next = c
		}
	}
	return next
}

// setHandover begins and ends a handover.
func (b *budget) setHandover(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handover = on
	b.grant(nil)
}

// holds reports whether c has more than anybody may have without asking, and does
// not wait for more.
func (b *budget) holds(c *claim) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return c.wants == 0 && c.has > freeBuffer
}

// inUse returns how many bytes connections have, and how many connections wait.
func (b *budget) inUse() (bytes int64, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, len(b.waiting)
}

// valuesIn returns the length of the values in the results of b.
func valuesIn(b *session.Burst) (n int64) {
	for i := range b.Results {
		n += int64(len(b.Results[i].Item.Value))
	}
	return n
}
