// Package dictionary compresses session values with dictionaries that are built
// from the values themselves.
//
// A session is too small to compress well on its own: most of it is what all
// sessions of its application have in common. A dictionary holds that common
// part once. The package keeps a Set of dictionaries, which turns values into
// frames and back, and a Trainer, which collects samples per kind of session
// and builds a dictionary for each kind. Both are free of storage: the engine
// persists dictionaries before a record may refer to one.
//
// Frames are S2 blocks (github.com/klauspost/compress/s2). A zstd dictionary
// makes frames a tenth smaller, but an encoder spends more than ten times as
// long on them, most of it on setting up its tables anew for every value; and
// zstd at the bottom level of the store closes that gap.
package dictionary

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
)

// ErrUnknown is the error for a frame whose dictionary is not in the Set.
var ErrUnknown = errors.New("dictionary: frame refers to an unknown dictionary")

// reach is the length in bytes up to which a dictionary serves a value: S2
// cannot refer further back.
const reach = s2.MaxDictSrcOffset

// Dictionary is one trained dictionary. It is immutable.
type Dictionary struct {
	ID   uint32 // unique within a store, never 0
	Kind Kind   // of the sessions it was trained from
	Raw  []byte // in S2's dictionary format
}

// Set holds the dictionaries that stored frames may refer to, and for each
// Kind the one that new frames use. It is safe for concurrent use; encoding
// and decoding take no lock.
type Set struct {
	mu    sync.Mutex // serialises Add and Remove
	state atomic.Pointer[state]
}

type state struct {
	all     map[uint32]*entry
	current map[Kind]*entry
}

type entry struct {
	Dictionary
	coder *s2.Dict
}

// NewSet returns a Set without dictionaries: its frames are plain S2.
func NewSet() *Set {
	s := new(Set)
	s.state.Store(&state{all: map[uint32]*entry{}, current: map[Kind]*entry{}})
	return s
}

// Add makes d known and the current dictionary of its kind. The Set keeps
// d.Raw, which must not change. An id that is known already, or bytes that are
// no dictionary, are an error.
func (s *Set) Add(d Dictionary) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.state.Load().all[d.ID]; known || d.ID == 0 {
		return fmt.Errorf("dictionary: id %d is taken", d.ID)
	}
	coder := s2.NewDict(d.Raw)
	if coder == nil {
		return fmt.Errorf("dictionary %d: its bytes are no S2 dictionary", d.ID)
	}
	added := &entry{Dictionary: d, coder: coder}
	s.replace(func(next *state) {
		next.all[d.ID] = added
		next.current[d.Kind] = added
	})
	return nil
}

// Remove forgets the dictionary id. The caller knows that no stored frame
// refers to it any more. Removing an unknown id does nothing.
func (s *Set) Remove(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, known := s.state.Load().all[id]
	if !known {
		return
	}
	s.replace(func(next *state) {
		delete(next.all, id)
		if next.current[gone.Kind] == gone {
			delete(next.current, gone.Kind)
		}
	})
}

// replace publishes a changed copy of the state.
func (s *Set) replace(change func(next *state)) {
	old := s.state.Load()
	next := &state{all: maps.Clone(old.all), current: maps.Clone(old.current)}
	change(next)
	s.state.Store(next)
}

// Current returns the dictionary that new frames of kind use, if there is one.
func (s *Set) Current(kind Kind) (Dictionary, bool) {
	e, ok := s.state.Load().current[kind]
	if !ok {
		return Dictionary{}, false
	}
	return e.Dictionary, true
}

// Valid reports whether raw is the content of a dictionary.
func Valid(raw []byte) bool { return s2.NewDict(raw) != nil }

// Has reports whether the dictionary id is known.
func (s *Set) Has(id uint32) bool { return s.state.Load().all[id] != nil }

// All returns every known dictionary, in no order.
func (s *Set) All() []Dictionary {
	all := s.state.Load().all
	out := make([]Dictionary, 0, len(all))
	for _, e := range all {
		out = append(out, e.Dictionary)
	}
	return out
}

// Encode returns the frame of value and the id of the dictionary that it needs, 0
// if it needs none. The frame stands in buf if that has the capacity; what was
// in it is lost.
func (s *Set) Encode(buf, value []byte, kind Kind) (frame []byte, id uint32) {
	buf = slices.Grow(buf[:0], s2.MaxEncodedLen(len(value)))
	buf = buf[:cap(buf)]
	if len(value) <= reach {
		if e, ok := s.state.Load().current[kind]; ok {
			return e.coder.Encode(buf, value), e.ID
		}
	}
	return s2.Encode(buf, value), 0
}

// Decode puts the value in frame into dst, which has its length. id is that of
// the dictionary that Encode told. A damaged frame, or one of a value of another
// length, is an error, and one whose dictionary is not in the Set is ErrUnknown.
func (s *Set) Decode(dst, frame []byte, id uint32) error {
	if n, err := s2.DecodedLen(frame); err != nil || n != len(dst) {
		return fmt.Errorf("dictionary: a frame of %d bytes for a value of %d: %w", n, len(dst), s2.ErrCorrupt)
	}
	decode := s2.Decode
	if id != 0 {
		e, ok := s.state.Load().all[id]
		if !ok {
			return ErrUnknown
		}
		decode = e.coder.Decode
	}
	if _, err := decode(dst, frame); err != nil {
		return fmt.Errorf("dictionary: %w", err)
	}
	return nil
}
