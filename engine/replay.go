package engine

import (
	"errors"
	"fmt"

	"cairn/engine/compress"
	"cairn/engine/record"
	"cairn/session"
	"cairn/session/codec"
)

// ReplayError says why a store cannot follow its log any further: it would be
// another store than those that can. Its state is that of Applied. It is to be
// replaced by a copy of one of the others.
type ReplayError struct {
	At  Position // of the entry that was not applied
	Err error
}

func (e *ReplayError) Error() string {
	return fmt.Sprintf("engine: replay of entry %d (term %d): %v", e.At.Index, e.At.Term, e.Err)
}

func (e *ReplayError) Unwrap() error { return e.Err }

var (
	errOwnLog   = errors.New("engine: the store has a log of its own")
	errPosition = errors.New("engine: no position of a log")
)

// Replay carries out the entry of the log that stands at position at, which must
// be higher than that of all entries before, though not by one. What it does
// depends on the burst, the position and the state that earlier entries have
// led to, on nothing else: no clock, no flag, no free space. Replaying an entry
// that has been applied before changes nothing and leaves b without results. A
// burst without commands moves the clock, and carries out the flush that is due
// by then, as every entry does.
//
// b.Results is final when Replay returns. The store keeps nothing of b. Values
// that b has only frames of are filled in; they, and results that refer to them, are
// valid until the next entry is replayed.
//
// If there is an error, other than session.ErrClosed, it is a *ReplayError; the
// entry has had no effect, and no further one is applied.
func (s *Store) Replay(at Position, b *session.Burst) error { return s.replayNoting(at, b, nil) }

// replayNoting is ReplayNoting; notes may be nil.
func (s *Store) replayNoting(at Position, b *session.Burst, notes func() []Note) error {
	b.Results = b.Results[:0]
	l := &s.replayed
	l.mu.Lock()
	defer l.mu.Unlock()
	switch stopped := l.stopped.Load(); {
	case !s.options.ExternalLog:
		return errOwnLog
	case stopped != nil:
		return stopped
	case at.Index == 0 || at.Index > lastIndex:
		return s.stopReplay(at, errPosition)
	case at.Index <= l.applied.Index:
		return nil
	}
	if err := s.checkEntry(b); err != nil {
		return s.stopReplay(at, err)
	}
	b.SizeResults()
	err := s.replay(at, b, notes)
	if err == nil {
		return nil
	}
	b.Results = b.Results[:0]
	if err == session.ErrClosed {
		return err
	}
	return s.stopReplay(at, err)
}

// stopReplay keeps the store as it is.
func (s *Store) stopReplay(at Position, err error) error {
	stopped := &ReplayError{At: at, Err: err}
	s.replayed.stopped.Store(stopped)
	s.options.Logger.Error("the log cannot be replayed any further", "index", at.Index, "term", at.Term, "error", err)
	return stopped
}

// checkEntry reports what this version or this store cannot read, and decodes
// values that came as frames only.
func (s *Store) checkEntry(b *session.Burst) error {
	if len(b.Commands) > session.MaxCommands {
		return codec.ErrTooMany
	}
	if err := codec.Check(b, codec.Latest); err != nil {
		return err
	}
	if len(b.Frames) > len(b.Commands) {
		return compress.ErrFrame
	}
	s.replayed.values.reset()
	for i := range b.Frames {
		if err := s.openFrame(&b.Frames[i], &b.Commands[i]); err != nil {
			return err
		}
	}
	return nil
}

// openFrame makes sure that c has the value that f stands for.
func (s *Store) openFrame(f *session.Frame, c *session.Command) error {
	if f.Codec == 0 {
		return nil
	}
	if err := s.compression.values.CheckFrame(f); err != nil || c.Value != nil {
		return err
	}
	value := s.replayed.values.take(int(f.RawLen))
	if err := s.compression.values.OpenFrame(value, f); err != nil {
		return err
	}
	c.Value = value
	return nil
}

// scratch is memory for the values of one entry at a time.
type scratch struct{ free []byte }

const (
	leastScratch = 64 << 10
	keptScratch  = 1 << 20 // more is for the entry that needs it
)

// reset lets all that was taken be taken again.
func (s *scratch) reset() {
	if s.free = s.free[:0]; cap(s.free) > keptScratch {
		s.free = nil
	}
}

// take returns n bytes of any content, valid until reset.
func (s *scratch) take(n int) []byte {
	used := len(s.free)
	if n > cap(s.free)-used {
		s.free, used = make([]byte, 0, max(leastScratch, 2*cap(s.free), n)), 0
	}
	s.free = s.free[:used+n]
	return s.free[used : used+n : used+n]
}

// replay applies an entry. The lock of s.replayed is held.
func (s *Store) replay(at Position, in *session.Burst, notes func() []Note) error {
	r := request{in: in, fetches: maxFetches} // what is not in memory is read at once
	now := max(in.Now, s.replayed.clock())
	due := s.flushes.due(now)
	if due || r.flushes() {
		s.doors.lockGate()
		defer s.doors.unlockGate()
	} else {
		s.doors.gate.RLock()
		defer s.doors.gate.RUnlock()
	}
	if s.doors.closed.Load() {
		return session.ErrClosed
	}
	s.horizon.see(now)
	b := s.newBurst(now)
	defer b.release()
	b.notes = notes
	b.at, b.first = at, s.replayed.firstVersion(at.Index)
	b.requests = append(b.requests, &r)
	b.lock()
	defer s.memory.stripes.unlock(b.stripes)
	b.begin()
	b.gather()
	if due {
		b.carryOutDue()
	}
	b.runAll()
	batch := b.write()
	if b.fault != nil {
		return b.fault
	}
	b.keepFound()
	b.addCounts(true)
	s.closeBatch(batch)
	return nil
}

// replaying reports whether the burst is an entry of a log.
func (b *burst) replaying() bool { return b.at.Index > 0 }

// noteFault notes that a result would depend on what only this store cannot
// read: an entry must not be applied then.
func (b *burst) noteFault(err error) {
	if b.replaying() && b.fault == nil {
		b.fault = err
	}
}

// stamp writes into the ledger of the batch how far the store has come with it.
func (b *burst) stamp(delta *record.Ledger) {
	version := &b.store.memory.ledger.version
	if b.replaying() {
		if n := uint64(len(b.places)); n > 0 {
			raise(version, b.first+n-1)
		}
		delta.Applied, delta.Base = b.at, b.store.replayed.base
	}
	delta.Version = version.Load()
}

// shareReplayed makes it known that the entry has been applied.
func (b *burst) shareReplayed() {
	l := &b.store.replayed
	l.applied = b.at
	l.now.Store(int64(b.now))
	if b.adopted != nil {
		l.adopted = b.at.Index
		b.must(b.store.compression.dictionaries.Learn(b.adopted))
	}
}

// bucketsAsOf returns the instant as of which buckets are dead for the burst.
// With an external log that is the log's, also for readers, who may be ahead of
// it: what they find is kept in the cache, where the next entry meets it.
func (b *burst) bucketsAsOf() session.Time {
	if b.store.options.ExternalLog && !b.replaying() {
		return b.store.replayed.clock()
	}
	return b.now
}
