package proxy

import (
	"time"

	"cairn/cluster/peer"
	"cairn/cluster/remote"
)

// call asks a node. done is called once, from any goroutine. A call ends early when the
// node does not answer anything any more.
func (p *Proxy) call(to uint64, body []byte, deadline time.Time, done func(answer []byte, err error)) {
	p.callPeer(to, body, deadline, p.calls.Begin(to, done))
}

// caller is the cluster.Caller of the store: it forwards to the leader, by way of
// another node if there is no connection to it.
type caller struct{ *Proxy }

func (c caller) Call(leader uint64, body []byte, deadline time.Time, done func(answer []byte, err error)) {
	to, kind := leader, remote.KindForward
	if !c.members.answers(leader) {
		if to = c.members.another(leader); to == 0 {
			c.members.hurry()
			done(nil, peer.ErrUnreachable)
			return
		}
		kind = remote.KindRelay
		c.counts.relayed.Add(1)
	}
	c.call(to, append(remote.AppendCall(make([]byte, 0, len(body)+1), kind), body...), deadline, func(answer []byte, err error) {
		if err != nil || len(answer) == 1 && answer[0] != 0 { // who leads has changed, it seems
			c.members.hurry()
		}
		done(answer, err)
	})
}
