package group

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"cairn/cluster/simulate"
	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
	"cairn/ttl"
)

// patience is how long anything may take, on a machine that has much else to do. Nothing
// waits for it unless a test fails.
const patience = 3 * time.Minute

// trio is three replicas in this process, which send messages to each other by
// calling Step.
type trio struct {
	t     *testing.T
	clock *ttl.Clock

	mu       sync.Mutex
	replicas map[uint64]*replica
}

type replica struct {
	*Group
	log    *simulate.Memory
	fs     *vfs.MemFS
	engine *engine.Store
}

func newTrio(t *testing.T) *trio {
	clock, _ := ttl.NewClock(ttl.System(), 0)
	c := &trio{t: t, clock: clock, replicas: map[uint64]*replica{}}
	for id := uint64(1); id <= 3; id++ {
		c.start(id, &replica{log: simulate.NewMemory([]uint64{1, 2, 3}), fs: vfs.NewCrashableMem()})
	}
	t.Cleanup(func() {
		for id := range uint64(3) {
			c.stop(id + 1)
		}
	})
	return c
}

func (c *trio) start(id uint64, r *replica) {
	c.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := engine.Open(engine.Options{Dir: "data", FS: r.fs, ExternalLog: true, Logger: quiet, DiskReserve: -1})
	if err != nil {
		c.t.Fatal(err)
	}
	r.engine = store
	r.Group, err = Open(Options{Node: id, Storage: r.log, Engine: store, Clock: c.clock.Now, Logger: quiet, PatientTicks: int(patience / TickEvery)}, Hooks{
		Send:    c.send,
		Changed: func(Status) {},
		Failed:  func(err error) { c.t.Errorf("replica %d: %v", id, err) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.replicas[id] = r
	c.mu.Unlock()
}

// stop ends a replica and returns what it leaves; nil: it does not run.
func (c *trio) stop(id uint64) *replica {
	c.mu.Lock()
	r := c.replicas[id]
	delete(c.replicas, id)
	c.mu.Unlock()
	if r == nil {
		return nil
	}
	r.Close()
	if err := r.engine.Close(); err != nil {
		c.t.Error(err)
	}
	return r
}

func (c *trio) send(messages []*raftpb.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range messages {
		if to := c.replicas[m.GetTo()]; to != nil {
			to.Step([]*raftpb.Message{m})
		}
	}
}

// gone tells the replicas that another has stopped.
func (c *trio) gone(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := 0
	for other := uint64(1); other <= 3; other++ {
		if r := c.replicas[other]; r != nil {
			r.Gone(id, before, 10*time.Millisecond)
			before++
		}
	}
}

// leader waits for one.
func (c *trio) leader() (id uint64, r *replica) {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		for id, r := range c.replicas {
			if r.Status().Leads {
				c.mu.Unlock()
				return id, r
			}
		}
		c.mu.Unlock()
	}
	c.t.Fatal("no leader")
	return 0, nil
}

// write carries out a burst, wherever the leader is, with the sequence given.
func (c *trio) write(origin Origin, seq Sequence, commands ...session.Command) []session.Result {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; {
		_, r := c.leader()
		b := &session.Burst{Now: c.clock.Now(), Commands: commands}
		done := make(chan error, 1)
		r.Write(&Write{Origin: origin, Seq: seq, Mark: seq, Burst: b, Register: len(commands) == 0, Done: func(results []byte, err error) {
			if err == nil && len(commands) > 0 {
				_, err = codec.DecodeResults(results, b)
			}
			done <- err
		}})
		switch err := <-done; err {
		case nil:
			return b.Results
		case ErrNotLeader, ErrLost, ErrStopped:
			time.Sleep(10 * time.Millisecond)
		default:
			c.t.Fatal(err)
		}
	}
	c.t.Fatal("no answer")
	return nil
}

// read reads at a replica.
func (r *replica) read(t *testing.T, keys ...string) []session.Result {
	t.Helper()
	ready := make(chan error, 1)
	r.Read(&Read{Ready: func(err error) { ready <- err }})
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	b := &session.Burst{Now: r.Clock()}
	for _, key := range keys {
		*b.Add() = session.Command{Op: session.OpGet, Key: []byte(key)}
	}
	session.Do(r.engine, b)
	return b.Results
}

func (c *trio) set(key, value string) session.Command {
	return session.Command{Op: session.OpSet, Key: []byte(key), Value: []byte(value), Expiry: c.clock.Now().Add(time.Hour)}
}

// TestThreeReplicas writes through leaders that stop, each after the other, and
// come back.
func TestThreeReplicas(t *testing.T) {
	c := newTrio(t)
	origin := Origin{1}
	c.write(origin, 0)
	seq := Sequence(0)
	for round := range 4 {
		for i := range 50 {
			seq++
			if r := c.write(origin, seq, c.set(fmt.Sprint("key", i), fmt.Sprint("value", round))); r[0].Status != session.OK {
				t.Fatalf("set: %+v", r[0])
			}
		}
		id, _ := c.leader()
		gone := c.stop(id)
		if round > 0 { // else they find out by its silence
			c.gone(id)
		}
		seq++
		c.write(origin, seq, c.set("alone", fmt.Sprint(round)))
		c.start(id, gone)
		c.mu.Lock()
		replicas := []*replica{c.replicas[1], c.replicas[2], c.replicas[3]}
		c.mu.Unlock()
		for _, r := range replicas { // any replica answers, and has everything
			results := r.read(t, "alone", "key0", "key49")
			for i, want := range []string{fmt.Sprint(round), fmt.Sprint("value", round), fmt.Sprint("value", round)} {
				if got := string(results[i].Item.Value); got != want {
					t.Errorf("round %d: %q, want %q", round, got, want)
				}
			}
		}
	}
	c.wantEqual()
}

// wantEqual checks that all replicas come to the same state.
func (c *trio) wantEqual() {
	c.t.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		digests := map[engine.Position]uint64{}
		seen := 0
		for _, r := range c.replicas {
			at, digest, err := r.engine.Digest()
			if err != nil {
				c.t.Fatal(err)
			}
			if other, ok := digests[at]; ok && other != digest {
				c.t.Fatalf("replicas differ at %v", at)
			} else if ok {
				seen++
			}
			digests[at] = digest
		}
		if seen == len(c.replicas)-1 {
			return
		}
		if time.Since(begun) > patience {
			c.t.Fatalf("the replicas are at %v", digests)
		}
	}
}

// TestExactlyOnceAcrossRestarts sends a burst again after its results are in
// tables alone.
func TestExactlyOnceAcrossRestarts(t *testing.T) {
	c := newTrio(t)
	origin := Origin{1}
	c.write(origin, 0)
	c.write(origin, 1, c.set("n", "5"))
	incr := session.Command{Op: session.OpIncr, Key: []byte("n"), Delta: 1}
	first := c.write(origin, 2, incr)[0]
	if first.Number != 6 {
		t.Fatalf("incr: %+v", first)
	}
	var gone []*replica
	for id := uint64(1); id <= 3; id++ {
		if _, err := c.replicas[id].engine.MakeDurable(context.Background()); err != nil {
			t.Fatal(err)
		}
		gone = append(gone, c.stop(id))
	}
	for i, r := range gone {
		c.start(uint64(i+1), r)
	}
	if again := c.write(origin, 2, incr)[0]; again.Number != 6 || again.Item.Version != first.Item.Version {
		t.Errorf("again: %+v, at first %+v", again, first)
	}
	if other := c.write(origin, 3, incr)[0]; other.Number != 7 {
		t.Errorf("another: %+v", other)
	}
}

// TestStrangersRegister checks that a burst of an unknown origin has no effect.
func TestStrangersRegister(t *testing.T) {
	c := newTrio(t)
	var r *replica
	for err := ErrLost; err != ErrStranger; {
		_, r = c.leader()
		done := make(chan error, 1)
		b := &session.Burst{Now: c.clock.Now(), Commands: []session.Command{c.set("k", "v")}}
		r.Write(&Write{Origin: Origin{9}, Seq: 1, Burst: b, Done: func(_ []byte, err error) { done <- err }})
		if err = <-done; err != ErrStranger && err != ErrNotLeader && err != ErrLost { // another may lead by now
			t.Fatalf("%v, want %v", err, ErrStranger)
		}
	}
	if got := r.read(t, "k")[0]; got.Status != session.NotFound {
		t.Errorf("the burst was carried out: %+v", got)
	}
}

// TestTransfer lets another node lead.
func TestTransfer(t *testing.T) {
	c := newTrio(t)
	origin := Origin{1}
	c.write(origin, 0)
	id, r := c.leader()
	for begun := time.Now(); r.Status().Leads; time.Sleep(5 * time.Millisecond) {
		r.TransferAny() // again, if it has heard of nobody yet or nobody took the lead in time
		if time.Since(begun) > patience {
			t.Fatalf("%d leads still", id)
		}
	}
	c.write(origin, 1, c.set("k", "v"))
}

// TestRegisteredBeforeTheFirstTick checks that an origin stays known that registers
// while the log's clock stands at 0, and again when it has stood still for an hour.
func TestRegisteredBeforeTheFirstTick(t *testing.T) {
	now := session.Time(worldBegin)
	log := simulate.NewMemory([]uint64{1})
	e := simulate.NewEngine(func() session.Time { return now })
	for life := range byte(2) {
		c, err := newCore(Options{Node: 1, Storage: log, Engine: e, Clock: func() session.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		settle := func() {
			for range 10 {
				var todo work
				c.take(&todo)
				for _, m := range todo.append {
					log.Append(m, true, func(error) {})
					for _, r := range m.GetResponses() {
						c.step(r)
					}
				}
				for _, m := range todo.apply {
					last, err := c.carryOut(m)
					if err != nil {
						t.Fatal(err)
					}
					c.done(last)
					for _, r := range m.GetResponses() {
						c.step(r)
					}
				}
			}
		}
		c.campaign()
		settle()
		origin := Origin{life}
		for _, w := range []*Write{
			{Origin: origin, Register: true},
			{Origin: origin, Seq: 1, Mark: 1, Burst: &session.Burst{Now: now, Commands: []session.Command{{Op: session.OpDelete, Key: []byte("k")}}}},
		} {
			called := false
			w.Done = func(_ []byte, err error) {
				called = true
				if err != nil {
					t.Errorf("life %d: %v", life, err)
				}
			}
			if err := c.prepare(w); err != nil {
				t.Fatal(err)
			}
			c.write([]*Write{w})
			settle()
			if !called {
				t.Errorf("life %d: no answer", life)
			}
			c.tick()
			settle()
		}
		c.stop()
		e.Flush()
		now = now.Add(time.Hour)
	}
}

// A replica that begins with a copy hears who the replicas are although it carries out
// none of the changes before it.
func TestConfiguredAtOpen(t *testing.T) {
	storage := simulate.NewMemory([]uint64{1, 2, 3})
	if err := storage.SetConf(1, &raftpb.ConfState{Voters: []uint64{1, 2, 4}}); err != nil {
		t.Fatal(err)
	}
	clock, _ := ttl.NewClock(ttl.System(), 0)
	quiet := slog.New(slog.DiscardHandler)
	store, err := engine.Open(engine.Options{Dir: "data", FS: vfs.NewMem(), ExternalLog: true, Logger: quiet, DiskReserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	var told []uint64
	g, err := Open(Options{Node: 1, Storage: storage, Engine: store, Clock: clock.Now, Logger: quiet}, Hooks{
		Send:       func([]*raftpb.Message) {},
		Changed:    func(Status) {},
		Failed:     func(err error) { t.Error(err) },
		Configured: func(_ uint64, conf *raftpb.ConfState) { told = conf.GetVoters() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []uint64{1, 2, 4}) {
		t.Errorf("the replicas are %v", told)
	}
	g.Close()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
