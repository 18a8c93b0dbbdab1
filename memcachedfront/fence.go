package memcachedfront

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/zeebo/xxh3"

	"cairn/memcachedfront/protocol"
	"cairn/origin"
	"cairn/policy"
	"cairn/seen"
	"cairn/session"
)

// fences keep sessions that were removed from being stored again by those who saw
// them before (see policy.Rule). They are a server's part; a conn has its own in
// fenced.
type fences struct {
	peers seen.Peers
	kept  sync.Map // by the names of rules: *atomic.Uint64, writes kept out
}

// fenced is what a conn knows of sessions that are behind a fence.
type fenced struct {
	table      seen.Table // what the client has seen on this connection
	peer       uint64     // who it is; 0: not known yet
	generation uint64     // of the server's peers, when the burst was planned

	// keys are the hashes of the keys of the burst's first commands.
	keys []uint64
}

// fenceRules returns the rules in force if any of them has a fence.
func (c *conn) fenceRules() *policy.Set {
	if rules := c.server.options.Rules; rules != nil {
		if set := rules.Set(); set.Fences() {
			return set
		}
	}
	return nil
}

// waits reports whether r, which stores a session, must wait for the next burst,
// because answers of this one tell what its client has seen.
func (c *conn) waits(r *protocol.Request, b *session.Burst) bool {
	if r.Verb != protocol.Set && r.Verb != protocol.Add && r.Verb != protocol.MetaSet || len(b.Commands) == c.start {
		return false
	}
	set := c.fenceRules()
	if set == nil || set.Fence(r.Key) == nil {
		return false
	}
	f := &c.fenced
	for i := c.start + len(f.keys); i < len(b.Commands); i++ {
		if b.Commands[i].Op == session.OpFlush {
			return true
		}
		f.keys = append(f.keys, xxh3.Hash(b.Commands[i].Key))
	}
	return slices.Contains(f.keys, xxh3.Hash(r.Key))
}

// depend makes the commands of a burst that store sessions depend on what the
// client has seen of them.
func (c *conn) depend(b *session.Burst) {
	set := c.fenceRules()
	if set == nil {
		return
	}
	c.fenced.generation = c.server.fences.peers.Generation()
	for i := c.start; i < len(b.Commands); i++ {
		cmd := &b.Commands[i]
		if cmd.Op != session.OpSet && cmd.Op != session.OpAdd || cmd.Has(session.IfVersion) {
			continue
		}
		rule := set.Fence(cmd.Key)
		if rule == nil || cmd.Op == session.OpAdd && rule.Fence != policy.FencePeer {
			continue
		}
		if born, ok := c.seenBorn(rule, cmd.Key, b.Now); ok {
			cmd.Mods |= session.IfBorn
			cmd.Born = born
		}
	}
}

// seenBorn returns when the session began that the client has seen under key.
func (c *conn) seenBorn(rule *policy.Rule, key []byte, now session.Time) (born uint64, ok bool) {
	if rule.Fence == policy.FencePeer {
		return c.server.fences.peers.Born(c.peerKey(key), now)
	}
	return c.fenced.table.Born(xxh3.Hash(key), now)
}

// learn notes what results, which are going to be told, say of sessions.
func (c *conn) learn(b *session.Burst) {
	set := c.fenceRules()
	if set == nil {
		return
	}
	for i := range b.Commands {
		cmd := &b.Commands[i]
		if cmd.Op == session.OpFlush {
			if cmd.FlushAt <= b.Now && b.Results[i].Status == session.OK {
				c.fenced.table.Clear()
			}
			continue
		}
		if rule := set.Fence(cmd.Key); rule != nil {
			c.learnOf(rule, cmd, &b.Results[i], b.Now)
		}
	}
}

// learnOf is learn for one command.
func (c *conn) learnOf(rule *policy.Rule, cmd *session.Command, r *session.Result, now session.Time) {
	switch r.Status {
	case session.OK:
		if cmd.Op != session.OpDelete || cmd.Mods&(session.Invalidate|session.DropValue) != 0 {
			c.remember(rule, cmd.Key, &r.Item, now)
		} else if rule.Fence == policy.FenceConnection {
			c.fenced.table.Forget(xxh3.Hash(cmd.Key))
		}
	case session.NotStored:
		if cmd.Op != session.OpAdd {
			c.missed(rule, cmd.Key, now)
		} else if r.Item.Born != 0 {
			c.remember(rule, cmd.Key, &r.Item, now)
		}
	case session.NotFound:
		c.missed(rule, cmd.Key, now)
	case session.Failed:
		if errors.Is(r.Err, session.ErrCorrupt) { // nobody can tell which session it is
			c.forgetSession(rule, cmd.Key, now)
		}
	case session.Fenced:
		c.keptOut(rule, cmd.Key)
	}
}

// remember notes that the client has seen a session alive.
func (c *conn) remember(rule *policy.Rule, key []byte, it *session.Item, now session.Time) {
	until := rule.FencedUntil(it, now)
	if rule.Fence == policy.FencePeer {
		c.server.fences.peers.Remember(c.peerKey(key), it.Born, c.fenced.generation, until, now)
		return
	}
	c.fenced.table.Remember(xxh3.Hash(key), it.Born, until, now)
}

// missed notes that the client was told that there is no session under key. That
// lets it store one, unless it never does.
func (c *conn) missed(rule *policy.Rule, key []byte, now session.Time) {
	if !rule.FenceHolds {
		c.forgetSession(rule, key, now)
	}
}

// forgetSession lets the client store whatever it wants under key.
func (c *conn) forgetSession(rule *policy.Rule, key []byte, now session.Time) {
	if rule.Fence == policy.FencePeer {
		c.server.fences.peers.Forget(c.peerKey(key), now)
		return
	}
	c.fenced.table.Forget(xxh3.Hash(key))
}

// keptOut counts a write that a fence kept out.
func (c *conn) keptOut(rule *policy.Rule, key []byte) {
	c.server.fences.count(rule.Name).Add(1)
	if log := c.server.options.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
		hash := sha256.Sum256(key)
		log.Debug("a session that was removed was not stored again", "rule", rule.Name, "key_sha256", fmt.Sprintf("%x", hash[:8]), "connection", c.link.ID())
	}
}

// shown returns the status that the client hears of: a write that the fence kept
// out looks as if it had come just before the session was removed, unless the rule
// wants it to look otherwise. An add was not carried out, which says that there is
// a session.
func (c *conn) shown(cmd *session.Command, r *session.Result) session.Status {
	if r.Status != session.Fenced {
		return r.Status
	}
	if cmd.Op == session.OpAdd {
		return session.NotStored
	}
	if set := c.fenceRules(); set != nil {
		if rule := set.Fence(cmd.Key); rule != nil && rule.FenceRefuses {
			return session.NotStored
		}
	}
	return session.OK
}

// peerKey is the hash of a key for the client's address. All that a Unix socket
// connects of one user is one client.
func (c *conn) peerKey(key []byte) uint64 {
	if c.fenced.peer == 0 {
		c.fenced.peer = peerOf(c.link.Remote(), c.link.Origin())
	}
	return xxh3.Hash(key) * c.fenced.peer
}

// peerOf returns a number for a client, which is odd.
func peerOf(remote net.Addr, from origin.Origin) uint64 {
	who := from.String()
	if tcp, ok := remote.(*net.TCPAddr); ok {
		who = tcp.AddrPort().Addr().Unmap().String()
	}
	return xxh3.HashString(who) | 1
}

// count returns the counter of a rule.
func (f *fences) count(rule string) *atomic.Uint64 {
	counter, ok := f.kept.Load(rule)
	if !ok {
		counter, _ = f.kept.LoadOrStore(rule, new(atomic.Uint64))
	}
	return counter.(*atomic.Uint64)
}

var fencedDesc = prometheus.NewDesc("cairn_fenced_writes_total",
	"Writes of sessions that were removed after the client had seen them, by rule.", []string{"rule"}, nil)

// collectFences sends how many writes were kept out by each rule in force.
func (s *Server) collectFences(ch chan<- prometheus.Metric) {
	if s.options.Rules == nil {
		return
	}
	for _, rule := range s.options.Rules.Set().Rules() {
		if rule.Fence != policy.FenceOff {
			ch <- prometheus.MustNewConstMetric(fencedDesc, prometheus.CounterValue, float64(s.fences.count(rule.Name).Load()), rule.Name)
		}
	}
}
