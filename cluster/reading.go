package cluster

import (
	"errors"

	"cairn/cluster/group"
	"cairn/session"
)

// reading is a burst of reads on this node's replica, which is carried out when that is
// known to have what was acknowledged anywhere.
type reading struct {
	shard *shard
	burst *session.Burst

	// done is called once. session.ErrNeedsLog says that the reads have to go through
	// the log: one of them claims an item, or the replica cannot answer.
	done func(err error)

	came session.Time // Now of the burst, while it is read as of another
}

func (r *reading) begin() { r.shard.replica.Read(&group.Read{Ready: r.ready}) }

func (r *reading) ready(err error) {
	s := r.shard.store
	switch {
	case err == errAway || err == group.ErrStopped && s.ctx.Err() == nil:
		r.done(session.ErrNeedsLog) // this node's replica is being replaced; the log has reads as well
		return
	case err != nil:
		r.done(readError(err))
		return
	}
	clock := r.shard.replica.Clock()
	if lag := r.burst.Now.Sub(clock); lag > s.o.MaxLag || s.o.MaxLag < 0 && lag > 0 {
		r.done(session.ErrNeedsLog)
		return
	}
	r.came, r.burst.Now = r.burst.Now, clock
	if e := r.shard.engine(); !e.Try(r.burst) {
		e.Apply(r.burst, r)
		return
	}
	r.end()
}

// Complete makes it the session.Completer of its burst.
func (r *reading) Complete([]*session.Burst) { r.end() }

func (r *reading) end() {
	r.burst.Now = r.came
	open := r.shard.store.ctx.Err() == nil
	for i := range r.burst.Results {
		err := r.burst.Results[i].Err
		if errors.Is(err, session.ErrNeedsLog) || open && (errors.Is(err, session.ErrClosed) || errors.Is(err, session.ErrCorrupt)) {
			r.done(session.ErrNeedsLog) // a replica that cannot answer is replaced, or finds out there
			return
		}
	}
	r.done(nil)
}
