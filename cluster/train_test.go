package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/cluster/group"
	"cairn/engine"
	"cairn/engine/record"
	"cairn/session"
	"cairn/session/codec"
)

// shopValue is what an application stores: most of it is in all of its sessions.
func shopValue(r *rand.Rand) []byte {
	return fmt.Appendf(nil, `cart|a:3:{s:5:"items";i:%d;s:8:"currency";s:3:"EUR";s:7:"voucher";N;}csrf|s:16:"%016x";visitor|s:8:"%08x";`+
		`language|s:5:"de_DE";consent|a:2:{i:0;s:10:"statistics";i:1;s:9:"marketing";}address|a:2:{s:7:"country";s:7:"Germany";`+
		`s:10:"newsletter";b:0;}flash|a:0:{}history|a:1:{i:0;s:19:"/products/index.php";}last|i:%d;`, r.IntN(9), r.Uint64(), r.Uint32(), r.IntN(1e6))
}

// shopBurst sets so many sessions.
func shopBurst(r *rand.Rand, prefix string, now session.Time, count int) (commands []session.Command) {
	for i := range count {
		commands = append(commands, session.Command{
			Op: session.OpSet, Key: fmt.Append(nil, prefix, ":", i), Value: shopValue(r), Expiry: now.Add(time.Hour),
		})
	}
	return commands
}

// learn stores sessions at a node until the engines of some have so many dictionaries.
func (c *town) learn(at int, prefix string, dictionaries int64, nodes ...int) {
	c.t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(len(prefix))))
	c.until(fmt.Sprint(dictionaries, " dictionaries"), func() bool {
		n := c.nodes[at]
		for _, r := range apply(n, n.Now(), shopBurst(r, prefix, n.Now(), 500)...) {
			if r.Status != session.OK {
				c.t.Fatalf("set: status %d, %v", r.Status, r.Err)
			}
		}
		for _, i := range nodes {
			if c.nodes[i].engines()[0].Figures().Compression.Dictionaries != dictionaries {
				return false
			}
		}
		return true
	})
}

// storedWith tells with which dictionary a value stands in an engine's files.
func (c *town) storedWith(e *engine.Store, key string) (id uint32) {
	c.t.Helper()
	dir := filepath.Join(c.t.TempDir(), "copy")
	if err := e.Checkpoint(dir); err != nil {
		c.t.Fatal(err)
	}
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: silent{}, Merger: &pebble.Merger{Name: "cairn.merge.1"}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: record.DataStart, UpperBound: record.DataEnd})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = iter.Close() }()
	for ok := iter.First(); ok; ok = iter.Next() {
		if _, k, _ := record.SplitKey(iter.Key()); string(k) != key {
			continue
		}
		h, _, _, err := record.Decode(iter.Value())
		if err != nil {
			c.t.Fatal(err)
		}
		return h.Dictionary
	}
	c.t.Fatalf("%s is not stored", key)
	return 0
}

// wantDictionary sets a session at a node, and looks how some nodes have stored it.
func (c *town) wantDictionary(at int, key string, id uint32, nodes ...int) {
	c.t.Helper()
	value := string(shopValue(rand.New(rand.NewPCG(2, uint64(at)))))
	c.set(at, key, value)
	for _, i := range nodes {
		c.want(i, key, value) // so it has come there
		if got := c.storedWith(c.nodes[i].engines()[0], key); got != id {
			c.t.Errorf("node %d has stored %s with dictionary %d, want %d", i, key, got, id)
		}
	}
}

// silent is a pebble.Logger.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (c *town) leader() int {
	c.t.Helper()
	leader := -1
	c.until("a node leads", func() bool {
		for i := range c.nodes {
			if c.nodes[i] != nil && c.leads(i) {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

// TestDictionaries lets the log adopt dictionaries. All replicas store sessions with
// them, under another leader, after a start, and from a copy, and find each other to be
// the same.
func TestDictionaries(t *testing.T) {
	c := newTown(t, 3)
	c.compare = 500 * time.Millisecond
	c.start(0, 1, 2)
	c.until("all know the level", func() bool { return c.nodes[0].group(0).Roster().Level == group.Latest })
	c.learn(0, "shop", 1, 0, 1, 2)
	c.wantDictionary(0, "shop:a", 1, 0, 1, 2)

	former := c.leader()
	next := (former + 1) % 3
	c.handOver(former, c.number(next), func() bool { return c.leads(next) })
	c.wantDictionary(next, "shop:b", 1, 0, 1, 2)
	c.learn(former, "other", 2, 0, 1, 2) // by a leader that has not trained the first
	c.wantDictionary(former, "other:a", 2, 0, 1, 2)
	c.wantDictionary(former, "shop:c", 1, next)

	for i := range 3 {
		c.stop(i)
	}
	c.start(0, 1, 2)
	c.wantDictionary(0, "other:b", 2, 0, 1, 2)
	c.wantDictionary(1, "shop:d", 1, 2)

	// A copy brings them.
	n := c.nodes[former]
	n.failed(0, &engine.ReplayError{Err: session.ErrCorrupt})
	c.until("the node gets a copy", func() bool { return n.repaired.Load() > 0 })
	c.wantDictionary(next, "shop:e", 1, former)
	want := string(shopValue(rand.New(rand.NewPCG(2, uint64(former)))))
	if r := apply(n.engines()[0], n.Now(), session.Command{Op: session.OpGet, Key: []byte("other:a")})[0]; string(r.Item.Value) != want {
		t.Errorf("the copy has %q, error %v", r.Item.Value, r.Err)
	}

	begun := c.nodes[c.leader()].group(0).Status().Applied
	c.until("they have been compared", func() bool { return c.nodes[c.leader()].group(0).Status().Agreed > begun })
	for i := range 3 {
		if s := c.nodes[i].group(0); s.Status().Suspect || s.Figures().Differences > 0 {
			t.Errorf("node %d finds that replicas differ", i)
		}
	}
}

// TestDictionariesOfSingle lets a single server bring its dictionary into a cluster,
// which adopts another, and makes a single server's store of that again.
func TestDictionariesOfSingle(t *testing.T) {
	c := newTown(t, 2)
	r := rand.New(rand.NewPCG(3, 3))
	o := engine.Options{Dir: c.dirs[0], DiskReserve: -1, DropEvery: -1, Logger: slog.New(slog.DiscardHandler)}
	s, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for tries := 0; s.Figures().Compression.Dictionaries == 0; tries++ {
		apply(s, s.Now(), shopBurst(r, "shop", s.Now(), 500)...)
		if err := s.TrainDictionaries(context.Background()); err != nil || tries > 100 {
			t.Fatalf("no dictionary was trained: %v", err)
		}
	}
	value := string(shopValue(r))
	apply(s, s.Now(), session.Command{Op: session.OpSet, Key: []byte("shop:alone"), Value: []byte(value), Expiry: s.Now().Add(time.Hour)})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	c.start(0, 1)
	c.become(0, 1)
	c.wantDictionary(1, "shop:a", 1, 0, 1)
	c.learn(1, "other", 2, 0, 1)
	c.wantDictionary(0, "other:a", 2, 0, 1)
	c.want(1, "shop:alone", value)

	copied := filepath.Join(t.TempDir(), "copy")
	if err := c.nodes[1].Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	o.Dir = copied
	if s, err = engine.Open(o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for key, want := range map[string]string{
		"shop:alone": value, "shop:a": string(shopValue(rand.New(rand.NewPCG(2, 1)))), "other:a": string(shopValue(rand.New(rand.NewPCG(2, 0)))),
	} {
		if r := apply(s, s.Now(), session.Command{Op: session.OpGet, Key: []byte(key)})[0]; string(r.Item.Value) != want {
			t.Errorf("alone, %s is %q, error %v", key, r.Item.Value, r.Err)
		}
	}
	apply(s, s.Now(), session.Command{Op: session.OpSet, Key: []byte("other:b"), Value: shopValue(r), Expiry: s.Now().Add(time.Hour)})
	if id := c.storedWith(s, "other:b"); id != 2 {
		t.Errorf("alone, it is stored with dictionary %d, want 2", id)
	}
}

// TestOnlyLeadersAdopt refuses dictionaries that clients bring, or another node.
func TestOnlyLeadersAdopt(t *testing.T) {
	c := newTown(t, 1)
	c.start(0)
	c.set(0, "k", "v") // the store is known to the log
	adopt := session.Command{Op: session.OpAdopt, Value: []byte("12345678 is no dictionary")}
	for name, commands := range map[string][]session.Command{
		"alone": {adopt}, "among others": {{Op: session.OpGet, Key: []byte("k")}, adopt},
	} {
		results := apply(c.nodes[0], c.nodes[0].Now(), commands...)
		if r := results[len(results)-1]; r.Err != session.ErrBadCommand {
			t.Errorf("%s: status %d, %v", name, r.Status, r.Err)
		}
	}
	w := &group.Write{Seq: 1, Mark: 1, Burst: &session.Burst{Commands: []session.Command{adopt}}}
	body, err := appendForward(nil, 0, w, codec.Latest)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan []byte, 1)
	handler{c.nodes[0]}.Serve(1, body, func(body []byte) { answer <- body })
	if _, err := decodeAnswer(<-answer); err == nil || err.Error() != "cluster: the leader refuses the command: "+errForward.Error() {
		t.Errorf("forwarded: %v", err)
	}
}
