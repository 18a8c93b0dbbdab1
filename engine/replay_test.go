package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"cairn/engine/compress"
	"cairn/engine/record"
	"cairn/session"
	"cairn/session/codec"
	"cairn/session/sessiontest"
)

// follower is a store with an external log, and the log: a session.Store whose
// bursts are admitted, written down and replayed.
type follower struct {
	*Store
	mu  sync.Mutex
	at  Position
	log map[uint64][]byte
}

// follow opens a store with an external log that is checked and closed when the
// test ends.
func follow(t *testing.T, o Options) *follower {
	t.Helper()
	o.ExternalLog = true
	f := &follower{Store: openStore(t, o), log: make(map[uint64][]byte)}
	f.at = f.Applied()
	return f
}

// Try is session.Store's. It leaves all to the log.
func (f *follower) Try(*session.Burst) bool { return false }

// Apply is session.Store's. Commands of which Admit would refuse the burst fail;
// the others go through the log.
func (f *follower) Apply(in *session.Burst, to session.Completer) {
	in.FailAll(session.ErrBadCommand)
	known, places := &session.Burst{Now: in.Now, Origin: in.Origin}, []int{}
	for i, c := range in.Commands {
		if codec.Check(&session.Burst{Commands: []session.Command{c}}, codec.Latest) == nil {
			known.Commands = append(known.Commands, c)
			places = append(places, i)
		}
	}
	if err := f.append(known); err != nil {
		in.FailAll(err)
	}
	for i := range known.Results {
		in.Results[places[i]] = known.Results[i]
	}
	to.Complete([]*session.Burst{in})
}

// append admits a burst, writes it into the log, and replays what stands there.
// The results are sent back as bytes.
func (f *follower) append(in *session.Burst) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.doors.closed.Load() {
		return session.ErrClosed
	}
	if err := f.Admit(in, codec.Latest); err != nil {
		return err
	}
	data, err := codec.AppendBurst(nil, in, codec.Latest)
	if err != nil {
		return err
	}
	at := Position{Index: f.at.Index + 1, Term: f.at.Term}
	var b session.Burst
	if _, err := codec.DecodeBurst(data, &b); err != nil {
		return err
	}
	b.Origin = in.Origin
	if err := f.Replay(at, &b); err != nil {
		return err
	}
	f.at, f.log[at.Index] = at, data
	results, err := codec.AppendResults(nil, &b, codec.Latest)
	if err == nil {
		_, err = codec.DecodeResults(results, in)
	}
	return err
}

// catchUp replays what a store that was opened anew has not applied.
func (f *follower) catchUp(t *testing.T, s *Store) {
	t.Helper()
	for index := s.Applied().Index + 1; index <= f.at.Index; index++ {
		var b session.Burst
		if _, err := codec.DecodeBurst(f.log[index], &b); err != nil {
			t.Fatal(err)
		}
		if err := s.Replay(Position{Index: index}, &b); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConformanceReplayed runs the suite of all stores on one whose bursts go
// through a log.
func TestConformanceReplayed(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T, clock *sessiontest.Clock) *sessiontest.Instance {
		o := testOptions(t, vfs.NewMem(), clock)
		store := follow(t, o)
		return &sessiontest.Instance{
			Store:        store,
			MaxValueSize: o.MaxValueSize,
			Reopen: func() session.Store {
				checkAndClose(t, store.Store)
				store = follow(t, o)
				return store
			},
			Close: func() error {
				if !store.doors.closed.Load() {
					checkInvariants(t, store.Store)
				}
				return store.Close()
			},
		}
	})
}

// wantDigests checks that two stores have replayed the same.
func wantDigests(t *testing.T, a, b *Store) {
	t.Helper()
	atA, digestA, errA := a.Digest()
	atB, digestB, errB := b.Digest()
	if atA != atB || digestA != digestB || errA != nil || errB != nil {
		t.Errorf("digest %x at %v (%v), of the other %x at %v (%v)", digestA, atA, errA, digestB, atB, errB)
	}
}

func crashed(fs *vfs.MemFS) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 2))})
}

// TestDurablePosition follows what is durable, and replays from there after a
// crash.
func TestDurablePosition(t *testing.T) {
	fs, clock := vfs.NewCrashableMem(), sessiontest.NewClock()
	o := testOptions(t, fs, clock)
	f := follow(t, o)
	wantDurable := func(s *Store, index uint64) {
		t.Helper()
		if at, err := s.DurablePosition(); err != nil || at.Index != index {
			t.Errorf("durable up to %v (%v), want %d", at, err, index)
		}
	}
	wantDurable(f.Store, 0)
	want(t, f, session.OK, set(f.Store, "a", "1", time.Hour))
	want(t, f, session.NotFound, op(session.OpDelete, "nothing")) // changes nothing but the position
	wantDurable(f.Store, 0)
	if at, err := f.MakeDurable(context.Background()); err != nil || at.Index != 2 {
		t.Errorf("after a flush: %v, %v", at, err)
	}
	wantDurable(f.Store, 2)
	want(t, f, session.OK, set(f.Store, "b", "2", time.Hour))
	want(t, f, session.OK, set(f.Store, "a", "3", time.Hour))

	o.FS, o.ExternalLog = crashed(fs), true
	s := openStore(t, o)
	wantDurable(s, 2)
	if at := s.Applied(); at.Index != 2 {
		t.Errorf("applied %v after the crash", at)
	}
	f.catchUp(t, s)
	wantDigests(t, s, f.Store)
	got := do(s, op(session.OpGet, "a"))
	if again := do(f, op(session.OpGet, "a")); string(got.Item.Value) != "3" || got.Item.Version != again.Item.Version {
		t.Errorf("after the replay: %+v, before the crash %+v", got, again)
	}
}

// TestSweepKeepsReplayEqual drops a bucket, crashes and replays what had found
// the bucket's records the first time.
func TestSweepKeepsReplayEqual(t *testing.T) {
	fs, clock := vfs.NewCrashableMem(), sessiontest.NewClock()
	o := testOptions(t, fs, clock)
	f := follow(t, o)
	want(t, f, session.OK, set(f.Store, "k", "1", time.Minute))
	if _, err := f.MakeDurable(context.Background()); err != nil {
		t.Fatal(err)
	}
	first := want(t, f, session.OK, session.Command{Op: session.OpTouch, Key: []byte("k"), Expiry: f.Now().Add(48 * time.Hour)})
	clock.Advance(3 * time.Hour)
	if err := f.DropExpired(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := f.counts.dropped.Load(); n != 0 {
		t.Errorf("%d buckets went by the local clock", n)
	}
	if err := f.append(&session.Burst{Now: clock.Now()}); err != nil { // an entry that moves the clock only
		t.Fatal(err)
	}
	if err := f.DropExpired(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := f.counts.dropped.Load(); n != 1 {
		t.Fatalf("%d buckets went by the log's clock", n)
	}
	o.FS, o.ExternalLog = crashed(fs), true
	s := openStore(t, o)
	f.catchUp(t, s)
	wantDigests(t, s, f.Store)
	if got := do(s, op(session.OpGet, "k")); got.Status != session.OK || got.Item.Version != first.Item.Version {
		t.Errorf("the touched session after the crash: %+v", got)
	}
}

// TestCheckpointHoldsAll opens a checkpoint of what was only in memory.
func TestCheckpointHoldsAll(t *testing.T) {
	fs, clock := vfs.NewMem(), sessiontest.NewClock()
	o := testOptions(t, fs, clock)
	f := follow(t, o)
	want(t, f, session.OK, set(f.Store, "k", "1", time.Hour))
	if err := f.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	o.Dir, o.ExternalLog = "copy", true
	s := openStore(t, o)
	wantDigests(t, s, f.Store)
	want(t, s, session.OK, op(session.OpGet, "k"))
}

// wantStopped checks that an entry stops a store, which keeps the state before.
func wantStopped(t *testing.T, f *follower, b *session.Burst) error {
	t.Helper()
	at, before, _ := f.Digest()
	err := f.Replay(Position{Index: f.at.Index + 1}, b)
	var stopped *ReplayError
	if !errors.As(err, &stopped) || stopped.At.Index != f.at.Index+1 || len(b.Results) > 0 {
		t.Errorf("replayed: %v, %d results", err, len(b.Results))
	}
	if err := f.Replay(Position{Index: f.at.Index + 2}, new(session.Burst)); !errors.As(err, &stopped) {
		t.Errorf("the next entry: %v", err)
	}
	if after, digest, _ := f.Digest(); after != at || digest != before {
		t.Errorf("at %v after the entry that stopped it, at %v before", after, at)
	}
	return err
}

// TestReplayStopsAtUnknown gives a store what a later version, or another store,
// has written. An answer of its own would make it another store.
func TestReplayStopsAtUnknown(t *testing.T) {
	value := sessionValue(rand.New(rand.NewPCG(1, 1)))
	for name, c := range map[string]struct {
		command session.Command
		frame   session.Frame
		want    func(error) bool
	}{
		"op":       {command: session.Command{Op: session.OpFlush + 1, Key: []byte("k")}, want: isUnknown},
		"modifier": {command: session.Command{Op: session.OpGet, Mods: 1 << 15, Key: []byte("k")}, want: isUnknown},
		"dictionary": {session.Command{Op: session.OpSet, Key: []byte("k")}, session.Frame{Codec: uint8(record.S2), Dictionary: 7, RawLen: 100, Data: value},
			func(err error) bool { var e *compress.UnknownDictionaryError; return errors.As(err, &e) && e.ID == 7 }},
		"dictionary of a frame that came with its value": {session.Command{Op: session.OpSet, Key: []byte("k"), Value: value},
			session.Frame{Codec: uint8(record.S2), Dictionary: 7, RawLen: 100, Data: value},
			func(err error) bool { var e *compress.UnknownDictionaryError; return errors.As(err, &e) && e.ID == 7 }},
		"codec":       {session.Command{Op: session.OpSet, Key: []byte("k")}, session.Frame{Codec: 9, RawLen: 100, Data: value}, isFrame},
		"frame":       {session.Command{Op: session.OpSet, Key: []byte("k")}, session.Frame{Codec: uint8(record.S2), RawLen: 100, Data: value}, isFrame},
		"large frame": {session.Command{Op: session.OpSet, Key: []byte("k")}, session.Frame{Codec: uint8(record.S2), RawLen: 1 << 31, Data: value}, isFrame},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
			want(t, f, session.OK, set(f.Store, "k", "1", time.Hour))
			b := &session.Burst{Now: f.Now(), Commands: []session.Command{c.command}, Admission: session.Admission{Frames: []session.Frame{c.frame}}}
			if err := wantStopped(t, f, b); !c.want(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func isUnknown(err error) bool { var e *codec.UnknownError; return errors.As(err, &e) }
func isFrame(err error) bool   { return errors.Is(err, compress.ErrFrame) }

// TestReplayStopsAtReadError lets a store fail to read what an entry needs:
// the others can, and have a result.
func TestReplayStopsAtReadError(t *testing.T) {
	var broken atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(o errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(o.Path, ".sst") && o.Kind == errorfs.OpFileReadAt {
			return errors.New("the disk is broken")
		}
		return nil
	}))
	for _, c := range []session.Command{
		{Op: session.OpGet, Key: []byte("k")}, {Op: session.OpSet, Key: []byte("k"), Value: []byte("v"), Expiry: session.Never},
		{Op: session.OpDelete, Key: []byte("k")}, {Op: session.OpTouch, Key: []byte("k"), Expiry: session.Never},
	} {
		t.Run(sessiontest.Describe(&c), func(t *testing.T) {
			broken.Store(false)
			o := testOptions(t, fs, sessiontest.NewClock())
			o.Dir, o.HotBytes, o.BlockCacheBytes = fmt.Sprintf("data%d", c.Op), -1, 1
			f := follow(t, o)
			defer broken.Store(false)
			want(t, f, session.OK, set(f.Store, "k", strings.Repeat("x", 3000), time.Hour))
			if _, err := f.MakeDurable(context.Background()); err != nil {
				t.Fatal(err)
			}
			checkAndClose(t, f.Store)
			f.Store = follow(t, o).Store
			at := f.Applied()
			broken.Store(true)
			err := f.Replay(Position{Index: f.at.Index + 1}, &session.Burst{Now: f.Now(), Commands: []session.Command{
				{Op: session.OpSet, Key: []byte("other"), Value: []byte("v"), Expiry: session.Never}, c,
			}})
			broken.Store(false)
			var stopped *ReplayError
			if !errors.As(err, &stopped) {
				t.Fatalf("replayed: %v", err)
			}
			if f.Applied() != at {
				t.Errorf("applied %v, before %v", f.Applied(), at)
			}
			if got := do(f.Store, op(session.OpGet, "other")); got.Status != session.NotFound {
				t.Errorf("a part of the entry was applied: %+v", got)
			}
		})
	}
}

// TestReplayStopsAtDamage damages a record. Other stores have it whole.
func TestReplayStopsAtDamage(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	o.HotBytes = -1
	f := follow(t, o)
	want(t, f, session.OK, set(f.Store, "k", "1", time.Hour))
	damaged := record.AppendKey(nil, f.memory.buckets.all()[0], []byte("damaged"))
	if err := f.files.db.Set(damaged, []byte("no record"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	b := &session.Burst{Now: f.Now(), Commands: []session.Command{set(f.Store, "damaged", "2", time.Hour)}}
	if err := wantStopped(t, f, b); !errors.Is(err, session.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	if err := f.files.db.Delete(damaged, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

// TestFollowersOnlyRead checks that what Apply cannot do without the log it
// leaves alone.
func TestFollowersOnlyRead(t *testing.T) {
	for _, hot := range []int64{1 << 20, -1} {
		o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
		o.HotBytes = hot
		f := follow(t, o)
		want(t, f, session.OK, set(f.Store, "k", "1", time.Hour))
		want(t, f, session.OK, session.Command{Op: session.OpDelete, Mods: session.Invalidate, Key: []byte("k")})
		_, before, _ := f.Digest()
		for _, c := range []session.Command{
			set(f.Store, "k", "2", time.Hour), op(session.OpGet, "k"), // would claim it
			{Op: session.OpGet, Mods: session.Vivify, Key: []byte("absent"), VivifyExpiry: session.Never},
			{Op: session.OpFlush},
		} {
			if got := do(f.Store, c); got.Err != session.ErrNeedsLog {
				t.Errorf("%s: %+v", sessiontest.Describe(&c), got)
			}
		}
		want(t, f.Store, session.OK, session.Command{Op: session.OpGet, Mods: session.Peek, Key: []byte("k")})
		want(t, f.Store, session.NotFound, op(session.OpGet, "absent"))
		if got := do(f.Store, session.Command{Op: session.OpGet}); got.Err != session.ErrBadCommand {
			t.Errorf("a get without a key: %+v", got)
		}
		if _, after, _ := f.Digest(); after != before {
			t.Error("reads changed the store")
		}
		if got := want(t, f, session.OK, op(session.OpGet, "k")); !got.Won {
			t.Error("through the log, the item is not claimed")
		}
		late := &session.Burst{Now: f.Now().Add(2 * time.Hour), Commands: []session.Command{op(session.OpGet, "k")}}
		if session.Do(f.Store, late); late.Results[0].Status != session.NotFound {
			t.Errorf("after its expiry: %+v", late.Results[0])
		}
	}
}

// TestReadersDoNotMoveTheLog reads far ahead of the log and goes on with it.
func TestReadersDoNotMoveTheLog(t *testing.T) {
	for _, hot := range []int64{1 << 20, -1} {
		o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
		o.HotBytes = hot
		f := follow(t, o)
		want(t, f, session.OK, set(f.Store, "k", "1", time.Minute))
		want(t, f, session.OK, session.Command{Op: session.OpFlush, FlushAt: f.Now().Add(time.Hour)})
		if hot > 0 {
			f.memory.hot.clear()
		}
		now := f.Applied() // the entries' instants are at or before the epoch of the clock
		late := &session.Burst{Now: sessiontest.Epoch.Add(72 * time.Hour), Commands: []session.Command{op(session.OpGet, "k")}}
		if session.Do(f.Store, late); late.Results[0].Status != session.NotFound {
			t.Errorf("three days later: %+v", late.Results[0])
		}
		f.Tick(context.Background())
		if err := f.DropExpired(context.Background()); err != nil {
			t.Fatal(err)
		}
		b := &session.Burst{Now: sessiontest.Epoch + 1, Commands: []session.Command{op(session.OpTouch, "k")}}
		b.Commands[0].Expiry = sessiontest.Epoch.Add(24 * time.Hour)
		if err := f.Replay(Position{Index: now.Index + 1}, b); err != nil || b.Results[0].Status != session.OK {
			t.Errorf("an entry from before that: %v, %+v", err, b.Results)
		}
		f.at = f.Applied()
	}
}

// TestDueFlushIsByEntry lets a flush fall due: stores that nobody tells keep
// their items, and the entry that comes first after it takes them away before it
// does anything else.
func TestDueFlushIsByEntry(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	f := follow(t, o)
	want(t, f, session.OK, set(f.Store, "before", "1", 3*time.Hour))
	want(t, f, session.OK, session.Command{Op: session.OpFlush, FlushAt: f.Now().Add(time.Hour)})
	clock.Advance(2 * time.Hour)
	f.Tick(context.Background())
	want(t, f.Store, session.OK, op(session.OpGet, "before"))
	want(t, f, session.OK, set(f.Store, "after", "2", time.Hour))
	want(t, f.Store, session.NotFound, op(session.OpGet, "before"))
	want(t, f.Store, session.OK, op(session.OpGet, "after"))
}

// TestVersionsFollowFromPositions checks the versions of an adopted store, which
// are above all it had, and do not depend on restarts.
func TestVersionsFollowFromPositions(t *testing.T) {
	clock := sessiontest.NewClock()
	o := testOptions(t, vfs.NewMem(), clock)
	s := openStore(t, o)
	old := want(t, s, session.OK, set(s, "k", "1", time.Hour)).Item.Version
	checkAndClose(t, s)
	f := follow(t, o)
	base := f.replayed.base
	if base <= old {
		t.Errorf("versions begin at %d, %d was there before", base, old)
	}
	b := &session.Burst{Now: f.Now(), Commands: []session.Command{op(session.OpGet, "k"), set(f.Store, "k", "2", time.Hour), set(f.Store, "k", "3", time.Hour)}}
	if err := f.Replay(Position{Index: 7, Term: 2}, b); err != nil {
		t.Fatal(err)
	}
	for i, r := range b.Results[1:] {
		if r.Item.Version != base+7*session.MaxCommands+uint64(i)+1 {
			t.Errorf("command %d made version %d from base %d", i+1, r.Item.Version, base)
		}
	}
	checkAndClose(t, f.Store)
	f = follow(t, o)
	if f.replayed.base != base || f.Applied() != (Position{Index: 7, Term: 2}) {
		t.Errorf("base %d at %v, was %d", f.replayed.base, f.Applied(), base)
	}
}

// TestLeaveTheLog opens a store that followed a log without one: it goes on by
// itself, and its place in the log is forgotten.
func TestLeaveTheLog(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	f := follow(t, o)
	last := want(t, f, session.OK, set(f.Store, "k", "1", time.Hour))
	checkAndClose(t, f.Store)
	s := openStore(t, o)
	if got := want(t, s, session.OK, set(s, "k", "2", time.Hour)); got.Item.Version <= last.Item.Version {
		t.Errorf("version %d after %d", got.Item.Version, last.Item.Version)
	}
	if err := s.Replay(Position{Index: 9}, new(session.Burst)); err != errOwnLog {
		t.Errorf("replay: %v", err)
	}
	checkAndClose(t, s)
	f = follow(t, o)
	if at := f.Applied(); at != (Position{}) {
		t.Errorf("applied %v", at)
	}
}

// TestTrainedDictionary trains at the store that admits, and lets the log
// adopt it.
func TestTrainedDictionary(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	f := follow(t, o)
	r := rand.New(rand.NewPCG(1, 1))
	var adopt session.Command
	found := false
	for n := 0; n < 20_000 && !found; n++ {
		want(t, f, session.OK, set(f.Store, fmt.Sprintf("shop:%d", n), string(sessionValue(r)), time.Hour))
		if n%100 == 0 {
			adopt, found = f.TrainedDictionary()
		}
	}
	if !found {
		t.Fatal("no dictionary was trained")
	}
	if _, again := f.TrainedDictionary(); again {
		t.Error("the dictionary is trained twice")
	}
	want(t, f, session.OK, adopt)
	want(t, f, session.Exists, adopt)
	b := &session.Burst{Commands: []session.Command{set(f.Store, "shop:1", string(sessionValue(r)), time.Hour)}}
	if err := f.Admit(b, codec.Latest); err != nil || len(b.Frames) != 1 || b.Frames[0].Dictionary != 1 {
		t.Errorf("admitted with frames %+v, %v", b.Frames, err)
	}
	for _, value := range []string{"", "12345678", "12345678 is no dictionary"} {
		bad := session.Command{Op: session.OpAdopt, Value: []byte(value)}
		if got := do(f, bad); got.Err != session.ErrBadCommand {
			t.Errorf("a dictionary of %q: %+v", value, got)
		}
	}
	if err := f.TrainDictionaries(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestSamplesAreOfWhoAdmits lets one store admit what two replay. The other one has
// nothing to train from, and has encoded nothing; when it admits, the first lets go of
// its samples.
func TestSamplesAreOfWhoAdmits(t *testing.T) {
	leader := follow(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	o.ExternalLog = true
	other := openStore(t, o)
	r := rand.New(rand.NewPCG(1, 1))
	shop := func() string {
		return string(bytes.Join([][]byte{sessionValue(r), sessionValue(r), sessionValue(r)}, nil))
	}
	random := func() string {
		value := make([]byte, 500)
		for i := range value {
			value[i] = byte(r.IntN(256))
		}
		return string(value)
	}
	next := uint64(1)
	store := func(count int) {
		t.Helper()
		for range count {
			want(t, leader, session.OK, set(leader.Store, fmt.Sprintf("shop:%d", next%100), shop(), time.Hour))
			want(t, leader, session.OK, set(leader.Store, fmt.Sprintf("shop:%d", next%90), shop(), time.Hour))
			want(t, leader, session.OK, set(leader.Store, fmt.Sprintf("file:%d", next%100), random(), time.Hour)) // nothing compresses it
			next++
		}
		leader.catchUp(t, other)
	}
	store(2000)
	if f := other.Figures().Compression; f.In != 0 {
		t.Errorf("it has encoded %d bytes", f.In)
	}
	for range 15 { // what is put together by replaying is encoded by all
		b := &session.Burst{Now: leader.Now()}
		for i := range 300 {
			*b.Add() = set(leader.Store, fmt.Sprintf("shop:%d", i), shop(), time.Hour)
			*b.Add() = session.Command{Op: session.OpAppend, Key: fmt.Append(nil, "shop:", i), Value: []byte(shop())}
		}
		session.Do(leader, b)
	}
	leader.catchUp(t, other)
	if f := other.Figures().Compression; f.In == 0 {
		t.Error("it has not encoded what was appended")
	}
	if c, found := other.TrainedDictionary(); found {
		t.Errorf("it has trained a dictionary of %d bytes", len(c.Value))
	}
	leader.ForgetSamples()
	if c, found := leader.TrainedDictionary(); found {
		t.Errorf("a dictionary of %d bytes was trained from what was let go of", len(c.Value))
	}
	store(2000)
	if _, found := leader.TrainedDictionary(); !found {
		t.Fatal("no dictionary was trained from what came later")
	}
	leader.ForgetSamples() // it led no more, and the log has not got that one
	store(2000)
	adopt, found := leader.TrainedDictionary()
	if !found {
		t.Fatal("no dictionary was trained when the log did not take the first one")
	}
	want(t, leader, session.OK, adopt)
	before := other.Figures().Compression
	store(100)
	after := other.Figures().Compression
	if after.Dictionaries != 1 || after.In != before.In {
		t.Errorf("%d dictionaries, %d bytes encoded", after.Dictionaries, after.In-before.In)
	}
	// Its own samples are what it needs as soon as it admits; what it has learnt stays.
	other.ForgetSamples()
	b := &session.Burst{Commands: []session.Command{set(other, "shop:1", shop(), time.Hour)}}
	if err := other.Admit(b, codec.Latest); err != nil || len(b.Frames) != 1 || b.Frames[0].Dictionary != 1 {
		t.Errorf("admitted with frames %+v, %v", b.Frames, err)
	}
}

// TestValuesOfFrames replays entries whose values take more memory than is kept for
// them, and less, and reads them in the same entry and later.
func TestValuesOfFrames(t *testing.T) {
	f := follow(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	for round, count := range []int{600, 1, 40, 3} {
		value := func(i int) string { return strings.Repeat(fmt.Sprintf("%d of round %d;", i, round), 200) }
		b := &session.Burst{Now: f.Now()}
		for i := range count {
			*b.Add() = set(f.Store, fmt.Sprint("k", i), value(i), time.Hour)
		}
		for i := range count {
			*b.Add() = session.Command{Op: session.OpGet, Key: fmt.Append(nil, "k", i)}
		}
		session.Do(f, b)
		for i := range count {
			if r := b.Results[count+i]; string(r.Item.Value) != value(i) {
				t.Fatalf("round %d: value %d is %.40q, status %d", round, i, r.Item.Value, r.Status)
			}
			if r := do(f.Store, session.Command{Op: session.OpGet, Key: fmt.Append(nil, "k", i)}); string(r.Item.Value) != value(i) {
				t.Fatalf("round %d: value %d is %.40q later, status %d", round, i, r.Item.Value, r.Status)
			}
		}
	}
}

// TestFollowersSaySo checks that earlier versions, which cannot read a ledger with
// a position, refuse the store, and its copies.
func TestFollowersSaySo(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), sessiontest.NewClock())
	f := follow(t, o)
	if err := f.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{o.Dir, "copy"} {
		if found, err := readFormat(o.FS, dir); err != nil || found&followedLog == 0 {
			t.Errorf("%s has the features %v, %v", dir, found, err)
		}
	}
}

// TestAdmitRefuses keeps out of the log what would stop who replays it.
func TestAdmitRefuses(t *testing.T) {
	f := follow(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	if err := f.Admit(&session.Burst{Commands: []session.Command{{Op: 99}}}, codec.Latest); !isUnknown(err) {
		t.Errorf("an unknown op: %v", err)
	}
	if err := f.Admit(&session.Burst{Commands: make([]session.Command, session.MaxCommands+1)}, codec.Latest); err != codec.ErrTooMany {
		t.Errorf("too many commands: %v", err)
	}
	if err := f.Replay(Position{}, new(session.Burst)); !errors.Is(err, errPosition) {
		t.Errorf("position 0: %v", err)
	}
}

// TestOwnLogRefusesInternalOps keeps clients from what only a log may bring.
func TestOwnLogRefusesInternalOps(t *testing.T) {
	s := openStore(t, testOptions(t, vfs.NewMem(), sessiontest.NewClock()))
	if got := do(s, session.Command{Op: session.OpAdopt, Key: []byte("k"), Value: someDictionary(0)}); got.Err != session.ErrBadCommand {
		t.Errorf("%+v", got)
	}
}
