package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/dictionary"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// Dictionaries live as follows. A new one is on the disk before the first
// record refers to it. When a newer one of its kind takes over, it is noted
// with the highest bucket that may refer to it, and it goes when that bucket
// has been dropped.

const (
	trainEvery = time.Second

	// maxDictionaries bounds the dictionaries of a store. Only sessions that
	// change for ever and never expire can reach it.
	maxDictionaries = 64

	// dictionaryGrace is the time after the last bucket's deadline in which a
	// read that began before it may still come upon a record in it.
	dictionaryGrace = time.Minute
)

// dictionaries are those that are stored, by id. Only the background
// goroutine that trains and drops them uses it once the store is open.
type dictionaries map[uint32]*record.Dictionary

// loadDictionaries makes the stored dictionaries known. Of several that claim
// to be in use for one kind, which a crash can leave behind, the latest is.
func (s *Store) loadDictionaries() (err error) {
	s.dictionaries = make(dictionaries)
	iter, err := s.db.NewIter(&pebble.IterOptions{
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
			err = s.learn(&d)
		}
		if err != nil {
			return err
		}
	}
	return iter.Error()
}

// learn makes a stored dictionary known, and current if it is the latest of
// its kind.
func (s *Store) learn(d *record.Dictionary) error {
	kind := dictionary.Kind(d.Kind)
	if err := s.values.set.Add(dictionary.Dictionary{ID: d.ID, Kind: kind, Raw: d.Raw}); err != nil {
		return err
	}
	s.dictionaries[d.ID] = d
	s.values.trainer.Trained(kind)
	return nil
}

// TrainDictionaries trains a dictionary for a kind of session that waits for
// one, and forgets those that no record needs any more. The store calls it
// itself unless Options.DropEvery is negative.
func (s *Store) TrainDictionaries(ctx context.Context) error {
	if s.closed.Load() || ctx.Err() != nil {
		return nil
	}
	if err := s.forgetDictionaries(); err != nil {
		return err
	}
	if !s.values.due.Swap(false) || len(s.dictionaries) >= maxDictionaries {
		return nil
	}
	trained, err := s.values.trainer.Train(s.nextDictionary())
	if err != nil {
		s.options.Logger.Debug("no dictionary", "reason", err)
		return nil
	}
	return s.adopt(&record.Dictionary{ID: trained.ID, Kind: uint32(trained.Kind), Raw: trained.Raw})
}

func (s *Store) nextDictionary() uint32 {
	next := uint32(1)
	for id := range s.dictionaries {
		next = max(next, id+1)
	}
	return next
}

// adopt stores a new dictionary, uses it from now on, and notes that its
// predecessors are out of use.
func (s *Store) adopt(d *record.Dictionary) error {
	if err := s.storeDictionary(d); err != nil {
		return err
	}
	if err := s.learn(d); err != nil {
		return err
	}
	// From here on the list names all buckets that refer to predecessors: a
	// burst names a bucket before it encodes a value for it. The gate is for
	// flushes, which empty the list before they empty the store.
	s.gate.RLock()
	list := s.buckets.all()
	s.gate.RUnlock()
	s.options.Logger.Info("trained a dictionary", "dictionary", d.ID, "bytes", len(d.Raw))
	for _, old := range s.dictionaries {
		if old.Kind == d.Kind && old != d && old.Last == 0 {
			old.Last = 1
			if len(list) > 0 {
				old.Last = list[0]
			}
			if err := s.storeDictionary(old); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) storeDictionary(d *record.Dictionary) error {
	if !s.enter() {
		return session.ErrClosed
	}
	defer s.leave()
	if err := s.db.Set(record.DictionaryKey(d.ID), d.Append(nil), pebble.Sync); err != nil {
		return fmt.Errorf("engine: store dictionary %d: %w", d.ID, err)
	}
	return nil
}

// forgetDictionaries removes the dictionaries whose records are gone.
func (s *Store) forgetDictionaries() error {
	now := s.Now().Add(-dictionaryGrace)
	list := s.buckets.all()
	for id, d := range s.dictionaries {
		gone := d.Last != 0 && d.Last.Dead(now) && (len(list) == 0 || list[len(list)-1] > d.Last)
		if !gone {
			continue
		}
		if err := s.dropDictionary(id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) dropDictionary(id uint32) error {
	if !s.enter() {
		return session.ErrClosed
	}
	defer s.leave()
	if err := s.db.Delete(record.DictionaryKey(id), pebble.NoSync); err != nil {
		return fmt.Errorf("engine: remove dictionary %d: %w", id, err)
	}
	delete(s.dictionaries, id)
	s.values.set.Remove(id)
	return nil
}

// retireLeftovers notes the last bucket of dictionaries that a crash kept from
// being noted when a newer one took over.
func (s *Store) retireLeftovers() {
	latest := make(map[uint32]uint32)
	for id, d := range s.dictionaries {
		latest[d.Kind] = max(latest[d.Kind], id)
	}
	last := ttl.Bucket(1)
	if list := s.buckets.all(); len(list) > 0 {
		last = list[0]
	}
	for id, d := range s.dictionaries {
		if d.Last == 0 && id != latest[d.Kind] {
			d.Last = last
		}
	}
}

// train is TrainDictionaries in the background.
func (s *Store) train(ctx context.Context) {
	if err := s.TrainDictionaries(ctx); err != nil && !errors.Is(err, session.ErrClosed) {
		s.options.Logger.Error("train a dictionary", "error", err)
	}
}
