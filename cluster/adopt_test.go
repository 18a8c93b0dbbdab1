package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine"
	"cairn/session"
)

// quiet are the options of engines in memory, which do nothing on their own.
func quiet(fs vfs.FS, dir string) engine.Options {
	return engine.Options{
		Dir: dir, FS: fs, Logger: slog.New(slog.DiscardHandler), DropEvery: -1, DiskReserve: -1, MaxValueSize: session.DefaultMaxValueSize,
	}
}

func apply(s session.Store, now session.Time, commands ...session.Command) []session.Result {
	b := &session.Burst{Now: now, Commands: commands}
	session.Do(s, b)
	return b.Results
}

// TestAdoptAfterCrash cuts the power before each step to the disk of an adoption: the
// next start finds the store as it was, or the engine with all of it, and comes to its
// end.
func TestAdoptAfterCrash(t *testing.T) {
	const dir, engineDir, sessions = "data", "data/group-0", 50
	mem := vfs.NewCrashableMem()
	o := quiet(mem, dir)
	s, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	now := s.Now()
	for i := range sessions {
		expiry := now.Add(time.Hour)
		if i%10 == 3 {
			expiry = now.Add(time.Millisecond) // it has expired when the store is opened again
		}
		set := session.Command{Op: session.OpSet, Key: fmt.Append(nil, "key", i), Value: fmt.Append(nil, "value", i), Expiry: expiry}
		if r := apply(s, now, set)[0]; r.Status != session.OK {
			t.Fatal(r.Err)
		}
	}
	apply(s, now, session.Command{Op: session.OpDelete, Key: []byte("key7")})
	for s.Now() < now.Add(2*time.Millisecond) {
		time.Sleep(time.Millisecond)
	}
	apply(s, s.Now(), session.Command{Op: session.OpGet, Key: []byte("key3")}) // it was seen to be gone
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 1))
	var crashes []*vfs.MemFS
	watching := false
	var steps []string
	o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if watching && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			steps = append(steps, fmt.Sprint(op.Kind, " ", op.Path))
			crashes = append(crashes, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * random.IntN(3), RNG: random}))
		}
		return nil
	}))
	watching = true
	adopt(t, o, engineDir)
	mu.Lock()
	watching = false
	crashes = append(crashes, mem)
	mu.Unlock()
	if len(crashes) < 20 {
		t.Fatalf("%d steps only", len(crashes))
	}

	asStore, asEngine := 0, 0
	for i, crashed := range crashes {
		single, err := engine.Holds(crashed, dir)
		if err != nil {
			t.Fatal(err)
		}
		made, err := engine.Holds(crashed, engineDir)
		if err != nil || !single && !made {
			t.Fatalf("step %d of %d: nothing is left (%v)", i, len(crashes), err)
		}
		if made {
			asEngine++
		} else {
			asStore++
		}
		adopt(t, quiet(crashed, dir), engineDir)
		if left, err := engine.Holds(crashed, dir); left || err != nil {
			t.Errorf("step %d: the store is still there (%v)", i, err)
		}
		names, err := crashed.List(dir)
		if err != nil || len(names) != 1 {
			t.Errorf("step %d: %q is left (%v)", i, names, err)
		}
		eo := quiet(crashed, engineDir)
		eo.ExternalLog = true
		e, err := engine.Open(eo)
		if err != nil {
			t.Fatalf("step %d of %d, before %q: %v", i, len(crashes), steps[:i+1], err)
		}
		now := e.Now()
		for k := range sessions {
			r := apply(e, now, session.Command{Op: session.OpGet, Key: fmt.Append(nil, "key", k)})[0]
			want := session.OK
			if k == 7 || k%10 == 3 {
				want = session.NotFound
			}
			if r.Status != want || want == session.OK && string(r.Item.Value) != fmt.Sprint("value", k) {
				t.Fatalf("step %d of %d: key%d: status %d, %q", i, len(crashes), k, r.Status, r.Item.Value)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if asStore == 0 || asEngine == 0 {
		t.Errorf("%d crashes left the store, %d the engine", asStore, asEngine)
	}
	t.Logf("%d crashes left the store, %d the engine", asStore, asEngine)
}

// adopt makes an engine of a store, as a start of a node does.
func adopt(t *testing.T, o engine.Options, engineDir string) {
	t.Helper()
	s, err := openSingle(o, engineDir)
	if err == nil {
		err = s.adopt()
	}
	if err == nil {
		err = finishAdoption(o.FS, o.Dir, engineDir)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// alone opens the data directory of a node as that of a single server.
func (c *town) alone(i int) *engine.Store {
	c.t.Helper()
	s, err := engine.Open(engine.Options{Dir: c.dirs[i], Logger: slog.New(slog.DiscardHandler), DiskReserve: -1})
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// TestSingleBecomesCluster lets the store of a single server become a cluster of three.
func TestSingleBecomesCluster(t *testing.T) {
	c := newTown(t, 3)
	s := c.alone(0)
	now := s.Now()
	for i := range 100 {
		apply(s, now, session.Command{Op: session.OpSet, Key: fmt.Append(nil, "key", i), Value: fmt.Append(nil, i), Expiry: now.Add(time.Hour)})
	}
	version := apply(s, now, session.Command{Op: session.OpSet, Key: []byte("k"), Value: []byte("alone"), Expiry: now.Add(time.Hour)})[0].Item.Version
	apply(s, now, session.Command{Op: session.OpDelete, Key: []byte("key7")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// Nothing happens before the others are there, and the server may start again.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if n, err := c.open(ctx, 0); err == nil {
		t.Fatalf("it has begun alone: %v", n)
	}
	s = c.alone(0)
	if items := s.Stats().Items; items != 100 {
		t.Errorf("%d sessions before the begin, want 100", items)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	c.start(0, 1, 2)
	for i := range 3 {
		c.want(i, "k", "alone")
		c.want(i, "key99", "99")
		c.want(i, "key7", "")
	}
	set := session.Command{Op: session.OpSet, Mods: session.IfVersion, CAS: version, Key: []byte("k"), Value: []byte("cas"), Expiry: c.nodes[1].Now().Add(time.Hour)}
	r := c.do(1, set)
	if r.Status != session.OK || r.Item.Version <= version {
		t.Errorf("cas: status %d, version %d after %d", r.Status, r.Item.Version, version)
	}
	c.become(0, 1, 2)
	if items := c.nodes[2].Stats().Items; items != 100 {
		t.Errorf("%d sessions, want 100", items)
	}
	if held, err := engine.Holds(vfs.Default, c.dirs[0]); held || err != nil {
		t.Errorf("the store of the single server is still there (%v)", err)
	}
	c.stop(0) // the copies count
	c.want(1, "k", "cas")
	c.want(2, "key0", "0")
	c.set(1, "after", "1")
	for i := range 2 {
		c.stop(i + 1)
	}
	c.start(0, 1, 2)
	c.want(0, "after", "1")
	c.want(0, "k", "cas")
}

// TestTwoSinglesRefuse starts two nodes with sessions of their own.
func TestTwoSinglesRefuse(t *testing.T) {
	c := newTown(t, 2)
	for i := range 2 {
		s := c.alone(i)
		apply(s, s.Now(), session.Command{Op: session.OpSet, Key: []byte("k"), Value: fmt.Append(nil, i), Expiry: s.Now().Add(time.Hour)})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	refusals := make(chan error, 2)
	for i := range 2 {
		go func() {
			_, err := c.open(ctx, i)
			refusals <- err
		}()
	}
	// The one that notices first ends, and the other may not have heard of it.
	if err := <-refusals; err == nil || !strings.Contains(err.Error(), "the sessions of one only") {
		t.Errorf("the first: %v", err)
	}
	cancel()
	if err := <-refusals; err == nil {
		t.Error("the other has begun")
	}
	for i := range 2 {
		s := c.alone(i)
		if r := apply(s, s.Now(), session.Command{Op: session.OpGet, Key: []byte("k")})[0]; string(r.Item.Value) != fmt.Sprint(i) {
			t.Errorf("node %d has %q", i, r.Item.Value)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackToSingle makes a single server's store of a cluster's copy, and a cluster of
// that again.
func TestBackToSingle(t *testing.T) {
	c := newTown(t, 1)
	c.start(0)
	c.set(0, "k", "v")
	before := c.do(0, session.Command{Op: session.OpGet, Key: []byte("k")}).Item.Version
	copied := filepath.Join(t.TempDir(), "copy")
	if err := c.nodes[0].Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	c.stop(0)

	c.dirs[0] = copied
	reader, err := engine.Open(engine.Options{Dir: copied, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err) // as 'cairn undo' does it
	}
	if items := reader.Stats().Items; items != 1 {
		t.Errorf("%d sessions to be read", items)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	s := c.alone(0)
	if err := s.Notes(func(key, _ []byte) error { return fmt.Errorf("%q is noted", key) }); err != nil {
		t.Errorf("what the cluster has noted: %v", err)
	}
	now := s.Now()
	if r := apply(s, now, session.Command{Op: session.OpGet, Key: []byte("k")})[0]; string(r.Item.Value) != "v" || r.Item.Version != before {
		t.Errorf("alone: %q, version %d, want %d", r.Item.Value, r.Item.Version, before)
	}
	set := session.Command{Op: session.OpSet, Mods: session.IfVersion, CAS: before, Key: []byte("k"), Value: []byte("alone"), Expiry: now.Add(time.Hour)}
	alone := apply(s, now, set)[0]
	if alone.Status != session.OK || alone.Item.Version <= before {
		t.Errorf("alone: status %d, version %d after %d", alone.Status, alone.Item.Version, before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	c.start(0)
	c.want(0, "k", "alone")
	set.CAS, set.Value = alone.Item.Version, []byte("together")
	if again := c.do(0, set); again.Status != session.OK || again.Item.Version <= alone.Item.Version {
		t.Errorf("together again: status %d, version %d after %d", again.Status, again.Item.Version, alone.Item.Version)
	}
}
