package engine

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/compress/dictionary"
	"cairn/engine/record"
	"cairn/session"
	"cairn/session/codec"
	"cairn/session/sessiontest"
)

var (
	replayCommands = flag.Int("replay.commands", defaultReplayCommands(), "commands of TestReplayRandom, in total")
	replaySeed     = flag.Uint64("replay.seed", 0, "seed of TestReplayRandom; 0: a new one")
)

func defaultReplayCommands() int {
	switch {
	case os.Getenv("CI") == "":
		return 50_000
	case raceEnabled:
		return 20_000
	}
	return 1_000_000
}

// TestReplayRandom lets two stores follow one log. They differ in all that must
// not matter: caches, sizes of memtables, compression, limits, free space,
// clocks, what is read from them and when, when they flush and sweep, how often
// they restart, crash or begin anew from a checkpoint. After each entry their
// results must be equal, and in between all that they hold and count.
func TestReplayRandom(t *testing.T) {
	seed := *replaySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-replay.seed=%d", seed)
	var next atomic.Uint64
	var done atomic.Int64
	for n := range 2 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			for done.Load() < int64(*replayCommands) && !t.Failed() {
				done.Add(int64(runLog(t, seed+next.Add(1)-1)))
			}
		})
	}
}

// logEntry is an entry of the log as it would be on a disk.
type logEntry struct {
	at      Position
	data    []byte
	results []session.Result // of the first store that replayed it
}

// logWorld is a log and the stores that follow it.
type logWorld struct {
	t         *testing.T
	rand      *rand.Rand
	generator sessiontest.Generator
	clock     *sessiontest.Clock // whoever admits has this one
	log       []logEntry
	at        Position
	replicas  []*replica
	known     map[string][]uint64
	commands  int
}

// replica is one of the stores.
type replica struct {
	w       *logWorld
	name    string
	rand    *rand.Rand
	fs      *vfs.MemFS
	clock   *sessiontest.Clock
	options Options
	store   *Store
	next    int         // number of the entry to replay next
	full    atomic.Bool // its disk
	copies  int
}

func runLog(t *testing.T, seed uint64) (commands int) {
	w := &logWorld{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), clock: sessiontest.NewClock(), known: make(map[string][]uint64),
	}
	w.generator = sessiontest.Generator{
		Rand: rand.New(rand.NewPCG(seed, 2)), Keys: 8 + w.rand.IntN(100), TooLong: 3000, FlushOdds: 1000,
		Known: func(key []byte) []uint64 { return w.known[string(key)] },
	}
	for i := range 2 {
		w.replicas = append(w.replicas, newReplica(w, fmt.Sprintf("store %d", i), seed*2+uint64(i)))
	}
	defer func() {
		if t.Failed() {
			t.Logf("failed with -replay.seed=%d", seed)
		}
	}()
	for range 8 {
		for range 10 {
			w.step()
		}
		w.compare()
		if t.Failed() {
			return w.commands
		}
	}
	for _, r := range w.replicas {
		checkAndClose(t, r.store)
	}
	return w.commands
}

func newReplica(w *logWorld, name string, seed uint64) *replica {
	r := &replica{w: w, name: name, rand: rand.New(rand.NewPCG(seed, 3)), fs: vfs.NewCrashableMem(), clock: sessiontest.NewClock()}
	r.clock.Advance(time.Duration(r.rand.Int64N(int64(20 * 24 * time.Hour))))
	o := testOptions(w.t, r.fs, r.clock)
	o.ExternalLog = true
	o.entriesInFlight = 2 * inFlight
	o.Compression = []Compression{CompressionDict, CompressionDict, CompressionBlock, CompressionOff}[r.rand.IntN(4)]
	o.HotBytes = []int64{-1, 4 << 10, 20 << 10, 1 << 20}[r.rand.IntN(4)]
	o.MaxValueSize = []int{1000, 2000, 4096}[r.rand.IntN(3)]
	o.MemtableBytes = []int64{32 << 10, 256 << 10, 1 << 20}[r.rand.IntN(3)]
	o.largeValue = []int{1, 30, 1000, defaultLargeValue}[r.rand.IntN(4)]
	r.options = o
	r.open()
	return r
}

func (r *replica) open() {
	var err error
	r.options.FS = fillFS{r.fs, &r.full}
	if r.store, err = Open(r.options); err != nil {
		r.w.t.Fatalf("%s: %v", r.name, err)
	}
	applied := r.store.Applied()
	durable, err := r.store.DurablePosition()
	if err != nil || durable != applied {
		r.w.t.Fatalf("%s: opened at %v, durable is %v (%v)", r.name, applied, durable, err)
	}
	for r.next = 0; r.next < len(r.w.log) && r.w.log[r.next].at.Index <= applied.Index; r.next++ {
	}
	if r.next > 0 && r.w.log[r.next-1].at != applied {
		r.w.t.Fatalf("%s: opened at %v, which is no entry", r.name, applied)
	}
	r.fillDisk()
}

// fillDisk makes the store see a full disk, or one that is not.
func (r *replica) fillDisk() {
	r.full.Store(r.rand.IntN(4) == 0)
	r.store.files.disk.LookAtSpace()
}

// fillFS is a file system that is full when the test says so.
type fillFS struct {
	vfs.FS
	full *atomic.Bool
}

func (fs fillFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if fs.full.Load() {
		return vfs.DiskUsage{TotalBytes: 1 << 40}, nil
	}
	return vfs.DiskUsage{TotalBytes: 1 << 40, AvailBytes: 1 << 40}, nil
}

// step appends an entry and lets the stores go on.
func (w *logWorld) step() {
	w.admit(w.replicas[w.rand.IntN(len(w.replicas))])
	for _, r := range w.replicas {
		if r.rand.IntN(3) > 0 {
			r.follow(1 + r.rand.IntN(4))
		}
		if r.rand.IntN(3) == 0 {
			r.meddle()
		}
	}
}

// inFlight is how many entries there may be that whoever admits one has not
// replayed. Each takes up to two indexes.
const inFlight = 3

// admit appends an entry that leader has admitted.
func (w *logWorld) admit(leader *replica) {
	leader.follow(len(w.log) - leader.next - w.rand.IntN(inFlight+1))
	if w.rand.IntN(3) == 0 {
		w.advance()
	}
	b := new(session.Burst)
	n := w.rand.IntN(8)
	if w.rand.IntN(2) == 0 {
		n += w.rand.IntN(300)
	}
	w.generator.Fill(b, w.clock.Now(), n)
	for i := range b.Commands {
		if c := &b.Commands[i]; len(c.Value) > 0 && w.rand.IntN(3) == 0 {
			c.Value = sessionValue(w.rand)
		}
	}
	if w.rand.IntN(12) == 0 {
		w.addDictionary(leader, b)
	}
	now := b.Now
	if err := leader.store.Admit(b, codec.Latest); err != nil {
		w.t.Fatal(err)
	}
	b.Now = now // what its clock says does not matter; at times it is late
	if w.rand.IntN(4) == 0 {
		b.Now -= session.Time(w.rand.Int64N(5000))
	}
	data, err := codec.AppendBurst(nil, b, codec.Latest)
	if err != nil {
		w.t.Fatal(err)
	}
	w.at.Index += 1 + w.rand.Uint64N(3)/2
	w.at.Term += w.rand.Uint64N(5) / 4
	w.log = append(w.log, logEntry{at: w.at, data: data})
	w.commands += len(b.Commands)
}

// addDictionary makes the burst adopt a dictionary, or try to.
func (w *logWorld) addDictionary(leader *replica, b *session.Burst) {
	d := record.Dictionary{Kind: uint32(dictionary.KindOf(w.generator.Key(), sessionValue(w.rand))), Raw: someDictionary(w.rand.IntN(4))}
	leader.store.replayed.mu.Lock()
	d.ID = leader.store.compression.dictionaries.Next()
	leader.store.replayed.mu.Unlock()
	*b.Add() = session.Command{Op: session.OpAdopt, Value: appendDictionary(nil, &d)}
}

func sessionValue(r *rand.Rand) []byte {
	return fmt.Appendf(nil, firstLayout, r.IntN(9), r.Uint64(), r.Uint32(), r.IntN(1e6))
}

// someDictionary returns one of a few dictionaries for values of sessionValue.
func someDictionary(n int) []byte {
	dictionaryMu.Lock()
	defer dictionaryMu.Unlock()
	if trainedForTest[n] == nil {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		trainer := dictionary.NewTrainer()
		for due := false; !due; {
			value := sessionValue(r)
			due = trainer.Observe(1, value, len(value))
		}
		d, err := trainer.Train(1)
		if err != nil {
			panic(err)
		}
		trainedForTest[n] = d.Raw
	}
	return trainedForTest[n]
}

var (
	dictionaryMu   sync.Mutex
	trainedForTest [4][]byte
)

// advance moves the clock of the log, by little or much.
func (w *logWorld) advance() {
	most := []time.Duration{2 * time.Second, time.Minute, time.Hour, 8 * time.Hour, 7 * 24 * time.Hour}[w.rand.IntN(5)]
	w.clock.Advance(time.Duration(w.rand.Int64N(int64(most))))
}

// follow replays up to n entries.
func (r *replica) follow(n int) {
	for ; n > 0 && r.next < len(r.w.log); n-- {
		r.replay(&r.w.log[r.next])
		r.next++
	}
}

func (r *replica) replay(e *logEntry) {
	b := new(session.Burst)
	if _, err := codec.DecodeBurst(bytes.Clone(e.data), b); err != nil {
		r.w.t.Fatal(err)
	}
	if err := r.store.Replay(e.at, b); err != nil {
		r.w.t.Fatalf("%s: %v", r.name, err)
	}
	if len(b.Results) != len(b.Commands) {
		r.w.t.Fatalf("%s: %d results for %d commands", r.name, len(b.Results), len(b.Commands))
	}
	if e.results == nil {
		e.results = r.w.keep(b)
		return
	}
	for i := range b.Results {
		if diff := differ(&b.Results[i], &e.results[i]); diff != "" {
			r.w.t.Fatalf("%s: entry %v, command %d, %s: %s", r.name, e.at, i, sessiontest.Describe(&b.Commands[i]), diff)
		}
	}
}

// keep copies the results of b and remembers versions for later commands.
func (w *logWorld) keep(b *session.Burst) []session.Result {
	kept := make([]session.Result, len(b.Results))
	for i := range kept {
		kept[i] = b.Results[i]
		kept[i].Item.Value = bytes.Clone(kept[i].Item.Value)
		if it := &kept[i].Item; it.Version > 0 {
			versions := append(w.known[string(it.Key)], it.Born, it.Version)
			w.known[string(it.Key)] = versions[max(0, len(versions)-6):]
		}
	}
	return kept
}

// differ tells in what two results differ, but for what is best effort.
func differ(got, want *session.Result) string {
	g, w := *got, *want
	for _, r := range []*session.Result{&g, &w} {
		r.Item.Fetched, r.Item.LastAccess = false, 0
		if len(r.Item.Value) == 0 {
			r.Item.Value = nil
		}
	}
	if g.Err != nil && w.Err != nil && g.Err.Error() == w.Err.Error() {
		g.Err, w.Err = nil, nil
	}
	if reflect.DeepEqual(g, w) {
		return ""
	}
	return fmt.Sprintf("%+v, another store %+v", got, want)
}

// meddle does to the store what must not matter.
func (r *replica) meddle() {
	ctx := context.Background()
	fail := func(what string, err error) {
		if err != nil {
			r.w.t.Fatalf("%s: %s: %v", r.name, what, err)
		}
	}
	r.clock.Advance(time.Duration(r.rand.Int64N(int64(time.Hour))))
	r.fillDisk()
	switch r.rand.IntN(12) {
	case 0, 1, 2:
		r.read()
	case 3:
		r.store.Tick(ctx)
	case 4, 5:
		fail("drop", r.store.DropExpired(ctx))
	case 6:
		fail("forget dictionaries", r.store.TrainDictionaries(ctx))
	case 7:
		durable, err := r.store.MakeDurable(ctx)
		fail("flush", err)
		if applied := r.store.Applied(); durable != applied {
			r.w.t.Fatalf("%s: durable up to %v after a flush, applied %v", r.name, durable, applied)
		}
	case 8:
		r.store.Stats()
		r.again()
	case 9:
		checkAndClose(r.w.t, r.store)
		r.open()
	case 10:
		r.copy()
	case 11:
		r.crash()
	}
}

// read reads at an instant that may be far ahead of the log's.
func (r *replica) read() {
	b := new(session.Burst)
	b.Reset(r.w.clock.Now().Add(time.Duration(r.rand.Int64N(int64(48 * time.Hour)))))
	keys := r.w.generator.AllKeys()
	for range 1 + r.rand.IntN(40) {
		c := session.Command{Op: session.OpGet, Key: keys[r.rand.IntN(len(keys))]}
		switch r.rand.IntN(4) {
		case 0:
			c.Mods = session.Peek
		case 1:
			c.Mods, c.RecacheBefore = session.Recache, session.Never
		}
		*b.Add() = c
	}
	session.Do(r.store, b)
	for i := range b.Results {
		if got := &b.Results[i]; got.Won || got.Status == session.Failed && got.Err != session.ErrNeedsLog {
			r.w.t.Fatalf("%s: %s: %+v", r.name, sessiontest.Describe(&b.Commands[i]), got)
		}
	}
}

// again replays an entry from before, which must change nothing.
func (r *replica) again() {
	if r.next == 0 {
		return
	}
	e := &r.w.log[r.rand.IntN(r.next)]
	b := new(session.Burst)
	if _, err := codec.DecodeBurst(e.data, b); err != nil {
		r.w.t.Fatal(err)
	}
	_, before, _ := r.store.Digest()
	if err := r.store.Replay(e.at, b); err != nil || len(b.Results) > 0 {
		r.w.t.Fatalf("%s: entry %v again: %v, %d results", r.name, e.at, err, len(b.Results))
	}
	if _, after, _ := r.store.Digest(); after != before {
		r.w.t.Fatalf("%s: entry %v again changed something", r.name, e.at)
	}
}

// copy goes on with a checkpoint.
func (r *replica) copy() {
	r.copies++
	dir := fmt.Sprintf("copy%d", r.copies)
	applied := r.store.Applied()
	if err := r.store.Checkpoint(dir); err != nil {
		r.w.t.Fatalf("%s: %v", r.name, err)
	}
	checkAndClose(r.w.t, r.store)
	r.options.Dir = dir
	r.open()
	if got := r.store.Applied(); got != applied {
		r.w.t.Fatalf("%s: the checkpoint is of %v, made at %v", r.name, got, applied)
	}
}

// crash goes on with what a power cut leaves.
func (r *replica) crash() {
	durable, err := r.store.DurablePosition()
	if err != nil {
		r.w.t.Fatalf("%s: %v", r.name, err)
	}
	crashed := r.fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 50, 100}[r.rand.IntN(3)], RNG: rand.New(rand.NewPCG(r.rand.Uint64(), 0)),
	})
	checkAndClose(r.w.t, r.store)
	r.fs = crashed
	r.open()
	if got := r.store.Applied(); got.Index < durable.Index {
		r.w.t.Fatalf("%s: %v after a crash, %v was durable", r.name, got, durable)
	}
}

// compare lets all stores catch up and compares all that they hold and count.
func (w *logWorld) compare() {
	var digests []uint64
	var scans [][]session.Item
	now := session.Time(0)
	for _, r := range w.replicas {
		r.follow(len(w.log))
		now = max(now, r.store.horizon.latest())
	}
	for _, r := range w.replicas {
		r.store.horizon.see(now)
		checkInvariants(w.t, r.store)
		at, digest, err := r.store.Digest()
		if err != nil || at != w.at {
			w.t.Fatalf("%s: digest at %v of %v: %v", r.name, at, w.at, err)
		}
		digests, scans = append(digests, digest), append(scans, r.scan())
	}
	for i := range w.replicas[1:] {
		if digests[i+1] != digests[0] {
			a, _ := w.replicas[0].store.loadLedger()
			b, _ := w.replicas[i+1].store.loadLedger()
			w.t.Fatalf("at %v ledgers differ:\n%+v\n%+v", w.at, a, b)
		}
		if !reflect.DeepEqual(scans[i+1], scans[0]) {
			w.t.Fatalf("at %v scans differ:\n%+v\n%+v", w.at, scans[0], scans[i+1])
		}
	}
}

// scan returns all that lives at the latest instant that the stores know.
func (r *replica) scan() (items []session.Item) {
	err := r.store.Scan(context.Background(), nil, nil, func(it *session.Item) bool {
		copied := *it
		copied.Key, copied.Value = bytes.Clone(it.Key), append([]byte{}, it.Value...)
		copied.Fetched, copied.LastAccess = false, 0
		items = append(items, copied)
		return true
	})
	if err != nil {
		r.w.t.Fatalf("%s: scan: %v", r.name, err)
	}
	return items
}
