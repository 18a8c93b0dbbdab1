package cluster

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/session"
	"cairn/session/codec"
)

// elsewhere is a replica of which only is known who leads.
type elsewhere struct {
	Replica
	leader atomic.Uint64
}

func (e *elsewhere) Status() group.Status { return group.Status{Leader: e.leader.Load()} }
func (e *elsewhere) Clock() session.Time  { return 0 }

// phone is a Caller whose node 2 knows the origin, and then says nothing any more.
type phone struct {
	t      *testing.T
	silent chan bool // node 2 was asked for more
}

func (p *phone) Call(to uint64, body []byte, _ time.Time, done func(reply []byte, err error)) {
	_, w, err := decodeForward(body)
	switch {
	case err != nil:
		p.t.Error(err)
	case w.Register:
		done(encodeAnswer(nil, nil), nil)
	case to == 2:
		p.silent <- true
	default:
		w.Burst.SizeResults()
		w.Burst.Results[0].Status = session.NotFound
		results, err := codec.AppendResults(nil, w.Burst, codec.Latest)
		if err != nil {
			p.t.Error(err)
		}
		done(encodeAnswer(results, nil), nil)
	}
}

type completed chan *session.Burst

func (c completed) Complete(bursts []*session.Burst) { c <- bursts[0] }

// A burst that was sent to a node which has fallen silent goes to the next leader as soon
// as one is known, however long it would have waited for the answer.
func TestSilentLeaderIsLeft(t *testing.T) {
	replica := new(elsewhere)
	replica.leader.Store(2)
	p := &phone{t: t, silent: make(chan bool)}
	s, err := NewStore(StoreOptions{Replicas: []Replica{replica}, Caller: p, Clock: func() session.Time { return 1 }, Patience: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to := make(completed, 1)
	go s.Apply(&session.Burst{Commands: []session.Command{{Op: session.OpDelete, Key: []byte("k")}}}, to)
	<-p.silent
	replica.leader.Store(3)
	s.Changed(0)
	select {
	case b := <-to:
		if b.Results[0].Status != session.NotFound {
			t.Errorf("%+v", b.Results[0])
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the burst waits for the former leader")
	}
}

// impatient is a Caller whose every answer comes a little later than it is waited for,
// until it is waited for long enough.
type impatient struct {
	*phone
	takes time.Duration
	waits []time.Duration
}

func (p *impatient) Call(to uint64, body []byte, deadline time.Time, done func(reply []byte, err error)) {
	if wait := time.Until(deadline); wait < p.takes {
		_, w, err := decodeForward(body)
		if err == nil && !w.Register {
			p.waits = append(p.waits, wait)
			done(nil, peer.ErrTimeout)
			return
		}
	}
	p.phone.Call(to, body, deadline, done)
}

// What takes longer than the first attempt allows, because the burst is large and the
// network slow, comes to its end in a later one.
func TestAttemptsTakeLonger(t *testing.T) {
	replica := new(elsewhere)
	replica.leader.Store(3)
	p := &impatient{phone: &phone{t: t}, takes: time.Minute}
	s, err := NewStore(StoreOptions{Replicas: []Replica{replica}, Caller: p, Clock: func() session.Time { return 1 }, Patience: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := &session.Burst{Commands: []session.Command{{Op: session.OpDelete, Key: []byte("k")}}}
	session.Do(s, b)
	if b.Results[0].Status != session.NotFound {
		t.Errorf("%+v", b.Results[0])
	}
	if len(p.waits) < 5 || !slices.IsSorted(p.waits) {
		t.Errorf("it was waited for %v, want about twice as long each time", p.waits)
	}
}
