package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

const (
	trainEvery = time.Second

	// dictionaryGrace is the time after the last bucket's deadline in which a
	// read that began before it may still come upon a record in it.
	dictionaryGrace = time.Minute
)

// dictionaryStorage is the compress.Storage of a store.
type dictionaryStorage struct{ store *Store }

func (d dictionaryStorage) PutDictionary(stored *record.Dictionary) error {
	s := d.store
	if !s.doors.enter() {
		return session.ErrClosed
	}
	defer s.doors.leave()
	if err := s.files.db.Set(record.DictionaryKey(stored.ID), stored.Append(nil), pebble.Sync); err != nil {
		return fmt.Errorf("engine: store dictionary %d: %w", stored.ID, err)
	}
	return nil
}

func (d dictionaryStorage) DropDictionary(id uint32) error {
	s := d.store
	if !s.doors.enter() {
		return session.ErrClosed
	}
	defer s.doors.leave()
	if err := s.files.db.Delete(record.DictionaryKey(id), pebble.NoSync); err != nil {
		return fmt.Errorf("engine: remove dictionary %d: %w", id, err)
	}
	return nil
}

// Buckets returns the list of buckets. The gate is for flushes, which empty the
// list before they empty the store.
func (d dictionaryStorage) Buckets() []ttl.Bucket {
	d.store.doors.gate.RLock()
	defer d.store.doors.gate.RUnlock()
	return d.store.memory.buckets.all()
}

// loadDictionaries makes the stored dictionaries known.
func (s *Store) loadDictionaries() (err error) {
	iter, err := s.files.db.NewIter(&pebble.IterOptions{
		LowerBound: record.DictionaryStart,
		UpperBound: record.DictionaryEnd,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; ok = iter.Next() {
		d, err := record.DecodeDictionary(iter.Key(), iter.Value())
		if err == nil {
			err = s.compression.dictionaries.Learn(&d)
		}
		if err != nil {
			return err
		}
	}
	return iter.Error()
}

// TrainDictionaries trains a dictionary for a kind of session that waits for
// one, and forgets those that no record needs any more. The store calls it
// itself unless Options.DropEvery is negative.
func (s *Store) TrainDictionaries(ctx context.Context) error {
	if s.doors.closed.Load() || ctx.Err() != nil {
		return nil
	}
	if s.options.ExternalLog {
		return s.forgetReplayed() // which has to adopt one; see TrainedDictionary
	}
	if err := s.compression.dictionaries.Forget(s.Now().Add(-dictionaryGrace)); err != nil {
		return err
	}
	return s.compression.dictionaries.Train()
}

// train is TrainDictionaries in the background.
func (s *Store) train(ctx context.Context) {
	if err := s.TrainDictionaries(ctx); err != nil && !errors.Is(err, session.ErrClosed) {
		s.options.Logger.Error("train a dictionary", "error", err)
	}
}
