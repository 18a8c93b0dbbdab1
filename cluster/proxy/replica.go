package proxy

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cairn/cluster"
	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/cluster/remote"
	"cairn/session"
	"cairn/session/codec"
)

// replica is what stands for a group's replicas, all of which are on other machines.
type replica struct {
	proxy  *Proxy
	number uint64
}

var (
	_ cluster.Replica = (*replica)(nil)
	_ cluster.Reader  = (*replica)(nil)
)

func (r *replica) Status() (s group.Status) {
	s.Term, s.Leader = r.proxy.members.leader(r.number)
	return s
}

func (r *replica) Clock() session.Time  { return r.proxy.members.clockOf(r.number) }
func (r *replica) Write(w *group.Write) { w.Done(nil, group.ErrNotLeader) }
func (r *replica) Read(read *group.Read) {
	read.Ready(group.ErrNoLeader) // reads go by ReadBurst
}

const (
	// maxRead is how many commands of a burst a node is asked at a time: their values
	// come in one answer, and are in the node's memory.
	maxRead = 16

	// readTime bounds how long one node is waited for at first. Each time that nobody has
	// answered by then it is twice as long: the answer is large and the network slow, say,
	// and would never come in time.
	readTime = 2 * time.Second

	// lateAfter is when another node is asked, too, if there are not too many such reads.
	lateAfter     = 50 * time.Millisecond
	maxAskedTwice = 64

	// fewBytes of values need no Room.
	fewBytes = 64 << 10

	// maxDoubled is how often the times for an answer are doubled.
	maxDoubled = 8

	firstPause = 2 * time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// ReadBurst is cluster.Reader's. The first commands are read first: what they bring
// says how much memory the burst takes. The others are read at once.
func (r *replica) ReadBurst(b *session.Burst, deadline time.Time, done func(err error)) {
	b.SizeResults()
	r.proxy.counts.reads.Add(1)
	f := &fetch{replica: r, burst: b, deadline: deadline, done: done}
	f.left.Store(1)
	f.read(0, min(maxRead, len(b.Commands)), func() {
		if len(b.Commands) <= maxRead {
			f.end(nil)
			return
		}
		f.takeRoom(f.rest)
	})
}

// fetch is a burst of reads on its way.
type fetch struct {
	replica  *replica
	burst    *session.Burst
	deadline time.Time
	done     func(err error)

	left atomic.Int32 // pieces that are on their way
	mu   sync.Mutex
	err  error // of a piece that failed
}

// takeRoom goes on when there is memory for the values of all commands, as far as
// those of the first let guess.
func (f *fetch) takeRoom(then func()) {
	size := int64(0)
	for i := range f.burst.Results[:maxRead] {
		size += int64(len(f.burst.Results[i].Item.Value))
	}
	size = size * int64(len(f.burst.Commands)) / maxRead
	if room := f.burst.Room; room == nil || size <= fewBytes || room.Take(size, then) {
		then()
	}
}

// rest reads all but the first commands.
func (f *fetch) rest() {
	n := len(f.burst.Commands)
	f.left.Store(int32((n - 1) / maxRead))
	for from := maxRead; from < n; from += maxRead {
		f.read(from, min(from+maxRead, n), func() { f.end(nil) })
	}
}

// end ends a piece.
func (f *fetch) end(err error) {
	f.mu.Lock()
	if f.err == nil || errors.Is(err, session.ErrNeedsLog) { // which the log answers as a whole
		f.err = err
	}
	err = f.err
	f.mu.Unlock()
	if f.left.Add(-1) == 0 {
		f.done(err)
	}
}

// piece is some of a burst's commands.
type piece struct {
	*fetch
	from, to int
	rounds   int
	timeouts int    // rounds in which no node answered in time
	last     uint64 // the node that was asked last
	then     func()
}

// read reads commands from one up to that before another.
func (f *fetch) read(from, to int, then func()) {
	(&piece{fetch: f, from: from, to: to, then: then}).ask()
}

// ask asks a node, another one than before.
func (p *piece) ask() {
	proxy := p.replica.proxy
	to := proxy.members.another(p.last)
	if to == 0 {
		if to = p.last; to == 0 || !proxy.members.answers(to) {
			p.again(peer.ErrUnreachable)
			return
		}
	}
	p.last = to
	some := session.Burst{Now: p.burst.Now, Commands: p.burst.Commands[p.from:p.to]}
	body, err := remote.AppendRead(nil, p.replica.number, &some, codec.Latest)
	if err != nil {
		p.end(err)
		return
	}
	q := &question{piece: p, body: body, asked: to}
	q.open.Store(1)
	q.late = time.AfterFunc(lateAfter<<min(p.timeouts, maxDoubled), q.askAnother)
	proxy.call(to, body, p.until(), q.take)
}

// until is when the node that is asked now is given up.
func (p *piece) until() time.Time {
	until := time.Now().Add(readTime << min(p.timeouts, maxDoubled))
	if p.timeouts > 0 && until.After(p.deadline) {
		return p.deadline
	}
	return until
}

// question is what a node is asked, and another one if the first is late. Who answers
// first is heard.
type question struct {
	*piece
	body     []byte
	asked    uint64 // the first node
	late     *time.Timer
	open     atomic.Int32 // nodes that have not answered, or failed
	answered atomic.Bool
}

// take takes an answer. A failure does not count while another node is to answer.
func (q *question) take(answer []byte, err error) {
	if left := q.open.Add(-1); err != nil && left > 0 {
		return
	}
	if !q.answered.Swap(true) {
		q.late.Stop()
		q.piece.answered(answer, err)
	}
}

// askAnother asks another node, since the first is late: it is frozen, say, or has just
// been started and carries out its log. If many are late there is too much to do, and to
// ask twice would make it more.
func (q *question) askAnother() {
	proxy := q.replica.proxy
	to := proxy.members.another(q.asked)
	if to == 0 || q.answered.Load() {
		return
	}
	if proxy.askedTwice.Add(1) > maxAskedTwice {
		proxy.askedTwice.Add(-1)
		return
	}
	proxy.counts.readsAgain.Add(1)
	q.open.Add(1)
	proxy.call(to, q.body, q.until(), func(answer []byte, err error) {
		proxy.askedTwice.Add(-1)
		q.take(answer, err)
	})
}

func (p *piece) answered(answer []byte, err error) {
	n := 0
	if err == nil {
		some := session.Burst{Commands: p.burst.Commands[p.from:p.to], Results: p.burst.Results[p.from:p.to]}
		n, err = remote.DecodeReading(answer, &some)
	}
	switch {
	case errors.Is(err, session.ErrNeedsLog):
		p.end(err)
	case err != nil:
		p.again(err)
	case p.from+n < p.to:
		p.from += n
		p.rounds = 0
		p.ask()
	default:
		p.then()
	}
}

// again asks another node, after a while if it is not the first time.
func (p *piece) again(err error) {
	proxy := p.replica.proxy
	switch {
	case proxy.ctx.Err() != nil:
		p.end(session.ErrClosed)
		return
	case time.Now().After(p.deadline):
		proxy.counts.unavailable.Add(1)
		p.end(session.ErrUnavailable)
		return
	}
	proxy.counts.readsAgain.Add(1)
	p.rounds++
	if errors.Is(err, peer.ErrTimeout) {
		p.timeouts++
	}
	if p.rounds == 1 && !errors.Is(err, peer.ErrUnreachable) {
		p.ask()
		return
	}
	time.AfterFunc(min(firstPause<<min(p.rounds, 8), lastPause), p.ask)
}
