package engine

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/session"
	"cairn/session/sessiontest"
)

var (
	randomCommands = flag.Int("random.commands", defaultCommands(), "commands of TestRandom, in total")
	randomSeed     = flag.Uint64("random.seed", 0, "seed of TestRandom; 0: a new one")
)

// defaultCommands is 80,000 with the race detector, with which each takes several
// times as long. .ci/run carries out both these and 200,000 without it. The long
// form, "make random", is a million.
func defaultCommands() int {
	switch {
	case raceEnabled:
		return 40_000
	case os.Getenv("CI") != "":
		return 200_000
	}
	return 100_000
}

// TestRandom lets several workers run random bursts against one store, each in
// lockstep with a model of its own keys, while buckets are dropped and the
// clock jumps; now and then it cuts the power, lets the wall clock jump and
// goes on with what is left. The state after a power cut must be that of the
// model somewhere between what was acknowledged (or, without sync durability,
// synced) before the cut and what was begun before its end.
func TestRandom(t *testing.T) {
	seed := *randomSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-random.seed=%d", seed)
	for done, run := 0, 0; done < *randomCommands && !t.Failed(); run++ {
		w := newWorld(t, seed+uint64(run))
		for phase := 0; phase < 8 && !t.Failed(); phase++ {
			done += w.phase()
		}
		w.end()
		if t.Failed() {
			t.Logf("failed in run %d: -random.seed=%d", run, seed+uint64(run))
		}
	}
}

// world is one store under test with its workers.
type world struct {
	t       *testing.T
	rand    *rand.Rand
	options Options
	fs      *vfs.MemFS
	clock   *sessiontest.Clock
	skew    atomic.Int64 // of the wall clock, nanoseconds
	store   *Store
	workers []*worker
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rand: rand.New(rand.NewPCG(seed, 1)), clock: sessiontest.NewClock(), fs: vfs.NewCrashableMem()}
	w.options = testOptions(t, w.fs, w.clock)
	w.options.Wall = func() time.Time { return w.clock.Wall().Add(time.Duration(w.skew.Load())) }
	w.options.Elapsed = func() time.Duration { return w.clock.Wall().Sub(sessiontest.Epoch.Time()) }
	w.options.Compression = []Compression{CompressionBlock, CompressionOff, CompressionOff, CompressionDict}[w.rand.IntN(4)]
	if w.rand.IntN(5) == 0 {
		w.options.Durability.Interval = MaxInterval // in effect: when the test says so
	}
	w.options.HotBytes = []int64{-1, 4 << 10, 20 << 10, 1 << 20, 1 << 20}[w.rand.IntN(5)]
	w.options.Compression = []Compression{CompressionBlock, CompressionOff, CompressionOff, CompressionDict}[w.rand.IntN(4)]
	w.options.largeValue = []int{1, 30, 1000, defaultLargeValue}[w.rand.IntN(4)]
	w.options.MemtableBytes = []int64{32 << 10, 64 << 10, 1 << 20}[w.rand.IntN(3)]
	w.options.SpareLogs = w.rand.IntN(3)
	workers := 1 + w.rand.IntN(4)
	for i := range workers {
		l := sessiontest.NewLockstep(seed*16+uint64(i), w.options.MaxValueSize)
		l.Generator.Prefix = fmt.Sprintf("%c%d:", 'a'+i, i)
		l.Generator.Keys = 8 + w.rand.IntN(40)
		l.Generator.TooLong = w.options.MaxValueSize + 1
		l.Generator.NoFlush = workers > 1
		w.workers = append(w.workers, &worker{lockstep: l, rand: rand.New(rand.NewPCG(seed, uint64(i)))})
	}
	w.open()
	return w
}

func (w *world) open() {
	var err error
	w.options.FS = w.fs
	if w.store, err = Open(w.options); err != nil {
		w.t.Fatal(err)
	}
}

// phase lets all workers run for a while at one instant of the clock, and
// gives the number of commands they ran.
func (w *world) phase() (commands int) {
	pulse := make(chan struct{}, 1)
	var side, workers sync.WaitGroup
	seed := w.rand.Uint64()
	side.Go(func() { w.meddle(seed, pulse) })
	steps := 5 + w.rand.IntN(40)
	if w.rand.IntN(8) == 0 {
		steps = 0
	}
	for _, worker := range w.workers {
		worker.reset()
	}
	for _, worker := range w.workers {
		workers.Go(func() { worker.run(w, steps, pulse) })
	}
	var crashed *vfs.MemFS
	var from []int
	if w.rand.IntN(2) == 0 {
		crashed, from = w.crash()
	}
	workers.Wait()
	close(pulse)
	side.Wait()
	for _, worker := range w.workers {
		commands += worker.commands
		if worker.err != nil {
			w.t.Error(worker.err)
		}
	}
	if w.t.Failed() {
		return commands
	}
	if crashed != nil {
		w.restart(crashed, from)
	} else {
		w.rest()
	}
	w.advance()
	return commands
}

// meddle does what the store does in the background, and reads what the workers
// write, without a trace, whenever there is a pulse.
func (w *world) meddle(seed uint64, pulse <-chan struct{}) {
	r := rand.New(rand.NewPCG(seed, 0))
	var keys [][]byte
	for _, worker := range w.workers {
		keys = append(keys, worker.lockstep.Generator.AllKeys()...)
	}
	for range pulse {
		var b session.Burst
		b.Reset(w.store.Now())
		for range 1 + r.IntN(30) {
			*b.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: keys[r.IntN(len(keys))]}
		}
		session.Do(w.store, &b)
		if r.IntN(4) != 0 {
			continue
		}
		w.store.Tick(context.Background())
		if err := w.store.DropExpired(context.Background()); err != nil {
			w.t.Error(err)
		}
		if err := w.store.TrainDictionaries(context.Background()); err != nil {
			w.t.Error(err)
		}
		if err := w.store.PrepareLogs(context.Background()); err != nil {
			w.t.Error(err)
		}
		w.store.Stats()
		if r.IntN(16) == 0 {
			if err := w.store.TrainDictionaries(context.Background()); err != nil {
				w.t.Error(err)
			}
		}
	}
}

// crash cuts the power at a random moment. Of each worker's states the one with
// the returned number, or a later one of this phase, must be what is left.
func (w *world) crash() (*vfs.MemFS, []int) {
	for range w.rand.IntN(2000) {
		runtime.Gosched()
	}
	from := make([]int, len(w.workers))
	for i, worker := range w.workers {
		if w.options.Durability.Interval == 0 {
			from[i] = int(worker.acknowledged.Load())
		}
	}
	crashed := w.fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 50, 100}[w.rand.IntN(3)],
		RNG:                 rand.New(rand.NewPCG(w.rand.Uint64(), 0)),
	})
	for _, worker := range w.workers {
		worker.begunAtCut = int(worker.begun.Load())
	}
	return crashed, from
}

// restart goes on with what a power cut has left.
func (w *world) restart(crashed *vfs.MemFS, from []int) {
	checkAndClose(w.t, w.store)
	w.fs = crashed
	skew := time.Duration(w.rand.Int64N(48*3600_000)-47*3600_000) * time.Millisecond
	if skew > 0 {
		w.clock.Advance(skew)
		skew = 0
	}
	w.skew.Store(int64(skew))
	w.open()
	checkInvariants(w.t, w.store)
	for i, worker := range w.workers {
		worker.recover(w, from[i])
	}
}

// rest checks that nothing but the expected is there, at times after a clean
// restart or a takeover.
func (w *world) rest() {
	switch w.rand.IntN(8) {
	case 0:
		checkAndClose(w.t, w.store)
		w.open()
	case 1:
		if err := w.store.Quiesce(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		checkAndClose(w.t, w.store)
		w.options.JustClosed = true
		w.open()
		w.options.JustClosed = false
	}
	checkInvariants(w.t, w.store)
	for _, worker := range w.workers {
		if err := worker.lockstep.Verify(w.store, worker.lockstep.Model, w.store.Now()); err != nil {
			w.t.Errorf("worker %s at rest: %v", worker.lockstep.Generator.Prefix, err)
		}
	}
}

// advance moves the clock, and makes the store know.
func (w *world) advance() {
	const week = 7 * 24 * time.Hour
	for _, most := range []time.Duration{2 * time.Second, time.Hour, 8 * time.Hour, week} {
		w.clock.Advance(time.Duration(w.rand.Int64N(int64(most))))
		if w.rand.IntN(2) == 0 {
			break
		}
	}
	w.store.advance(w.store.Now())
	w.store.Tick(context.Background())
	w.store.sync()
}

func (w *world) end() { checkAndClose(w.t, w.store) }

// worker runs bursts on keys of its own.
type worker struct {
	lockstep *sessiontest.Lockstep
	rand     *rand.Rand
	commands int
	err      error

	// states[i] is the model after i bursts of the present phase.
	states       []*sessiontest.Model
	begun        atomic.Int64 // bursts given to the store
	acknowledged atomic.Int64 // bursts that it has acknowledged
	begunAtCut   int
}

// reset begins a phase.
func (k *worker) reset() {
	k.states = append(k.states[:0], k.lockstep.Model.Clone())
	k.begun.Store(0)
	k.acknowledged.Store(0)
	k.commands = 0
}

func (k *worker) run(w *world, steps int, pulse chan<- struct{}) {
	now := w.store.Now()
	for range steps {
		n := 1 + k.rand.IntN(4)
		if k.rand.IntN(3) == 0 {
			n += k.rand.IntN(250)
		}
		k.begun.Add(1)
		step := k.lockstep.Start(w.store, now, n)
		k.states = append(k.states, k.lockstep.Model.Clone())
		if err := step.Finish(); err != nil {
			k.err = fmt.Errorf("worker %s: %w", k.lockstep.Generator.Prefix, err)
			return
		}
		k.acknowledged.Add(1)
		k.commands += n
		select {
		case pulse <- struct{}{}:
		default:
		}
	}
}

// recover finds the state that survived a power cut, which is at least states
// [from], and goes on with it.
func (k *worker) recover(w *world, from int) {
	var last error
	for _, state := range k.states[from : k.begunAtCut+1] {
		if last = k.lockstep.Verify(w.store, state, w.store.Now()); last == nil {
			k.lockstep.Adopt(state)
			return
		}
	}
	w.t.Errorf("worker %s: none of the states %d to %d survived the power cut; the last differs in %v",
		k.lockstep.Generator.Prefix, from, k.begunAtCut, last)
}
