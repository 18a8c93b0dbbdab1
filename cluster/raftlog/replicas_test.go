package raftlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/group"
	"cairn/cluster/raftlog"
	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
	"cairn/ttl"
)

var _ group.Storage = (*raftlog.Group)(nil)

// machines are three nodes in this process, each with engines and one log on a disk
// that loses what was not synced. They have two groups.
type machines struct {
	t     *testing.T
	clock *ttl.Clock
	rng   *rand.Rand

	mu    sync.Mutex
	nodes [3]*machine
}

const groups = 2

type machine struct {
	*node
	fs       *vfs.MemFS
	engines  [groups]*engine.Store
	replicas [groups]*group.Group
}

func (c *machines) start(i int, fs *vfs.MemFS) {
	c.t.Helper()
	m := &machine{fs: fs, node: &node{t: c.t, fs: fs}}
	m.open()
	quiet := slog.New(slog.DiscardHandler)
	for number := range uint64(groups) {
		log := m.store.Group(number)
		if log.Empty() {
			must(c.t, log.Bootstrap(1, 1, conf(1, 2, 3)))
		}
		var err error
		m.engines[number], err = engine.Open(engine.Options{
			Dir: fmt.Sprint("data", number), FS: fs, ExternalLog: true, Logger: quiet, DiskReserve: -1,
		})
		must(c.t, err)
		o := group.Options{
			Node: uint64(i + 1), Storage: log, Engine: m.engines[number], Clock: c.clock.Now, Logger: quiet,
			Number: number, Groups: groups,
		}
		m.replicas[number], err = group.Open(o, group.Hooks{
			Send:    func(messages []*raftpb.Message) { c.send(number, messages) },
			Changed: func(group.Status) {},
			Behind:  func(node uint64) { c.tellBehind(log, number, node) },
			Failed:  func(err error) { c.t.Errorf("group %d of node %d: %v", number, i, err) },
		})
		must(c.t, err)
	}
	c.mu.Lock()
	c.nodes[i] = m
	c.mu.Unlock()
}

func (c *machines) send(number uint64, messages []*raftpb.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range messages {
		if to := c.nodes[m.GetTo()-1]; to != nil {
			to.replicas[number].Step([]*raftpb.Message{m})
		}
	}
}

// tellBehind tells a node that the log of a leader begins behind what that knows the node
// to have. After a crash the node has more than it says, as far as its engine had not
// followed the log yet, and the leader may have dropped that part.
func (c *machines) tellBehind(leader *raftlog.Group, number, node uint64) {
	first, err := leader.FirstIndex()
	if err != nil {
		return
	}
	term, err := leader.Term(first - 1)
	if err != nil {
		return // it begins later by now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.nodes[node-1]; m != nil {
		if own, err := m.store.Group(number).Term(first - 1); err == nil && own == term {
			m.replicas[number].Attest(first - 1)
		}
	}
}

// stop ends a node; what it has on its disk is not touched.
func (c *machines) stop(i int) {
	c.mu.Lock()
	m := c.nodes[i]
	c.nodes[i] = nil
	c.mu.Unlock()
	for number := range groups {
		m.replicas[number].Close()
		must(c.t, m.engines[number].Close())
	}
	m.close()
}

// powerLoss lets all nodes lose their power at the same moment, and starts them.
func (c *machines) powerLoss() {
	var left [3]*vfs.MemFS
	for i, m := range c.nodes {
		left[i] = m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.rng.IntN(60), RNG: c.rng})
	}
	for i := range left {
		c.stop(i)
	}
	for i, fs := range left {
		c.start(i, fs)
	}
}

// patience is how long anything may take, on a machine that has much else to do. Nothing
// waits for it unless a test fails.
const patience = 3 * time.Minute

// write sets a key in a group, wherever its leader is.
func (c *machines) write(number uint64, origin group.Origin, seq uint64, commands ...session.Command) {
	c.t.Helper()
	var last error
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(2 * time.Millisecond) {
		for _, m := range c.nodes {
			if !m.replicas[number].Status().Leads {
				continue
			}
			b := &session.Burst{Now: c.clock.Now(), Commands: commands}
			done := make(chan error, 1)
			m.replicas[number].Write(&group.Write{
				Origin: origin, Seq: seq, Mark: seq, Burst: b, Register: len(commands) == 0,
				Done: func(results []byte, err error) {
					if err == nil && len(commands) > 0 {
						_, err = codec.DecodeResults(results, b)
					}
					done <- err
				},
			})
			if last = <-done; last == nil {
				return
			}
			if last == group.ErrStranger { // it registered before the log's clock had begun
				c.write(number, origin, 0)
			}
		}
	}
	c.t.Fatalf("no answer, but %v: %s", last, c.state(number))
}

// state says how the replicas of a group are.
func (c *machines) state(number uint64) string {
	var b strings.Builder
	for i, m := range c.nodes {
		log := m.store.Group(number)
		first, _ := log.FirstIndex()
		last, _ := log.LastIndex()
		hard, _, _ := log.InitialState()
		durable, _ := m.engines[number].DurablePosition()
		fmt.Fprintf(&b, "\nnode %d: %+v, entries %d to %d, %v, engine at %v, durable %v", i+1, m.replicas[number].Status(), first, last, hard,
			m.engines[number].Applied(), durable)
	}
	return b.String()
}

// read reads a key from a node.
func (c *machines) read(m *machine, number uint64, key string) string {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(2 * time.Millisecond) {
		ready := make(chan error, 1)
		m.replicas[number].Read(&group.Read{Ready: func(err error) { ready <- err }})
		if <-ready != nil {
			continue
		}
		b := &session.Burst{Now: m.replicas[number].Clock()}
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
		session.Do(m.engines[number], b)
		return string(b.Results[0].Item.Value)
	}
	c.t.Fatalf("no answer: %s", c.state(number))
	return ""
}

// The log is the engines' write-ahead log: when all nodes lose their power at once,
// again and again, what was acknowledged is there.
func TestAllLosePower(t *testing.T) {
	clock, _ := ttl.NewClock(ttl.System(), 0)
	c := &machines{t: t, clock: clock, rng: rand.New(rand.NewPCG(1, 1))}
	for i := range c.nodes {
		c.start(i, vfs.NewCrashableMem())
	}
	defer func() {
		for i := range c.nodes {
			c.stop(i)
		}
	}()
	origin := group.Origin{1}
	for number := range uint64(groups) {
		c.write(number, origin, 0)
	}
	want, seq := map[string]string{}, uint64(0)
	for round := range 4 {
		for i := range 60 {
			seq++
			key, value := fmt.Sprint("key", i), fmt.Sprintf("%d of round %d%0500d", i, round, 0)
			c.write(seq%groups, origin, seq, session.Command{
				Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: clock.Now().Add(time.Hour),
			})
			want[fmt.Sprint(seq%groups, key)] = value
			if i%25 == 20 { // one node's engine has it in tables; the log need not be replayed there
				_, err := c.nodes[c.rng.IntN(3)].engines[seq%groups].MakeDurable(context.Background())
				must(t, err)
			}
		}
		c.powerLoss()
		for _, m := range c.nodes {
			for number := range uint64(groups) {
				for i := range 60 {
					key := fmt.Sprint("key", i)
					if got := c.read(m, number, key); got != want[fmt.Sprint(number, key)] {
						t.Errorf("round %d, group %d: %s is %.20q, not %.20q", round, number, key, got, want[fmt.Sprint(number, key)])
					}
				}
			}
		}
	}
}
