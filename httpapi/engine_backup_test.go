package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"cairn/backup"
	"cairn/engine"
	"cairn/session"
)

// openEngine opens a real store until the test ends.
func openEngine(t testing.TB, dir string) *engine.Store {
	t.Helper()
	return openEngineWith(t, engine.Options{Dir: dir})
}

func openEngineWith(t testing.TB, o engine.Options) *engine.Store {
	t.Helper()
	o.DiskReserve, o.Logger = -1, slog.New(slog.DiscardHandler)
	store, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// loader is one client that writes to keys of its own, one command after the
// other, by a plan that only depends on its number.
type loader struct {
	id    int
	store *engine.Store
	clock *atomic.Int64 // counts the beginnings and ends of all commands

	mu     sync.Mutex
	starts []int64 // by command
	acks   []int64 // by command; shorter than starts by the one in flight
}

const loaderKeys = 300

// command is the i-th of the plan.
func (l *loader) command(i int) session.Command {
	random := rand.New(rand.NewPCG(uint64(l.id), uint64(i)))
	c := session.Command{
		Op: session.OpSet, Key: fmt.Appendf(nil, "loader%d:%03d", l.id, random.IntN(loaderKeys)),
		Flags: uint32(i), Expiry: session.Never,
	}
	switch random.IntN(10) {
	case 0:
		c.Op = session.OpDelete
	case 1:
		c.Op = session.OpAppend
		c.Value = fmt.Appendf(nil, "+%d", i)
	default:
		c.Value = bytes.Repeat(fmt.Appendf(nil, "%d,", i), 1+random.IntN(400))
	}
	return c
}

// run writes until stop is closed.
func (l *loader) run(t *testing.T, stop <-chan struct{}) {
	var b session.Burst
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		b.Reset(l.store.Now())
		*b.Add() = l.command(i)
		l.mu.Lock()
		l.starts = append(l.starts, l.clock.Add(1))
		l.mu.Unlock()
		session.Do(l.store, &b)
		if b.Results[0].Status == session.Failed {
			t.Error(b.Results[0].Err)
			return
		}
		l.mu.Lock()
		l.acks = append(l.acks, l.clock.Add(1))
		l.mu.Unlock()
	}
}

func (l *loader) acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

func (l *loader) started() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.starts)
}

// apply carries out the i-th command on what the loader's keys hold, and gives
// the key.
func (l *loader) apply(state map[string]string, i int) (key string) {
	c := l.command(i)
	key = string(c.Key)
	old, found := state[key]
	switch {
	case c.Op == session.OpSet:
		state[key] = string(c.Value)
	case c.Op == session.OpDelete:
		delete(state, key)
	case found:
		state[key] = old + string(c.Value)
	}
	return key
}

// prefixOf finds the least number of commands, from least to most, after which
// the loader's keys hold what restored has, and the first command from there on
// that would change them: whether one that changes nothing is in a backup cannot
// be seen.
func (l *loader) prefixOf(restored map[string]string, least, most int) (n, missing int, ok bool) {
	state := map[string]string{}
	wrong := map[string]bool{}
	for key := range restored {
		wrong[key] = true
	}
	for n = range most {
		if n >= least && len(wrong) == 0 {
			return n, l.nextChange(state, n, most), true
		}
		key := l.apply(state, n)
		is, inState := state[key]
		should, inRestored := restored[key]
		if inState == inRestored && is == should {
			delete(wrong, key)
		} else {
			wrong[key] = true
		}
	}
	return most, most, len(wrong) == 0
}

// nextChange returns the first command from n on that changes state, which holds
// what the commands before made; most if there is none before that.
func (l *loader) nextChange(state map[string]string, n, most int) int {
	for ; n < most; n++ {
		key := l.command(n).Key
		before, found := state[string(key)]
		l.apply(state, n)
		if after, still := state[string(key)]; after != before || still != found {
			break
		}
	}
	return n
}

// TestBackupUnderLoad takes backups through the API while clients write as
// fast as they can, restores them, and compares every key: each client's keys
// must hold what they held after some number of its commands, at least those
// acknowledged before the backup; and no command may be in it that began after
// one that is not in it was acknowledged.
func TestBackupUnderLoad(t *testing.T) {
	// Small memtables, so that tables are written and compacted all the time.
	store := openEngineWith(t, engine.Options{Dir: filepath.Join(t.TempDir(), "store"), MemtableBytes: 32 << 10})
	h := start(t, Options{Engine: store})
	var clock atomic.Int64
	loaders := make([]*loader, 4)
	stop := make(chan struct{})
	var running sync.WaitGroup
	for i := range loaders {
		loaders[i] = &loader{id: i, store: store, clock: &clock}
		running.Go(func() { loaders[i].run(t, stop) })
	}
	for round := range 2 {
		for _, l := range loaders {
			for l.acked() < 300*(round+1) {
				runtime.Gosched()
			}
		}
		least := make([]int, len(loaders))
		for i, l := range loaders {
			least[i] = l.acked()
		}
		resp, err := http.Get(h.http.URL + "/v1/backup")
		if err != nil {
			t.Fatal(err)
		}
		archive, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, err)
		}
		checkBackup(t, loaders, least, archive)
	}
	close(stop)
	running.Wait()
	if t.Failed() {
		return
	}
	total := 0
	for _, l := range loaders {
		total += l.acked()
	}
	tables, _ := store.TableFigures()
	t.Logf("2 backups while %d commands were acknowledged; %d compactions", total, tables.Compact.Count)
	if tables.FlushWritten == 0 || tables.Compact.Count == 0 {
		t.Error("the load was too small: no table was written or compacted")
	}
}

func checkBackup(t *testing.T, loaders []*loader, least []int, archive []byte) {
	t.Helper()
	most := make([]int, len(loaders))
	for i, l := range loaders {
		most[i] = l.started()
	}
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := backup.Restore(bytes.NewReader(archive), dir, nil); err != nil {
		t.Fatal(err)
	}
	if err := engine.Check(engine.Options{Dir: dir}, func(problem engine.Problem) { t.Error(problem) }); err != nil {
		t.Fatal(err)
	}
	restored := contentsOf(t, openEngine(t, dir), len(loaders))
	var lastIn, firstOut int64 = 0, 1 << 62
	for i, l := range loaders {
		n, missing, ok := l.prefixOf(restored[i], least[i], most[i])
		if !ok {
			t.Fatalf("the keys of client %d are not as after any of its commands %d to %d", i, least[i], most[i])
		}
		l.mu.Lock()
		if n > 0 {
			lastIn = max(lastIn, l.starts[n-1])
		}
		if missing < len(l.acks) {
			firstOut = min(firstOut, l.acks[missing])
		}
		l.mu.Unlock()
	}
	if firstOut < lastIn {
		t.Error("a command is missing although a later one is there")
	}
}

// contentsOf returns the sessions of a store by loader.
func contentsOf(t *testing.T, store *engine.Store, loaders int) []map[string]string {
	t.Helper()
	all := make([]map[string]string, loaders)
	for i := range all {
		all[i] = map[string]string{}
		err := store.Scan(t.Context(), fmt.Appendf(nil, "loader%d:", i), nil, func(it *session.Item) bool {
			all[i][string(it.Key)] = string(it.Value)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}
