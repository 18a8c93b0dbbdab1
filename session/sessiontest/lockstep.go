package sessiontest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"cairn/session"
)

// Lockstep drives a Store and a Model with the same random bursts. It is not
// safe for concurrent use, but several of them, with Generators of different
// prefixes and without flushes, may drive one Store at once.
type Lockstep struct {
	Generator Generator
	Model     *Model
	Versions  Versions

	told    *Recorder           // by the model, for the suite
	history map[string][]uint64 // versions of the model that each key has shown
}

// NewLockstep makes a Lockstep for an empty store whose values have at most
// maxValueSize bytes. The same seed gives the same commands, as long as the
// store answers right.
func NewLockstep(seed uint64, maxValueSize int) *Lockstep {
	l := &Lockstep{
		Model:   NewModel(maxValueSize),
		history: make(map[string][]uint64),
	}
	l.Generator = Generator{
		Rand:  rand.New(rand.NewPCG(seed, seed)),
		Known: func(key []byte) []uint64 { return l.history[string(key)] },
	}
	return l
}

// Step lets s and the model carry out n random commands as one burst stamped
// now, and tells in what the results differ.
func (l *Lockstep) Step(s session.Store, now session.Time, n int) error {
	return l.Start(s, now, n).Finish()
}

// A Step is a burst that the store has begun and the model has done.
type Step struct {
	l            *Lockstep
	done         chan struct{} // closed when the store has completed its burst
	model, store session.Burst
}

// Complete makes a Step the Completer of the store's burst.
func (step *Step) Complete(bursts []*session.Burst) {
	if len(bursts) != 1 || bursts[0] != &step.store {
		panic("sessiontest: the store completed something else")
	}
	close(step.done) // panics if it is the second time
}

// Start is the first half of Step: the store has not been waited for. The
// state of the model from before the step is a clone that the caller made.
func (l *Lockstep) Start(s session.Store, now session.Time, n int) *Step {
	step := &Step{l: l, done: make(chan struct{})}
	l.Generator.Fill(&step.model, now, n)
	step.store = session.Burst{Now: now, Commands: append([]session.Command(nil), step.model.Commands...)}
	for i := range step.store.Commands {
		c := &step.store.Commands[i]
		c.CAS, c.Born = l.Versions.ToStore(c.CAS), l.Versions.ToStore(c.Born)
	}
	session.Do(l.Model, &step.model)
	if s.Try(&step.store) {
		close(step.done)
	} else {
		s.Apply(&step.store, step)
	}
	return step
}

// Flushes reports whether the burst has a flush in it.
func (step *Step) Flushes() bool {
	return slices.ContainsFunc(step.model.Commands, func(c session.Command) bool { return c.Op == session.OpFlush })
}

// Finish is the second half of Step: it waits for the store and compares.
func (step *Step) Finish() error {
	<-step.done
	l := step.l
	if len(step.store.Results) != len(step.model.Results) {
		return fmt.Errorf("%d results for %d commands", len(step.store.Results), len(step.model.Results))
	}
	for i := range step.model.Commands {
		c, want, got := &step.model.Commands[i], &step.model.Results[i], &step.store.Results[i]
		if err := l.Versions.Compare(c, want, got); err != nil {
			return fmt.Errorf("command %d of %d, %s: %w", i, len(step.model.Commands), Describe(c), err)
		}
		l.remember(c.Key, want.Item.Version)
		if want.Item.Born != want.Item.Version {
			l.remember(c.Key, want.Item.Born)
		}
	}
	return nil
}

// remember keeps the last versions of a key for IfVersion.
func (l *Lockstep) remember(key []byte, version uint64) {
	const most = 3
	if version == 0 {
		return
	}
	versions := append(l.history[string(key)], version)
	if len(versions) > most {
		versions = versions[len(versions)-most:]
	}
	l.history[string(key)] = versions
}

// Adopt makes model, a clone from earlier in the run, the state to go on from,
// after a crash at that time: what the store showed of later versions never
// happened.
func (l *Lockstep) Adopt(model *Model) {
	l.Model = model
	l.Versions.forgetAfter(model.ClonedAt())
	for key, versions := range l.history {
		l.history[key] = slices.DeleteFunc(versions, func(v uint64) bool { return !l.Versions.knows(v) })
	}
}

// Verify reads every key that the Generator can make and tells in what the store
// differs from model, which may be l.Model or a clone of it: in what the keys hold, in
// what belongs to whom, and in the flush that is to come, if the store knows of those.
// It changes nothing in either; what it learns of versions it keeps only on success.
func (l *Lockstep) Verify(s session.Store, model *Model, now session.Time) error {
	versions := l.Versions.Clone()
	keys := l.Generator.AllKeys()
	model = model.Clone()
	want, got := readAll(model, keys, now), readAll(s, keys, now)
	for i, key := range keys {
		if err := versions.Compare(&want.Commands[i], &want.Results[i], &got.Results[i]); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	if owned, ok := s.(session.Owned); ok {
		if err := CompareOwners(model, owned, l.Generator.Prefix); err != nil {
			return err
		}
	}
	if planner, ok := s.(flushPlanner); ok {
		want, got := pending(model, now), pending(planner, now)
		if want != got {
			return fmt.Errorf("a flush is pending for %v, want %v", got, want)
		}
	}
	l.Versions = versions
	return nil
}

// flushPlanner is a store that tells when a flush is to come. Nothing that it holds
// shows that before it comes.
type flushPlanner interface {
	PendingFlush() session.Time
}

// pending is the instant of the flush that is to come after now, session.Never if none.
func pending(s flushPlanner, now session.Time) session.Time {
	if at := s.PendingFlush(); at > now {
		return at
	}
	return session.Never
}

func readAll(s session.Store, keys [][]byte, now session.Time) *session.Burst {
	b := &session.Burst{Now: now}
	for _, key := range keys {
		*b.Add() = session.Command{Op: session.OpGet, Mods: session.Peek, Key: key}
	}
	session.Do(s, b)
	return b
}

// Describe writes a command on one line, for the message of a failed test: what
// its Op and Mods give a meaning, and the value abridged.
func Describe(c *session.Command) string {
	out := fmt.Appendf(nil, "%s %q", opNames[min(int(c.Op), len(opNames)-1)], c.Key)
	for _, m := range modNames {
		if c.Has(m.mod) {
			out = append(append(out, ' '), m.name...)
		}
	}
	for _, field := range []struct {
		name  string
		value any
		shown bool
	}{
		{"value", abridged(c.Value), session.OpSet <= c.Op && c.Op <= session.OpPrepend},
		{"flags", c.Flags, c.Flags != 0},
		{"expiry", c.Expiry, c.Op != session.OpFlush},
		{"cas", c.CAS, c.Has(session.IfVersion)},
		{"new version", c.NewVersion, c.Has(session.SetVersion)},
		{"delta", c.Delta, c.Op == session.OpIncr || c.Op == session.OpDecr},
		{"initial", c.Initial, c.Has(session.Vivify)},
		{"vivify expiry", c.VivifyExpiry, c.Has(session.Vivify)},
		{"recache before", c.RecacheBefore, c.Has(session.Recache)},
		{"owner", abridged(c.Owner), c.Has(session.Tracked)},
		{"created", c.Created, c.Has(session.Tracked)},
		{"limit", c.Limit, c.Limit != 0},
		{"born", c.Born, c.Has(session.IfBorn)},
		{"flush at", c.FlushAt, c.Op == session.OpFlush},
	} {
		if field.shown {
			out = fmt.Appendf(out, ", %s %v", field.name, field.value)
		}
	}
	return string(out)
}

var opNames = [...]string{
	"op 0", "get", "touch", "set", "add", "replace", "append", "prepend", "incr", "decr", "delete", "flush", "unknown op",
}

var modNames = []struct {
	mod  session.Mods
	name string
}{
	{session.IfVersion, "if version"}, {session.SetVersion, "set version"}, {session.SetExpiry, "set expiry"},
	{session.Vivify, "vivify"}, {session.Recache, "recache"}, {session.Invalidate, "invalidate"},
	{session.DropValue, "drop value"}, {session.Peek, "peek"}, {session.NoClaim, "no claim"},
	{session.Tracked, "tracked"}, {session.IfBorn, "if born"},
}
