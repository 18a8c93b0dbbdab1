package cluster

import (
	"crypto/rand"
	"sync"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/engine"
	"cairn/session"
)

// shard is what a Store knows of one group: this node as an origin of bursts, which
// of those have no answer, and what waits.
type shard struct {
	store   *Store
	number  uint64
	replica Replica
	engine  func() *engine.Store
	origin  group.Origin

	mu         sync.Mutex
	closed     bool
	last, low  group.Sequence          // the last one used; all below low have answers
	open       map[group.Sequence]bool // from low on
	window     []*part                 // wait for a sequence
	waiting    map[*part]bool          // wait for a leader, or a while
	sent       peer.Pending            // forwards to whoever led
	life       int                     // how many origins there were before
	registered bool                    // the group knows the origin
	asks       bool                    // a registration is under way
}

const (
	// attemptTime bounds how long another node is waited for at first. Each time that the
	// answer has not come by then it is twice as long: the burst is large and the network
	// slow, say, and would never arrive in time.
	attemptTime = 2 * time.Second
	maxDoubled  = 8

	firstDelay = 2 * time.Millisecond
	lastDelay  = 200 * time.Millisecond

	// refreshEvery is how often the origin registers, so that it stays known.
	refreshEvery = group.OriginLife / 5
)

func (d *shard) init() {
	d.low = 1
	d.open = make(map[group.Sequence]bool)
	d.waiting = make(map[*part]bool)
}

// carryOut lets the group carry out a burst as it is.
func (d *shard) carryOut(b *session.Burst, to session.Completer) {
	j := &job{b: b, to: to, begun: time.Now()}
	j.left.Store(1)
	(&part{job: j, shard: d, burst: b}).begin()
}

// send lets a part go through the log.
func (d *shard) send(p *part) {
	if p.seq != 0 {
		d.attempt(p)
		return
	}
	d.mu.Lock()
	switch {
	case d.closed:
		d.mu.Unlock()
		p.fail(session.ErrClosed)
		return
	case d.last+1 >= d.low+group.Window:
		d.window = append(d.window, p)
		d.mu.Unlock()
		return
	}
	d.assign(p)
	d.mu.Unlock()
	d.attempt(p)
}

// assign gives p the next sequence. The lock is held.
func (d *shard) assign(p *part) {
	d.last++
	p.seq, p.life = d.last, d.life
	d.open[p.seq] = true
}

// answered notes that nobody waits for the sequence of p any more.
func (d *shard) answered(p *part) {
	var begin []*part
	d.mu.Lock()
	if p.seq == 0 || p.life != d.life {
		d.mu.Unlock()
		return
	}
	delete(d.open, p.seq)
	for d.low <= d.last && !d.open[d.low] {
		d.low++
	}
	for len(d.window) > 0 && d.last+1 < d.low+group.Window {
		d.assign(d.window[0])
		begin = append(begin, d.window[0])
		d.window = d.window[1:]
	}
	d.mu.Unlock()
	for _, p := range begin {
		d.attempt(p)
	}
}

// attempt sends a part to whoever leads, once the group knows this origin.
func (d *shard) attempt(p *part) {
	d.mu.Lock()
	if p.life != d.life && !p.maybe { // it had no effect under the former origin
		d.assign(p)
	}
	closed, stale, registered := d.closed, p.life != d.life, d.registered
	w := &group.Write{Origin: d.origin, Seq: p.seq, Mark: d.low, Burst: p.burst, Done: p.answered}
	d.mu.Unlock()
	switch {
	case closed:
		p.giveUp(session.ErrClosed)
	case !p.patient(), stale:
		p.giveUp(session.ErrUnavailable)
	case !registered:
		d.register()
		d.retry(p)
	default:
		d.write(w, p.attemptTime())
	}
}

// write lets the leader have w, if one is known. Another node is waited for that long.
func (d *shard) write(w *group.Write, wait time.Duration) {
	status := d.replica.Status()
	switch {
	case status.Leads:
		d.replica.Write(w)
	case status.Leader == 0:
		w.Done(nil, group.ErrNotLeader)
	default:
		d.forward(status.Leader, w, wait)
	}
}

func (d *shard) forward(leader uint64, w *group.Write, wait time.Duration) {
	body, err := appendForward(nil, d.number, w, d.store.o.Level)
	if err != nil {
		w.Done(nil, err)
		return
	}
	d.store.counts.forwarded.Add(1)
	d.store.o.Caller.Call(leader, body, time.Now().Add(wait), d.sent.Begin(leader, func(reply []byte, err error) {
		if err != nil {
			w.Done(nil, err)
			return
		}
		w.Done(decodeAnswer(reply))
	}))
	if d.replica.Status().Leader != leader { // it has changed before changed could know of this forward
		d.endSent()
	}
}

// endSent ends forwards to a node that led before another one does, as if the connection
// had broken. If the former leader is silent there would be no answer, and if there is
// one, the new leader has it, too.
func (d *shard) endSent() {
	if leader := d.replica.Status().Leader; leader != 0 {
		d.sent.End(func(to uint64) bool { return to != leader })
	}
}

// changed tells that another node leads, or none.
func (d *shard) changed() {
	d.endSent()
	d.wake()
}

// retry attempts p again, after a while or when there is another leader. From then on
// p belongs to whoever takes it out of waiting.
func (d *shard) retry(p *part) {
	delay := min(firstDelay<<min(p.rounds, 10), lastDelay)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		p.giveUp(session.ErrClosed)
		return
	}
	d.waiting[p] = true
	d.mu.Unlock()
	d.store.counts.again.Add(1)
	time.AfterFunc(delay, func() {
		if d.takeWaiting(p) {
			d.attempt(p)
		}
	})
}

func (d *shard) takeWaiting(p *part) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	waits := d.waiting[p]
	delete(d.waiting, p)
	return waits
}

// takeAll empties the list of what waits for a leader.
func (d *shard) takeAll() (all []*part) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range d.waiting {
		all = append(all, p)
	}
	clear(d.waiting)
	return all
}

// wake attempts again what waits for a leader.
func (d *shard) wake() {
	if d.replica.Status().Leader == 0 {
		return
	}
	for _, p := range d.takeAll() {
		d.attempt(p)
	}
}

// register makes the origin known to the group, or known for longer.
func (d *shard) register() {
	d.mu.Lock()
	if d.asks || d.closed {
		d.mu.Unlock()
		return
	}
	d.asks = true
	life, origin := d.life, d.origin
	d.mu.Unlock()
	d.write(&group.Write{Origin: origin, Register: true, Done: func(_ []byte, err error) {
		d.mu.Lock()
		d.asks = false
		known := err == nil && life == d.life && !d.registered
		d.registered = d.registered || known
		d.mu.Unlock()
		if known {
			d.wake()
		}
	}}, attemptTime)
}

// disown takes another origin, because the group does not know the one of a life
// any more: it was cut off for too long.
func (d *shard) disown(life int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if life != d.life {
		return
	}
	_, _ = rand.Read(d.origin[:]) // it never fails
	d.life++
	d.registered, d.last, d.low = false, 0, 1
	clear(d.open)
}

func (d *shard) close() {
	d.mu.Lock()
	d.closed = true
	window := d.window
	d.window = nil
	d.mu.Unlock()
	for _, p := range window {
		p.fail(session.ErrClosed)
	}
	for _, p := range d.takeAll() {
		p.giveUp(session.ErrClosed)
	}
}
