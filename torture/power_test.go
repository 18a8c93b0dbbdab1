package torture

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine"
	"cairn/session/sessiontest"
)

// TestPowerLoss cuts the power at random operations of the file system, in the
// middle of commits, flushes of memtables, compactions, bucket drops and
// checkpoints. What was synced is there afterwards; of the rest some blocks and
// directory entries are, in any order. Each clone of the disk made that way
// must open and hold what was acknowledged, all of it, and of the rest nothing
// in part, also if the power fails once more while it is opened. Some clones
// become the disk that the run goes on with.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		owners int // of separate keys, at work at the same time; one alone also flushes
		points int
		amidst []string // what many of the points must be in the middle of
	}{
		{"OneWriter", 1, rounds(40, 6200), []string{"a bucket drop", "a checkpoint", "a flush"}},
		{"FourWriters", 4, rounds(25, 4200), []string{"a bucket drop", "a checkpoint"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPowerRun(t, c.owners)
			p.run(c.points)
			for _, activity := range c.amidst {
				if least := c.points / 200; p.amidst[activity] < least {
					t.Errorf("%d of %d power losses in the middle of %s, want %d", p.amidst[activity], c.points, activity, least)
				}
			}
		})
	}
}

// powerRun is a store on a disk that may lose power, and its writers.
type powerRun struct {
	t      *testing.T
	rng    *rand.Rand
	clock  *sessiontest.Clock
	store  *engine.Store
	owners []*powerOwner
	bursts int64

	checkpoints int
	amidst      map[string]int // points by what the store was doing
	twice       int            // losses of power while a disk was opened after one

	mu      sync.Mutex // guards the fields below and diskRng
	mem     *vfs.MemFS
	diskRng *rand.Rand
	odds    int // one operation in so many loses power, 0: none
	points  []powerPoint
	byKind  map[string]int

	links sync.Mutex // see linkFS
}

// linkFS keeps links and clones apart: a MemFS deadlocks when a clone comes
// while it makes a link, because it locks for reading twice.
type linkFS struct {
	vfs.FS
	mu *sync.Mutex
}

func (f linkFS) Link(oldname, newname string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.FS.Link(oldname, newname)
}

// powerOwner writes to keys of its own.
type powerOwner struct {
	lockstep *sessiontest.Lockstep
	started  atomic.Int64 // bursts
	finished atomic.Int64
	models   []*sessiontest.Model // after each of the first bursts; models[0] before them
}

// powerPoint is a disk as a power loss left it, and the number of bursts of
// each owner that it must hold at least and can hold at most.
type powerPoint struct {
	disk        *vfs.MemFS
	kind        string
	amidst      []string // what the store was doing
	least, most []int64
}

func newPowerRun(t *testing.T, owners int) *powerRun {
	p := &powerRun{t: t, rng: newRand(t), clock: sessiontest.NewClock(), mem: vfs.NewCrashableMem(), byKind: make(map[string]int), amidst: make(map[string]int)}
	p.diskRng = rand.New(rand.NewPCG(p.rng.Uint64(), 2))
	for i := range owners {
		l := sessiontest.NewLockstep(p.rng.Uint64(), powerMaxValue)
		l.Generator.Prefix = fmt.Sprintf("o%d-", i)
		l.Generator.Keys = 60
		l.Generator.NoFlush, l.Generator.FlushOdds = owners > 1, 100
		p.owners = append(p.owners, &powerOwner{lockstep: l, models: []*sessiontest.Model{l.Model.Clone()}})
	}
	return p
}

const powerMaxValue = 4096

// open opens a store on a disk. Everything in it is small, so that much
// happens on the disk.
func (p *powerRun) open(fs vfs.FS) (*engine.Store, error) {
	return engine.Open(engine.Options{
		Dir:           "data",
		FS:            fs,
		Logger:        slog.New(slog.NewTextHandler(p.t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
		Wall:          p.clock.Wall,
		HotBytes:      100 << 10,
		MaxValueSize:  powerMaxValue,
		MemtableBytes: 64 << 10,
		SpareLogs:     2,
		DropEvery:     -1,
		DropGrace:     -1,
		Fatal:         func(err error) { panic(err) },
	})
}

// MaybeError makes powerRun an errorfs.Injector that injects no errors: before
// an operation that changes the disk, the power may fail.
func (p *powerRun) MaybeError(op errorfs.Op) error {
	if !changesDisk(op.Kind) {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.odds == 0 || p.diskRng.IntN(p.odds) > 0 {
		return nil
	}
	p.losePower(fmt.Sprintf("%v %s", op.Kind, fileKind(op.Path)))
	return nil
}

func changesDisk(kind errorfs.OpKind) bool {
	switch kind {
	case errorfs.OpFileRead, errorfs.OpFileReadAt, errorfs.OpStat, errorfs.OpFileStat, errorfs.OpList,
		errorfs.OpGetDiskUsage, errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpLock, errorfs.OpFileClose:
		return false
	}
	return true
}

// String makes powerRun an errorfs.Injector.
func (p *powerRun) String() string { return "power loss" }

// losePower keeps a clone of the disk. p.mu is held.
func (p *powerRun) losePower(kind string) {
	point := powerPoint{kind: kind}
	for _, o := range p.owners {
		point.least = append(point.least, o.finished.Load())
	}
	p.links.Lock()
	defer p.links.Unlock()
	point.disk = p.mem.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: pick(p.diskRng, 0, 20, 50, 80, 100),
		RNG:                 p.diskRng,
	})
	for _, o := range p.owners {
		point.most = append(point.most, o.started.Load())
	}
	p.points = append(p.points, point)
	p.byKind[kind]++
}

// during notes the power losses that come while f runs, if f reports that it did
// something, as in the middle of activity.
func (p *powerRun) during(activity string, f func() bool) {
	before := p.taken()
	if f() {
		p.wasAmidst(activity, before)
	}
}

// taken is the number of points since the last take.
func (p *powerRun) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.points)
}

// wasAmidst says that from the given point on activity has gone on.
func (p *powerRun) wasAmidst(activity string, from int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := from; i < len(p.points); i++ {
		if !slices.Contains(p.points[i].amidst, activity) {
			p.points[i].amidst = append(p.points[i].amidst, activity)
		}
	}
}

func (p *powerRun) run(points int) {
	done, reopened := 0, 0
	p.mustOpen()
	for done < points {
		p.arm(pick(p.rng, 3, 20, 100))
		p.work(2 + p.rng.IntN(30))
		p.arm(0)
		for _, point := range p.take() {
			done++
			for _, activity := range point.amidst {
				p.amidst[activity]++
			}
			if p.rng.IntN(8) == 0 {
				reopened++
				p.goOnFrom(point)
				break // the clones after it are of a disk that is no more
			}
			p.check(point)
		}
		p.forget()
		p.clock.Advance(pick(p.rng, time.Second, time.Minute, time.Hour, 30*time.Hour, 8*24*time.Hour))
	}
	if err := p.store.Close(); err != nil {
		p.t.Error(err)
	}
	figures(p.t, "%d power losses at %d kinds of disk operation (%s), %d bursts; the run went on from %d of the disks; "+
		"%d more power losses while a disk was opened", done, len(p.byKind), tallied(p.amidst), p.bursts, reopened, p.twice)
}

// tallied writes "3 in the middle of a drop, ...".
func tallied(amidst map[string]int) string {
	var parts []string
	for _, activity := range slices.Sorted(maps.Keys(amidst)) {
		parts = append(parts, fmt.Sprintf("%d in the middle of %s", amidst[activity], activity))
	}
	return strings.Join(parts, ", ")
}

func (p *powerRun) mustOpen() {
	p.t.Helper()
	store, err := p.open(inject(linkFS{p.mem, &p.links}, p))
	if err != nil {
		p.t.Fatal(err)
	}
	p.store = store
}

func (p *powerRun) arm(odds int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.odds = odds
}

func (p *powerRun) take() []powerPoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	points := p.points
	p.points = nil
	return points
}

// work lets all owners carry out bursts, several of each in flight at a time,
// while the store drops buckets and is copied. The clock stands still: a store
// may judge a burst by a later instant than the one it was admitted at.
func (p *powerRun) work(bursts int) {
	var wg sync.WaitGroup
	for _, o := range p.owners {
		wg.Go(func() { o.work(p, bursts) })
	}
	wg.Go(func() {
		for range 3 {
			p.store.Tick(context.Background())
			p.during("a bucket drop", p.drop)
			if err := p.store.PrepareLogs(context.Background()); err != nil {
				p.t.Error(err)
			}
		}
		p.during("a checkpoint", p.checkpoint)
	})
	wg.Wait()
}

// drop reports whether there was anything to drop.
func (p *powerRun) drop() bool {
	before := p.store.Figures().Dropped
	if err := p.store.DropExpired(context.Background()); err != nil {
		p.t.Error(err)
	}
	return p.store.Figures().Dropped > before
}

// checkpoint copies the store, and deletes all other copies: a power loss may
// have brought back some that were deleted before.
func (p *powerRun) checkpoint() bool {
	p.checkpoints++
	kept := fmt.Sprintf("copy-%d", p.checkpoints)
	if err := p.store.Checkpoint(kept); err != nil {
		p.t.Errorf("checkpoint: %v", err)
	}
	names, err := p.mem.List("")
	if err != nil {
		p.t.Error(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "copy-") && name != kept {
			if err := p.mem.RemoveAll(name); err != nil {
				p.t.Error(err)
			}
		}
	}
	return true
}

func (o *powerOwner) work(p *powerRun, bursts int) {
	// A store may carry out bursts that are in flight together in any order, and
	// the model has one: that of a client that waits for its answers.
	const inFlight = 1
	type flight struct {
		*sessiontest.Step
		from int // the first power loss after its start
	}
	var flying []flight
	land := func() {
		if err := flying[0].Finish(); err != nil {
			p.t.Error(err)
		}
		if flying[0].Flushes() {
			p.wasAmidst("a flush", flying[0].from)
		}
		flying = flying[1:]
		o.finished.Add(1)
	}
	for range bursts {
		o.started.Add(1)
		from := p.taken()
		step := o.lockstep.Start(p.store, p.store.Now(), 1+o.lockstep.Generator.Rand.IntN(8))
		flying = append(flying, flight{step, from})
		o.models = append(o.models, o.lockstep.Model.Clone())
		if len(flying) == inFlight {
			land()
		}
	}
	for len(flying) > 0 {
		land()
	}
}

// forget drops the models of bursts that no clone can go back to any more.
func (p *powerRun) forget() {
	for _, o := range p.owners {
		p.bursts += o.finished.Load()
		o.models = []*sessiontest.Model{o.lockstep.Model.Clone()}
		o.started.Store(0)
		o.finished.Store(0)
	}
}

// check opens the disk and looks for what must be there; at times the power
// fails again meanwhile.
func (p *powerRun) check(point powerPoint) {
	p.t.Helper()
	again := &ambush{mem: point.disk, wait: p.rng.IntN(12), rng: rand.New(rand.NewPCG(p.rng.Uint64(), 3))}
	p.checkOn(inject(point.disk, again), point)
	if again.left != nil {
		p.twice++
		point.kind += ", then while it was opened"
		p.checkOn(again.left, point)
	}
}

func (p *powerRun) checkOn(disk vfs.FS, point powerPoint) {
	p.t.Helper()
	store, err := p.open(disk)
	if err != nil {
		p.t.Fatalf("after a power loss at %s: %v", point.kind, err)
	}
	p.survivors(store, point)
	if err := store.Close(); err != nil {
		p.t.Errorf("after a power loss at %s: close: %v", point.kind, err)
	}
}

// ambush cuts the power once, at an operation that changes the disk.
type ambush struct {
	mem  *vfs.MemFS
	rng  *rand.Rand
	wait int // for so many operations

	mu   sync.Mutex
	left *vfs.MemFS // the disk as the power loss left it
}

// MaybeError makes ambush an errorfs.Injector that injects no errors.
func (a *ambush) MaybeError(op errorfs.Op) error {
	if !changesDisk(op.Kind) || op.Kind == errorfs.OpLink {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wait--; a.wait < 0 && a.left == nil {
		a.left = a.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: pick(a.rng, 0, 50, 100), RNG: a.rng})
	}
	return nil
}

// String makes ambush an errorfs.Injector.
func (a *ambush) String() string { return "one power loss" }

// survivors finds, for each owner, the number of bursts whose effects are there.
func (p *powerRun) survivors(store *engine.Store, point powerPoint) []*sessiontest.Model {
	p.t.Helper()
	found := make([]*sessiontest.Model, len(p.owners))
	for i, o := range p.owners {
		var errs []error
		for n := point.least[i]; n <= point.most[i] && found[i] == nil; n++ {
			model := o.models[n]
			if err := o.lockstep.Verify(store, model, store.Now()); err != nil {
				errs = append(errs, err)
				continue
			}
			found[i] = model
		}
		if found[i] == nil {
			p.t.Fatalf("after a power loss at %s, with between %d and %d bursts of owner %d: %v",
				point.kind, point.least[i], point.most[i], i, errs)
		}
	}
	return found
}

// goOnFrom makes the disk of a power loss the one that the run goes on with.
func (p *powerRun) goOnFrom(point powerPoint) {
	p.t.Helper()
	if err := p.store.Close(); err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	p.mem = point.disk
	p.mu.Unlock()
	p.mustOpen()
	for i, model := range p.survivors(p.store, point) {
		p.owners[i].lockstep.Adopt(model)
	}
}

// fileKind names the kind of a file of the store by its path.
func fileKind(path string) string {
	for len(path) > 0 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	for i := len(path) - 1; i >= 0; i-- {
		switch path[i] {
		case '.', '/':
			return path[i+1:]
		case '-':
			return path[:i][lastSlash(path[:i])+1:]
		}
	}
	return path
}

func lastSlash(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return i
		}
	}
	return -1
}
