package memcachedfront

import (
	"sync"
	"time"

	"cairn/session"
)

const (
	// arenaSize is the memory in bytes that the input of one round is read
	// into, and minSlot what a connection finds there at least.
	arenaSize = 128 << 10
	minSlot   = 4 << 10
)

// turn is one connection's part of a round: the commands from first to last of
// one of its bursts, and the bytes of the connection's own input that they were
// read from.
type turn struct {
	client      *loopClient
	first, last int
	used        int
}

// sharedRound is what a loop carries out together for several connections. Those
// that only read have a burst of their own, so that they need not wait for what
// others write to become durable.
type sharedRound struct {
	reads, writes         session.Burst
	readTurns, writeTurns []turn
	commit                session.Commit // of writes
	arena                 []byte         // holds the input
	used                  int            // of arena
	arrived               time.Time
	tally                 tally
	holders               int // turns, and the loop itself, that still need the round
}

var sharedRounds = sync.Pool{New: func() any { return &sharedRound{arena: make([]byte, arenaSize)} }}

func newSharedRound(now session.Time) *sharedRound {
	r := sharedRounds.Get().(*sharedRound)
	r.reads.Reset(now)
	r.writes.Reset(now)
	r.arrived = time.Now()
	return r
}

// release gives the round's memory back.
func (r *sharedRound) release() {
	r.reads.Reset(0)
	r.writes.Reset(0)
	clear(r.readTurns)
	clear(r.writeTurns)
	r.readTurns, r.writeTurns = r.readTurns[:0], r.writeTurns[:0]
	r.commit, r.used = nil, 0
	if max(cap(r.reads.Commands), cap(r.writes.Commands)) <= 2*maxRoundCommands {
		sharedRounds.Put(r)
	}
}

// full reports whether no further connection may join.
func (r *sharedRound) full() bool {
	return len(r.readTurns)+len(r.writeTurns) >= maxTurns ||
		len(r.reads.Commands)+len(r.writes.Commands) >= maxRoundCommands ||
		len(r.arena)-r.used < minSlot
}

// serve takes one round of what the ready connections ask for.
func (l *loop) serve() {
	r := newSharedRound(l.server.options.Clock.Now())
	taken := 0
	for taken < len(l.ready) && !r.full() {
		cl := l.ready[taken]
		taken++
		cl.queued = false
		if err := l.take(r, cl); err != nil {
			l.drop(cl, err)
		}
	}
	l.ready = l.ready[:copy(l.ready, l.ready[taken:])]
	l.carryOut(r)
}

// take lets cl add what it asks for to r. On an error the connection is to be
// closed.
func (l *loop) take(r *sharedRound, cl *loopClient) error {
	if cl.fd < 0 {
		return nil // closed meanwhile
	}
	in, own := cl.in, len(cl.in) > 0
	switch {
	case own && cl.readable && !cl.more:
		if err := cl.fill(); err != nil {
			return err
		}
		in = cl.in
	case !own:
		slot := r.arena[r.used:]
		n, err := cl.receive(slot)
		if err != nil {
			return err
		}
		in = slot[:n]
	}
	cl.heard = r.arrived
	cl.more = false
	used := 0
	if len(in) >= max(cl.conn.need, 1) {
		used = l.consume(r, cl, in)
	}
	if rest := in[used:]; !own && len(rest) > 0 && cl.fd >= 0 {
		cl.keep(rest)
	}
	if !own {
		r.used += used
	}
	if used == 0 {
		l.queue(cl) // perhaps the socket has more
	}
	return nil
}

// consume turns input of cl into a turn of r and gives the number of bytes it
// took.
func (l *loop) consume(r *sharedRound, cl *loopClient, in []byte) (used int) {
	c := cl.conn
	t := turn{client: cl, first: len(r.reads.Commands)}
	used = c.consume(in, &r.reads)
	if used == 0 {
		if c.closing {
			l.drop(cl, nil)
		}
		return 0
	}
	t.last = len(r.reads.Commands)
	if len(cl.in) > 0 {
		t.used = used
	}
	cl.busy = true
	cl.more = used < len(in)
	cl.began(r.reads.Now)
	if writes(r.reads.Commands[t.first:t.last]) {
		r.writeTurns = append(r.writeTurns, r.move(t))
	} else {
		r.readTurns = append(r.readTurns, t)
	}
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

// move moves the last turn's commands from the burst of reads to that of writes.
func (r *sharedRound) move(t turn) turn {
	by := len(r.writes.Commands) - t.first
	r.writes.Commands = append(r.writes.Commands, r.reads.Commands[t.first:t.last]...)
	r.reads.Commands = r.reads.Commands[:t.first]
	for i := range t.client.conn.plan {
		t.client.conn.plan[i].first += int32(by)
	}
	t.first += by
	t.last += by
	return t
}

// carryOut applies the round's bursts and answers. The burst of writes begins
// to become durable while the reads are answered.
func (l *loop) carryOut(r *sharedRound) {
	store := l.server.options.Store
	var pending session.Commit
	if len(r.reads.Commands) > 0 {
		pending = store.Apply(&r.reads)
	}
	if len(r.writes.Commands) > 0 {
		r.commit = store.Apply(&r.writes)
	}
	if pending != nil {
		// What was read is not durable yet.
		r.commit = both{pending, r.commit}
	} else {
		l.answer(r, r.readTurns, &r.reads)
		clear(r.readTurns)
		r.readTurns = r.readTurns[:0]
	}
	if r.commit != nil {
		l.pending <- r
		return
	}
	l.finish(r)
}

// both waits for two commits, of which the second may be nil.
type both [2]session.Commit

func (c both) Wait() {
	for _, commit := range c {
		if commit != nil {
			commit.Wait()
		}
	}
}

// finish answers what is left of a round whose results are final.
func (l *loop) finish(r *sharedRound) {
	r.holders++
	l.answer(r, r.readTurns, &r.reads)
	l.answer(r, r.writeTurns, &r.writes)
	l.letGo(r)
}

// letGo gives the round's memory back when nobody needs it any more.
func (l *loop) letGo(r *sharedRound) {
	if r.holders--; r.holders == 0 {
		r.release()
	}
}

// answer answers the turns of one burst.
func (l *loop) answer(r *sharedRound, turns []turn, b *session.Burst) {
	if len(turns) == 0 {
		return
	}
	for i := range turns {
		t := &turns[i]
		if t.first < t.last {
			l.server.observe(&t.client.link, b.Commands[t.first:t.last], b.Results[t.first:t.last], b.Now)
		}
		r.tally.add(t.client.conn.plan)
		l.reply(r, *t, b)
	}
	l.counters.latencies.record(&r.tally, time.Since(r.arrived))
}

// reply sends the answers of a turn. If the socket has no room for all of them
// the turn holds on to the round, and goes on when there is room.
func (l *loop) reply(r *sharedRound, t turn, b *session.Burst) {
	cl := t.client
	for done := false; !done; {
		l.out, done = cl.conn.reply(l.out[:0], b)
		n, err := cl.send(l.out)
		if err != nil {
			cl.busy = false
			l.drop(cl, err)
			return
		}
		if n < len(l.out) {
			cl.unsent = append(cl.unsent, l.out[n:]...)
			cl.state.Store(int32(writing))
			if !done {
				r.holders++
				cl.held, cl.heldTurn, cl.heldBurst = r, t, b
				return
			}
		}
	}
	if cap(l.out) > maxKeptOut {
		l.out = make([]byte, 0, 2*replyChunk)
	}
	cl.discard(t.used)
	if len(cl.unsent) == 0 {
		cl.busy = false
		l.proceed(cl)
	}
}

// proceed goes on with a connection whose answers are out.
func (l *loop) proceed(cl *loopClient) {
	switch {
	case cl.conn.errand != nil:
		cl.start()
	case cl.conn.closing:
		l.drop(cl, nil)
	default:
		cl.state.Store(int32(waiting))
		l.queue(cl)
	}
}

// flush sends what the socket had no room for earlier.
func (l *loop) flush(cl *loopClient) {
	n, err := cl.send(cl.unsent)
	if err != nil {
		l.drop(cl, err)
		return
	}
	if n < len(cl.unsent) {
		cl.unsent = cl.unsent[:copy(cl.unsent, cl.unsent[n:])]
		return
	}
	cl.unsent = nil
	r := cl.held
	if r == nil {
		cl.busy = false
		l.proceed(cl)
		return
	}
	cl.held = nil
	l.reply(r, cl.heldTurn, cl.heldBurst)
	l.letGo(r)
}
