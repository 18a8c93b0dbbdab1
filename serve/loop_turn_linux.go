package serve

import (
	"time"

	"cairn/processors"
	"cairn/session"
)

const (
	// maxTurns is how many connections are served before the loop looks for
	// events and mail again.
	maxTurns = 64

	// maxBegun is how many commands the loop reads before it carries them out: what the
	// store brings into the processor's cache for all of them must not be displaced
	// before it is used, and the first to ask must not wait for many others.
	maxBegun = 256

	// maxSpareTurns is how many turns a loop keeps for later.
	maxSpareTurns = 256

	// maxArenas is how many arenas a loop holds input in. What comes beyond
	// that has memory of its own, which goes when it is carried out: a few
	// requests that take long must not keep whole arenas.
	maxArenas = 64
)

// turn is a burst of one connection under way, from its input to its answers.
type turn struct {
	burst   session.Burst
	client  *loopClient
	arena   *arena    // that its input lies in; nil: in the client's own
	used    int       // bytes of the client's own input
	arrived time.Time // when it was read

	retry *session.Retry // nil if the store was available
	until time.Time      // no further retry is begun after that
	due   time.Time      // when the next one is to begin

	size    int64 // bytes of answers so far
	counted bool  // the claim of the connection has the answers
}

// newTurn makes a turn of what cl will have to say.
func (l *loop) newTurn(cl *loopClient) *turn {
	var t *turn
	if n := len(l.spare); n > 0 {
		t = l.spare[n-1]
		l.spare[n-1] = nil
		l.spare = l.spare[:n-1]
	} else {
		t = new(turn)
		t.burst.Owner = t
	}
	t.client, t.arrived = cl, l.began
	t.burst.Now, t.burst.Room = l.now, cl
	return t
}

// end releases a turn whose answers are out.
func (l *loop) end(t *turn) {
	if t.arena != nil {
		l.letGo(t.arena)
	}
	t.burst.Reset(0)
	t.burst.Room = nil
	*t = turn{burst: t.burst}
	if len(l.spare) < maxSpareTurns && cap(t.burst.Commands) <= maxKeptCommands {
		l.spare = append(l.spare, t)
	}
}

// slot returns the memory that the next input is read into: less if memory is
// short, so that those who begin a large request then hold little.
func (l *loop) slot() []byte {
	slot := l.arena.slot()
	if l.server.budget.tight.Load() {
		slot = slot[:minSlot]
	}
	return slot
}

// nextArena begins a new arena for the input to come.
func (l *loop) nextArena() {
	l.letGo(l.arena)
	l.arena = newArena()
	l.arenas++
}

func (l *loop) letGo(a *arena) {
	if a.letGo() {
		l.arenas--
	}
}

// serve carries out what some of the ready connections ask for, and then goes on
// with those that have much to move.
func (l *loop) serve() {
	if len(l.ready)+len(l.bulk) == 0 {
		return
	}
	l.now, l.began = l.server.options.Clock.Now(), time.Now()
	if l.awake.IsZero() {
		l.awake = l.began
	}
	processors.Look(l.began)
	l.serveReady()
	l.pass()
	l.serveBulk()
	l.pass()
	l.tellTimes()
}

// serveReady gives some of the ready connections their turn. It reads from several of them
// before it carries out the first, so that the store hears of all of it in advance.
func (l *loop) serveReady() {
	n := min(len(l.ready), maxTurns)
	for _, cl := range l.ready[:n] {
		l.takeTurn(cl)
		if l.commands >= maxBegun {
			l.carryOut()
		}
	}
	l.carryOut()
	rest := copy(l.ready, l.ready[n:])
	clear(l.ready[rest:])
	l.ready = l.ready[:rest]
}

// takeTurn gives cl its turn, unless it was closed or parked meanwhile. What it asks for
// is left to carryOut.
func (l *loop) takeTurn(cl *loopClient) {
	cl.queued = false
	switch {
	case cl.fd < 0, cl.parked:
	case cl.sending():
		l.flush(cl)
	default:
		if err := l.take(cl); err != nil {
			l.drop(cl, err)
		}
	}
}

// pass gives the store what it could not answer from memory, together, so that it
// can make one batch of it.
func (l *loop) pass() {
	for i, t := range l.passing {
		l.passing[i] = nil
		l.server.options.Store.Apply(&t.burst, l)
	}
	l.passing = l.passing[:0]
}

// take lets cl have its turn. On an error the connection is to be closed.
func (l *loop) take(cl *loopClient) error {
	cl.heard = l.began
	if !cl.mayAnswer() {
		return nil
	}
	if len(cl.in) > 0 {
		return l.takeOwn(cl)
	}
	if l.arena.full() {
		l.nextArena()
	}
	slot := l.slot()
	n, err := cl.receive(slot)
	if err != nil {
		return err
	}
	if l.arenas > maxArenas {
		cl.keep(slot[:n], nil)
		return l.takeOwn(cl)
	}
	t, used := l.consume(cl, slot[:n])
	if used < n && cl.fd >= 0 {
		cl.keep(slot[used:n], t)
	}
	if t != nil {
		l.arena.used += used
		l.arena.users++
		t.arena = l.arena
		l.begin(t)
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
	if cl.parked {
		cl.more = true
		return nil
	}
	if t, used := l.consume(cl, cl.in); t != nil {
		t.used = used
		l.begin(t)
	}
	return nil
}

// consume turns input of cl into a turn and returns the number of bytes it took;
// nil: the connection has nothing to do for now.
func (l *loop) consume(cl *loopClient, in []byte) (t *turn, used int) {
	cl.more = false
	if len(in) < max(cl.need, 1) {
		l.queue(cl) // perhaps the socket has more
		return nil, 0
	}
	t = l.newTurn(cl)
	if used, cl.need = cl.conn.Consume(in, &t.burst); used == 0 {
		l.end(t)
		if cl.conn.Closing() {
			l.drop(cl, nil)
		} else if cl.answers > 0 { // nothing asks for them yet
			cl.mayHold(cl.inputs, 0)
		}
		l.queue(cl)
		return nil, 0
	}
	cl.busy = true
	cl.more = used < len(in)
	t.burst.Patient = t.burst.Patient && l.mayWait(cl)
	cl.Link.began(l.now)
	return t, used
}

// begin leaves a turn to carryOut.
func (l *loop) begin(t *turn) {
	l.begun = append(l.begun, t)
	l.commands += len(t.burst.Commands)
}

// carryOut answers the turns begun that the store can answer from memory, and marks the
// others to be passed on: their connections are busy until then.
func (l *loop) carryOut() {
	l.prefetch()
	for i, t := range l.begun {
		l.begun[i] = nil
		switch {
		case len(t.burst.Commands) == 0 || l.server.options.Store.Try(&t.burst):
			l.answer(t)
		case t.burst.Patient:
			t.client.patient = t
			fallthrough
		default:
			l.passing = append(l.passing, t)
		}
	}
	l.begun, l.commands = l.begun[:0], 0
	l.arena.rewind()
}

// prefetch tells the store what the turns begun are about to ask for, if that is more
// than one command.
func (l *loop) prefetch() {
	if l.server.prefetcher == nil || l.commands < 2 {
		return
	}
	for _, t := range l.begun {
		l.server.prefetcher.Prefetch(&t.burst)
	}
}

// mayWait reports whether the store may let cl wait for what it asks: nothing else
// has come from it, and nobody waits for it.
func (l *loop) mayWait(cl *loopClient) bool {
	return l.server.hurrier != nil && !cl.more && !cl.readable && l.freezing == nil && !l.server.isStopping()
}

// hurry makes the store answer cl if it lets it wait.
func (l *loop) hurry(cl *loopClient) {
	if cl.patient != nil {
		l.server.hurrier.Hurry(&cl.patient.burst)
	}
}

// Complete makes a loop a session.Completer.
func (l *loop) Complete(bursts []*session.Burst) {
	l.tell(func(m *mailbox) { m.finished = append(m.finished, bursts...) })
}

// finish goes on with a turn whose burst is complete.
func (l *loop) finish(t *turn) {
	t.client.patient = nil
	if t.retry != nil {
		t.retry.End(&t.burst)
	}
	if !session.Unavailable(&t.burst) || !l.delay(t) {
		l.answer(t)
	}
}

// answer sends the answers of a turn whose results are final.
func (l *loop) answer(t *turn) {
	l.answered = append(l.answered, answered{t.client, t.arrived})
	l.reply(t, l.share())
}

// answered is a client and when the requests arrived that it got answers to.
type answered struct {
	client  *loopClient
	arrived time.Time
}

// tellTimes tells the connections that got answers how long that took.
func (l *loop) tellTimes() {
	if len(l.answered) == 0 {
		return
	}
	now := time.Now()
	for _, a := range l.answered {
		a.client.conn.Replied(now.Sub(a.arrived))
	}
	clear(l.answered)
	l.answered = l.answered[:0]
}

// reply sends the answers of a turn, as far as share goes. If that or the room in
// the socket is not enough the connection holds on to the turn.
func (l *loop) reply(t *turn, share int) {
	cl := t.client
	for done := false; !done; {
		var sent int
		var err error
		l.out.Reset()
		done = cl.conn.Reply(&l.out, &t.burst)
		t.size += int64(l.out.Len())
		if sent, cl.unsent, err = cl.sendOutput(&l.out, share); err != nil {
			cl.busy = false
			l.drop(cl, err)
			l.end(t)
			return
		}
		l.moved += sent
		share = max(share-sent, 0)
		if !done && (len(cl.unsent) > 0 || share == 0) {
			l.hold(cl, t)
			return
		}
	}
	if cap(l.out.Text) > maxKeptOut {
		l.out.Text = make([]byte, 0, 2*replyChunk)
	}
	cl.expects = t.size
	cl.discard(t.used)
	l.end(t)
	cl.settleMemory()
	if len(cl.unsent) > 0 {
		cl.be(Writing)
		l.queue(cl)
		return
	}
	cl.busy = false
	l.proceed(cl)
}

// hold makes cl go on with the answers of t when it has another turn.
func (l *loop) hold(cl *loopClient, t *turn) {
	cl.be(Writing)
	cl.held = t
	cl.holdAnswers(t)
	l.out.Reset() // it must not keep values longer than the turn does
	l.queue(cl)
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
