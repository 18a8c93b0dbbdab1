package cluster

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/session"
	"cairn/session/codec"
)

// maxPartSize is how many bytes of values and keys go through a log as one.
const maxPartSize = 16 << 20

// job is a burst being carried out.
type job struct {
	b     *session.Burst
	to    session.Completer
	begun time.Time
	left  atomic.Int32 // parts that are not complete
	mu    sync.Mutex   // guards the results while parts are completed
}

// part is what one group has to do of a burst.
type part struct {
	job    *job
	shard  *shard
	burst  *session.Burst // the job's own, if there is one part only
	places []int          // in the job's burst, of the commands; nil: it is that
	seq    group.Sequence // 0: none yet
	life   int            // of the shard, which the sequence belongs to

	next   *part // begins when this one is complete
	maybe  bool  // some attempt may have had its effect
	rounds int   // attempts that failed

	timeouts int // ... because there was no answer in time
}

// split makes parts of a burst. Commands that no group has to do get their results.
func (j *job) split(s *Store) (parts []*part) {
	open := make([]*part, len(s.shards))
	sizes := make([]int, len(s.shards))
	add := func(number, place int, c *session.Command) {
		p, size := open[number], len(c.Value)+len(c.Key)
		if p != nil && (len(p.places) == session.MaxCommands || sizes[number]+size > maxPartSize) {
			p = nil
		}
		if p == nil {
			p = &part{job: j, shard: s.shards[number], burst: &session.Burst{Now: j.b.Now, Origin: j.b.Origin}}
			open[number], sizes[number] = p, 0
			parts = append(parts, p)
		}
		p.burst.Commands = append(p.burst.Commands, *c)
		p.places = append(p.places, place)
		sizes[number] += size
	}
	for i := range j.b.Commands {
		c := &j.b.Commands[i]
		one := session.Burst{Commands: j.b.Commands[i : i+1]}
		switch {
		case c.Op == session.OpAdopt || codec.Check(&one, s.o.Level) != nil:
			j.b.Results[i] = session.Result{Status: session.Failed, Err: session.ErrBadCommand}
		case c.Op == session.OpFlush:
			for number := range s.shards {
				add(number, i, c)
			}
		default:
			add(groupOf(c.Key, len(s.shards)), i, c)
		}
	}
	return parts
}

// begin lets the parts begin that wait for no other: those of one group are carried
// out one after the other.
func (j *job) begin(parts []*part) {
	last := map[*shard]*part{}
	var first []*part
	for _, p := range parts {
		if before := last[p.shard]; before != nil {
			before.next = p
		} else {
			first = append(first, p)
		}
		last[p.shard] = p
	}
	for _, p := range first {
		p.begin()
	}
}

func (p *part) begin() {
	for i := range p.burst.Commands {
		if p.burst.Commands[i].Writes() {
			p.shard.send(p)
			return
		}
	}
	p.read()
}

// read carries out reads without the log, as far as that is possible.
func (p *part) read() {
	if r, ok := p.shard.replica.(Reader); ok {
		r.ReadBurst(p.burst, p.job.begun.Add(p.shard.store.o.Patience), p.readDone)
		return
	}
	(&reading{shard: p.shard, burst: p.burst, done: p.readDone}).begin()
}

func (p *part) readDone(err error) {
	switch {
	case errors.Is(err, session.ErrNeedsLog):
		p.shard.send(p)
	case err != nil:
		p.fail(err)
	default:
		p.done()
	}
}

// answered takes what has become of an attempt to write.
func (p *part) answered(results []byte, err error) {
	if err == nil {
		if _, err = codec.DecodeResults(results, p.burst); err == nil {
			p.shard.answered(p)
			p.done()
			return
		}
	}
	var refused *refusedError
	var unknown *codec.UnknownError
	switch {
	case errors.As(err, &refused), errors.As(err, &unknown):
		p.end(err)
		return
	case errors.Is(err, group.ErrNotLeader), errors.Is(err, peer.ErrUnreachable):
	case errors.Is(err, group.ErrStranger):
		p.shard.disown(p.life)
	default:
		p.maybe = true
	}
	p.rounds++
	if errors.Is(err, peer.ErrTimeout) {
		p.timeouts++
	}
	p.shard.retry(p)
}

// giveUp ends a part that has waited for too long.
func (p *part) giveUp(err error) {
	s := p.shard.store
	switch {
	case p.maybe:
		s.counts.unknown.Add(1)
		err = session.ErrUnknownOutcome
	default:
		s.counts.unavailable.Add(1)
	}
	p.end(err)
}

// end fails a part that has a sequence, perhaps.
func (p *part) end(err error) {
	p.shard.answered(p)
	p.fail(err)
}

func (p *part) fail(err error) {
	p.burst.FailAll(err)
	p.done()
}

// done lets the job have the results.
func (p *part) done() {
	j := p.job
	for i, place := range p.places {
		// A flush is in several parts: the first failure counts.
		j.mu.Lock()
		if r := &j.b.Results[place]; r.Status != session.Failed {
			*r = p.burst.Results[i]
		}
		j.mu.Unlock()
	}
	next := p.next
	if next != nil {
		if failed := p.failure(); errors.Is(failed, session.ErrUnavailable) || errors.Is(failed, session.ErrClosed) {
			next.fail(failed)
		} else {
			next.begin()
		}
	}
	if j.left.Add(-1) == 0 {
		j.to.Complete([]*session.Burst{j.b})
	}
}

// failure is why a part has failed as a whole; nil: it has not.
func (p *part) failure() error {
	if len(p.burst.Results) == 0 {
		return nil
	}
	return p.burst.Results[0].Err
}

// attemptTime is how long another node is waited for in the next attempt.
func (p *part) attemptTime() time.Duration {
	if p.timeouts == 0 {
		return attemptTime
	}
	return min(attemptTime<<min(p.timeouts, maxDoubled), time.Until(p.job.begun.Add(p.shard.store.o.Patience)))
}

// patient reports whether a part may go on waiting.
func (p *part) patient() bool { return time.Since(p.job.begun) < p.shard.store.o.Patience }
