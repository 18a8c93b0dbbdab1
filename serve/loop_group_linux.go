package serve

import (
	"slices"
	"sync"
	"time"

	"cairn/session"
)

const (
	// maxTurns is how many connections are read before the first of them is
	// answered.
	maxTurns = 64

	// maxGroupCommands is how many commands a group has when no further
	// connection may join.
	maxGroupCommands = 256

	// maxGroupBytes is how much input it has then: a store copies all of it at
	// a time.
	maxGroupBytes = 4 << 20
)

// turn is one connection's part of a group: the commands from first to last of
// its burst, and the bytes of the connection's own input that they were read
// from.
type turn struct {
	client      *loopClient
	first, last int
	used        int
}

// group is what a loop carries out together for several connections.
type group struct {
	burst   session.Burst
	turns   []turn
	bytes   int            // of its input
	arenas  []*arena       // hold its input
	commit  session.Commit // nil if its results are final
	arrived time.Time      // when its first turn began
	holders int            // turns with answers to send, and the loop itself
}

var groups = sync.Pool{New: func() any { return new(group) }}

func newGroup(now session.Time, arrived time.Time) *group {
	g := groups.Get().(*group)
	g.burst.Reset(now)
	g.arrived = arrived
	g.holders = 1
	return g
}

// letGo says that one holder needs the group no more.
func (g *group) letGo() {
	if g.holders--; g.holders > 0 {
		return
	}
	g.burst.Reset(0)
	clear(g.turns)
	g.turns = g.turns[:0]
	for _, a := range g.arenas {
		a.letGo()
	}
	clear(g.arenas)
	g.arenas = g.arenas[:0]
	g.commit, g.bytes = nil, 0
	if cap(g.burst.Commands) <= 2*maxGroupCommands {
		groups.Put(g)
	}
}

// keep makes the group hold on to the arena that the input of a turn is in.
func (g *group) keep(a *arena) {
	if n := len(g.arenas); n == 0 || g.arenas[n-1] != a {
		a.users++
		g.arenas = append(g.arenas, a)
	}
}

// full reports whether the group should not grow any more.
func (g *group) full() bool {
	return len(g.burst.Commands) >= maxGroupCommands || g.bytes >= maxGroupBytes
}

// backlog holds groups of writes until they are applied. The loop goes on adding
// to the last of them as long as it waits, so that what arrives while the store
// is busy becomes one batch.
type backlog struct {
	mu     sync.Mutex
	groups []*group      // in the order in which they are to be applied
	filled chan struct{} // has an element if a group was added; closed at the end
}

func (b *backlog) add(g *group) {
	b.mu.Lock()
	b.groups = append(b.groups, g)
	b.mu.Unlock()
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// first removes the group to be applied next; nil: there is none.
func (b *backlog) first() (g *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.groups) > 0 {
		g = b.groups[0]
		b.groups = slices.Delete(b.groups, 0, 1)
	}
	return g
}

// last removes the last group if it can grow; nil: there is none.
func (b *backlog) last() *group {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.groups)
	if n == 0 || b.groups[n-1].full() {
		return nil
	}
	g := b.groups[n-1]
	b.groups[n-1] = nil
	b.groups = b.groups[:n-1]
	return g
}

// serve carries out what some of the ready connections ask for. The connections
// that only read are in a group of their own, so that they need not wait for
// what others write to become durable.
func (l *loop) serve() {
	if len(l.ready) == 0 {
		return
	}
	now := l.server.options.Clock.Now()
	arrived := time.Now()
	l.reads, l.writes = newGroup(now, arrived), nil
	taken := 0
	for taken < min(len(l.ready), maxTurns) && !l.reads.full() && (l.writes == nil || !l.writes.full()) {
		cl := l.ready[taken]
		taken++
		cl.queued = false
		if cl.fd < 0 {
			continue // closed meanwhile
		}
		if err := l.take(cl); err != nil {
			l.drop(cl, err)
		}
	}
	l.ready = l.ready[:copy(l.ready, l.ready[taken:])]
	if l.writes != nil {
		l.backlog.add(l.writes)
	}
	l.carryOut(l.reads)
}

// applyWrites applies groups of writes and passes them on to be waited for. The
// loop itself does not, because that can take long when the disk cannot keep up.
func (l *loop) applyWrites() {
	defer close(l.committing)
	for range l.backlog.filled {
		for g := l.backlog.first(); g != nil; g = l.backlog.first() {
			if g.commit = l.server.options.Store.Apply(&g.burst); g.commit != nil {
				l.committing <- g
			} else {
				l.giveBack(g)
			}
		}
	}
}

// awaitCommits waits for groups to be durable.
func (l *loop) awaitCommits() {
	for g := range l.committing {
		g.commit.Wait()
		l.giveBack(g)
	}
}

// giveBack returns a group whose results are final to the loop.
func (l *loop) giveBack(g *group) {
	l.tell(func(m *mailbox) { m.finished = append(m.finished, g) })
}

// carryOut carries out a group of reads. What they found may not be durable yet.
func (l *loop) carryOut(g *group) {
	if len(g.burst.Commands) > 0 {
		g.commit = l.server.options.Store.Apply(&g.burst)
	}
	if g.commit != nil {
		l.committing <- g
		return
	}
	l.finish(g)
}

// take lets cl add what it asks for to a group. On an error the connection is
// to be closed.
func (l *loop) take(cl *loopClient) error {
	cl.heard = l.reads.arrived
	if len(cl.in) > 0 {
		return l.takeOwn(cl)
	}
	if l.arena.full() {
		l.arena.letGo()
		l.arena = newArena()
	}
	slot := l.arena.slot()
	n, err := cl.receive(slot)
	if err != nil {
		return err
	}
	used := l.consume(cl, slot[:n])
	l.arena.used += used
	if used < n && cl.fd >= 0 {
		cl.keep(slot[used:n])
	}
	return nil
}

// takeOwn is take for a connection with input that has waited.
func (l *loop) takeOwn(cl *loopClient) error {
	if cl.readable && !cl.more {
		if err := cl.fill(); err != nil {
			return err
		}
	}
	l.consume(cl, cl.in)
	return nil
}

// consume turns input of cl into a turn of a group and gives the number of bytes
// it took.
func (l *loop) consume(cl *loopClient, in []byte) (used int) {
	cl.more = false
	if len(in) < max(cl.need, 1) {
		l.queue(cl) // perhaps the socket has more
		return 0
	}
	b := &l.reads.burst
	t := turn{client: cl, first: len(b.Commands)}
	if used, cl.need = cl.conn.Consume(in, b); used == 0 {
		if cl.conn.Closing() {
			l.drop(cl, nil)
		}
		l.queue(cl)
		return 0
	}
	t.last = len(b.Commands)
	cl.busy = true
	cl.more = used < len(in)
	cl.began(b.Now)
	g := l.reads
	if writes(b.Commands[t.first:t.last]) {
		g = l.move(&t)
	}
	if len(cl.in) > 0 {
		t.used = used
	} else {
		g.keep(l.arena)
	}
	g.turns = append(g.turns, t)
	g.bytes += used
	return used
}

func writes(commands []session.Command) bool {
	for i := range commands {
		if commands[i].Writes() {
			return true
		}
	}
	return false
}

// move moves the commands of t, the last ones read, to the group of writes.
func (l *loop) move(t *turn) *group {
	if l.writes == nil {
		if l.writes = l.backlog.last(); l.writes == nil {
			l.writes = newGroup(l.reads.burst.Now, l.reads.arrived)
		}
		l.writes.burst.Now = l.reads.burst.Now
	}
	reads, writes := &l.reads.burst, &l.writes.burst
	by := len(writes.Commands) - t.first
	writes.Commands = append(writes.Commands, reads.Commands[t.first:t.last]...)
	reads.Commands = reads.Commands[:t.first]
	t.first += by
	t.last += by
	return l.writes
}

// finish answers a group whose results are final.
func (l *loop) finish(g *group) {
	for i := range g.turns {
		l.reply(g, g.turns[i])
	}
	if len(g.turns) > 0 {
		took := time.Since(g.arrived)
		for i := range g.turns {
			g.turns[i].client.conn.Replied(took)
		}
	}
	g.letGo()
}

// part gives what the group's burst has of a turn. It is valid until the next
// call.
func (l *loop) part(g *group, t turn) *session.Burst {
	b := &g.burst
	l.turn = session.Burst{Now: b.Now, Commands: b.Commands[t.first:t.last]}
	if t.first < t.last {
		l.turn.Results = b.Results[t.first:t.last]
	}
	return &l.turn
}

// reply sends the answers of a turn. If the socket has no room for all of them
// the turn holds on to the group, and goes on when there is room.
func (l *loop) reply(g *group, t turn) {
	cl := t.client
	for done := false; !done; {
		var err error
		l.out.Reset()
		done = cl.conn.Reply(&l.out, l.part(g, t))
		if cl.unsent, err = cl.sendOutput(&l.out); err != nil {
			cl.busy = false
			l.drop(cl, err)
			return
		}
		if len(cl.unsent) > 0 {
			cl.be(Writing)
			if !done {
				g.holders++
				cl.held, cl.heldTurn = g, t
				l.out.Reset() // it must not keep values longer than the group does
				return
			}
		}
	}
	if cap(l.out.Text) > maxKeptOut {
		l.out.Text = make([]byte, 0, 2*replyChunk)
	}
	cl.discard(t.used)
	if len(cl.unsent) == 0 {
		cl.busy = false
		l.proceed(cl)
	}
}

// proceed goes on with a connection whose answers are out.
func (l *loop) proceed(cl *loopClient) {
	if errand := cl.conn.Errand(); errand != nil {
		cl.start(errand)
		return
	}
	if cl.conn.Closing() {
		l.drop(cl, nil)
		return
	}
	cl.be(Waiting)
	l.queue(cl)
}

// flush sends what the socket had no room for earlier.
func (l *loop) flush(cl *loopClient) {
	if err := cl.sendPieces(&cl.unsent); err != nil {
		l.drop(cl, err)
		return
	}
	if len(cl.unsent) > 0 {
		return
	}
	cl.unsent = nil
	g := cl.held
	if g == nil {
		cl.busy = false
		l.proceed(cl)
		return
	}
	cl.held = nil
	l.reply(g, cl.heldTurn)
	g.letGo()
}
