package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/cluster/remote"
	"cairn/session"
)

// proxyCounts are what a node does for proxies.
type proxyCounts struct{ reads, relays atomic.Int64 }

// maxScans bounds how many scans of proxies there are at once.
const maxScans = 8

// scans are those that are under way for proxies.
type scans struct {
	mu      sync.Mutex
	closed  bool
	count   int
	running sync.WaitGroup
}

// begin runs scan in a goroutine of its own, unless there are too many.
func (s *scans) begin(scan func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.count == maxScans {
		return false
	}
	s.count++
	s.running.Go(func() {
		scan()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count--
	})
	return true
}

func (s *scans) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
}

// ServeProxy does what a proxy asks for.
func (h handler) ServeProxy(call []byte, reply func(answer []byte)) {
	kind, body, err := remote.CutCall(call)
	if err != nil {
		reply(remote.Failure(err))
		return
	}
	s := h.store.Load()
	switch kind {
	case remote.KindStatus:
		reply(remote.Answer(h.proxyStatus(s)))
		return
	case remote.KindForward, remote.KindRelay:
		h.serveForward(s, kind == remote.KindRelay, body, reply)
		return
	}
	switch {
	case s == nil:
		reply(remote.Failure(remote.ErrElsewhere))
	case kind == remote.KindRead:
		h.forProxies.reads.Add(1)
		s.readFor(body, reply)
	case kind == remote.KindScan, kind == remote.KindOwners:
		if !s.scans.begin(func() { reply(s.scanFor(kind, body)) }) {
			reply(remote.Failure(remote.ErrElsewhere))
		}
	default:
		reply(remote.Failure(remote.ErrMalformed))
	}
}

// proxyStatus is what proxies have to know.
func (n *Node) proxyStatus(s *Store) (status remote.Status) {
	identity := n.membership.Identity()
	status.Node, status.Now, status.Connected = identity.Node, time.Now(), n.peers.Connected()
	if s == nil {
		return status
	}
	for _, node := range n.Status().Nodes {
		if node.Member {
			status.Nodes = append(status.Nodes, remote.Node{Node: node.Node, Address: node.Address, Zone: node.Zone, Drained: node.Drained})
		}
	}
	for _, d := range s.shards {
		g := d.replica.Status()
		status.Groups = append(status.Groups, remote.Group{
			Term: g.Term, Leader: g.Leader, Clock: d.replica.Clock(), Committed: g.Committed, Applied: g.Applied,
		})
	}
	status.Stats = s.Stats()
	return status
}

// serveForward lets the group's leader carry out what a proxy forwards: this node, or,
// if relay is set, the one that leads.
func (h handler) serveForward(s *Store, relay bool, body []byte, reply func([]byte)) {
	if s == nil {
		reply(encodeAnswer(nil, group.ErrNotLeader))
		return
	}
	number, err := forwardGroup(body)
	if err != nil || number >= uint64(len(s.shards)) {
		reply(encodeAnswer(nil, errForward))
		return
	}
	status := s.shards[number].replica.Status()
	if !relay || status.Leads || status.Leader == 0 {
		serve(s.o.Replicas, body, reply)
		return
	}
	h.forProxies.relays.Add(1)
	s.o.Caller.Call(status.Leader, body, time.Now().Add(s.o.Patience), func(answer []byte, err error) {
		switch {
		case errors.Is(err, peer.ErrUnreachable):
			answer = encodeAnswer(nil, group.ErrNotLeader)
		case err != nil:
			answer = encodeAnswer(nil, group.ErrLost)
		}
		reply(answer)
	})
}

// forwardGroup returns the group of a forward of a burst or of a registration.
func forwardGroup(body []byte) (number uint64, err error) {
	if len(body) < 2 || body[0] != forwardBurst && body[0] != forwardRegister {
		return 0, errForward
	}
	number, _ = cutNumber(body[1:])
	return number, nil
}

// readFor reads on this node's replica.
func (s *Store) readFor(body []byte, reply func([]byte)) {
	b := new(session.Burst)
	number, err := remote.DecodeRead(body, b)
	if err == nil && number >= uint64(len(s.shards)) {
		err = remote.ErrMalformed
	}
	if err != nil {
		reply(remote.Failure(err))
		return
	}
	(&reading{shard: s.shards[number], burst: b, done: func(err error) {
		switch {
		case err == nil:
			reply(remote.AnswerRead(b, s.o.Level))
		case errors.Is(err, session.ErrNeedsLog):
			reply(remote.Failure(err))
		default:
			reply(remote.Failure(remote.ErrElsewhere))
		}
	}}).begin()
}

// scanFor answers a scan with a page.
func (s *Store) scanFor(kind remote.Kind, body []byte) []byte {
	var what remote.Scan
	if err := json.Unmarshal(body, &what); err != nil {
		return remote.Failure(remote.ErrMalformed)
	}
	ctx, cancel := context.WithTimeout(s.ctx, remote.ScanTime)
	defer cancel()
	answer, err := s.page(ctx, kind, &what)
	if err != nil {
		if errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrClosed) || ctx.Err() != nil {
			err = remote.ErrElsewhere
		}
		return remote.Failure(err)
	}
	return answer
}

func (s *Store) page(ctx context.Context, kind remote.Kind, what *remote.Scan) (answer []byte, err error) {
	if kind == remote.KindOwners {
		var page remote.Owners
		err = s.ScanOwners(ctx, what.Prefix, what.After, func(o *session.OwnerSummary) bool {
			more := page.Add(o)
			page.More = !more
			return more
		})
		return remote.Answer(&page), err
	}
	var page remote.Page
	full := false
	add := func(it *session.Item) bool {
		full = !page.Add(it)
		return !full
	}
	if what.Owner != nil {
		err = s.ScanOwner(ctx, what.Owner, what.After, what.Values, add)
	} else {
		err = s.Scan(ctx, what.Prefix, what.After, add)
	}
	return page.Answer(full, s.o.Level), err
}
