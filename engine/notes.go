package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
)

// Note is what an entry of an external log leaves in the store beside sessions:
// whoever keeps the log may note there what must be as durable as the entry's
// effect, such as who asked for it.
type Note struct {
	Key   []byte // any bytes but none at all
	Value []byte // nil: the note goes
}

// ReplayNoting is Replay, and writes the notes that note returns into the same
// batch. note is called once the results of the burst are there, unless the entry
// has been applied before. What it returns is used at once.
func (s *Store) ReplayNoting(at Position, b *session.Burst, note func() []Note) error {
	return s.replayNoting(at, b, note)
}

// writeNotes writes what the entry notes.
func (b *burst) writeNotes(batch *pebble.Batch) {
	if b.notes == nil || b.fault != nil {
		return
	}
	for _, n := range b.notes() {
		b.keyBuf = record.AppendNoteKey(b.keyBuf[:0], n.Key)
		if n.Value == nil {
			b.must(batch.Delete(b.keyBuf, nil))
		} else {
			b.must(batch.Set(b.keyBuf, n.Value, nil))
		}
	}
}

// Note returns the note under key, nil if there is none. It is the caller's.
func (s *Store) Note(key []byte) (value []byte, err error) {
	if !s.doors.enter() {
		return nil, session.ErrClosed
	}
	defer s.doors.leave()
	found, closer, err := s.files.db.Get(record.AppendNoteKey(nil, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("engine: read a note: %w", s.readError(err))
	}
	return append([]byte{}, found...), closer.Close()
}

// Notes calls f for each note, by ascending keys. Both slices are valid during
// the call only.
func (s *Store) Notes(f func(key, value []byte) error) (err error) {
	if !s.doors.enter() {
		return session.ErrClosed
	}
	defer s.doors.leave()
	iter, err := s.files.db.NewIter(&pebble.IterOptions{LowerBound: record.NoteStart, UpperBound: record.NoteEnd})
	if err != nil {
		return fmt.Errorf("engine: read notes: %w", s.readError(err))
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; ok = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return fmt.Errorf("engine: read notes: %w", s.readError(err))
		}
		if err := f(iter.Key()[len(record.NoteStart):], value); err != nil {
			return err
		}
	}
	if err := iter.Error(); err != nil {
		return fmt.Errorf("engine: read notes: %w", s.readError(err))
	}
	return nil
}
