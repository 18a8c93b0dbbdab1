package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"cairn/cluster/peer"
	"cairn/cluster/remote"
	"cairn/session"
	"cairn/session/codec"
)

// TestReadsGoToWhoIsReady lets nodes say how far they are: none is asked that has just
// been started and has much of its log to carry out, or knows of no leader, unless there is
// no other.
func TestReadsGoToWhoIsReady(t *testing.T) {
	m := newMembers(&Proxy{})
	m.groups = []groupView{{term: 1, leader: 1}}
	for id := range uint64(3) {
		m.nodes[id+1] = new(node)
	}
	drained := uint64(0)
	says := func(id uint64, g remote.Group) {
		text, err := json.Marshal(remote.Status{Node: id, Nodes: []remote.Node{{Node: 1}, {Node: 2, Drained: drained == 2}}, Groups: []remote.Group{g}})
		if err != nil {
			t.Fatal(err)
		}
		m.heard(id, append([]byte{0}, text...), nil)
	}
	asked := func(than uint64) map[uint64]bool {
		ids := map[uint64]bool{}
		for range 6 {
			ids[m.another(than)] = true
		}
		return ids
	}
	if ids := asked(0); len(ids) != 3 {
		t.Errorf("before any has said how it is, %v are asked", ids)
	}
	says(1, remote.Group{Term: 1, Leader: 1, Committed: 5000, Applied: 4990})
	says(2, remote.Group{Term: 1, Leader: 1, Committed: 5000, Applied: 1})
	says(3, remote.Group{Term: 1})
	if ids := asked(0); len(ids) != 1 || !ids[1] {
		t.Errorf("%v are asked, want the one that is ready", ids)
	}
	if ids := asked(1); len(ids) != 2 || ids[1] {
		t.Errorf("%v are asked instead of the one that is ready, want both others", ids)
	}
	says(2, remote.Group{Term: 1, Leader: 1, Committed: 10, Applied: 10})
	if ids := asked(0); len(ids) != 1 {
		t.Errorf("%v are asked, want one: the other has not heard how long the log is", ids)
	}
	says(1, remote.Group{Term: 2, Committed: 5000, Applied: 5000})
	if ids := asked(0); len(ids) != 1 || !ids[1] {
		t.Errorf("%v are asked, want the one that was ready before nobody led", ids)
	}
	says(2, remote.Group{Term: 1, Leader: 1, Committed: 5010, Applied: 5010})
	if ids := asked(0); len(ids) != 2 || ids[3] {
		t.Errorf("%v are asked, want the two that are ready", ids)
	}
	drained = 2
	says(2, remote.Group{Term: 1, Leader: 1, Committed: 5010, Applied: 5010})
	if ids := asked(0); len(ids) != 1 || !ids[1] {
		t.Errorf("%v are asked, want the one that is not drained", ids)
	}
	if ids := asked(1); len(ids) != 1 || !ids[2] {
		t.Errorf("%v are asked, want the drained one, since the third is not ready", ids)
	}
}

// TestLateReadsAreAskedTwice lets the first node that is asked never answer: another one is
// asked, and heard, also if the first one fails then.
func TestLateReadsAreAskedTwice(t *testing.T) {
	for _, fails := range []bool{false, true} {
		p := &Proxy{ctx: context.Background()}
		p.members = newMembers(p)
		p.members.nodes[1], p.members.nodes[2] = new(node), new(node)
		var mu sync.Mutex
		var asked, first uint64
		var firstDone func([]byte, error)
		p.callPeer = func(to uint64, _ []byte, _ time.Time, done func([]byte, error)) {
			mu.Lock()
			defer mu.Unlock()
			if asked++; asked == 1 {
				first, firstDone = to, done
				return
			}
			if to == first {
				t.Error("the same node is asked again")
			}
			if fails {
				firstDone(nil, errors.New("broken"))
			}
			b := &session.Burst{Commands: []session.Command{get("k")}, Results: []session.Result{{Status: session.OK, Item: session.Item{Value: []byte("v")}}}}
			done(remote.AnswerRead(b, codec.Latest), nil)
			firstDone(nil, errors.New("late")) // which nobody hears
		}
		b := &session.Burst{Commands: []session.Command{get("k")}}
		done := make(chan error, 2)
		(&replica{proxy: p}).ReadBurst(b, time.Now().Add(patience), func(err error) { done <- err })
		select {
		case err := <-done:
			if err != nil || string(b.Results[0].Item.Value) != "v" {
				t.Errorf("the read brought %v, %q", err, b.Results[0].Item.Value)
			}
		case <-time.After(patience):
			t.Fatal("nobody else is asked")
		}
		mu.Lock() // the second call has returned
		defer mu.Unlock()
		if asked != 2 || len(done) > 0 {
			t.Errorf("%d nodes were asked, and %d more answers heard", asked, len(done))
		}
		if n := p.askedTwice.Load(); n != 0 {
			t.Errorf("%d reads are asked twice in the end", n)
		}
	}
}

// TestLateReadsAreWaitedForLonger lets answers come a little later than they are waited
// for, until they are waited for long enough: they are large, and the network slow.
func TestLateReadsAreWaitedForLonger(t *testing.T) {
	p := &Proxy{ctx: context.Background()}
	p.members = newMembers(p)
	p.members.nodes[1], p.members.nodes[2] = new(node), new(node)
	var mu sync.Mutex
	longest := time.Duration(0)
	p.callPeer = func(_ uint64, _ []byte, deadline time.Time, done func([]byte, error)) {
		wait := time.Until(deadline)
		mu.Lock()
		longest = max(longest, wait)
		mu.Unlock()
		if wait < 20*time.Second {
			done(nil, peer.ErrTimeout)
			return
		}
		b := &session.Burst{Commands: []session.Command{get("k")}, Results: []session.Result{{Status: session.OK}}}
		done(remote.AnswerRead(b, codec.Latest), nil)
	}
	b := &session.Burst{Commands: []session.Command{get("k")}}
	done := make(chan error, 1)
	(&replica{proxy: p}).ReadBurst(b, time.Now().Add(time.Hour), func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if longest < 20*time.Second {
		t.Errorf("it was waited for %v at last", longest)
	}
}

// TestMuchReceivedIsNotSilence lets a node answer no question in time: it is silent, unless
// much comes from it meanwhile.
func TestMuchReceivedIsNotSilence(t *testing.T) {
	p := new(Proxy)
	p.members = newMembers(p)
	received := int64(0)
	p.received = func(uint64) int64 { return received }
	now := time.Now()
	n := &node{asked: now}
	p.members.nodes[1] = n
	for range 20 {
		now = now.Add(silence / 2)
		received += muchReceived
		p.members.look(1, n, now)
		if n.silent {
			t.Fatal("a node that sends much is silent")
		}
	}
	for range 3 {
		now = now.Add(silence / 2)
		received += muchReceived / 10 // what it says of itself
		p.members.look(1, n, now)
	}
	if !n.silent {
		t.Error("a node that does not answer is not silent")
	}
}
