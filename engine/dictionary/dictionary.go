// Package dictionary compresses session values with zstd dictionaries that are
// trained from the values themselves.
//
// A session is too small to compress well on its own: most of it is what all
// sessions of its application have in common. A dictionary holds that common
// part once. The package keeps a Set of dictionaries, which turns values into
// frames and back, and a Trainer, which collects samples per kind of session
// and builds a dictionary for each kind. Both are free of storage: the engine
// persists dictionaries before a record may refer to one.
//
// Frames are those of RFC 8878; a frame names its dictionary by id.
package dictionary

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// ErrUnknown is the error for a frame whose dictionary is not in the Set.
var ErrUnknown = errors.New("dictionary: frame refers to an unknown dictionary")

// maxValue bounds what a damaged frame can make a decoder allocate, in bytes.
const maxValue = 1 << 30

// Dictionary is one trained dictionary. It is immutable.
type Dictionary struct {
	ID   uint32 // unique within a store, never 0
	Kind Kind   // of the sessions it was trained from
	Raw  []byte // in zstd's dictionary format
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
	decoder *zstd.Decoder
	plain   *zstd.Encoder
}

type entry struct {
	Dictionary
	encoder *zstd.Encoder
}

// NewSet returns a Set without dictionaries: its frames are plain zstd.
func NewSet() (*Set, error) {
	s := new(Set)
	plain, err := newEncoder()
	if err != nil {
		return nil, err
	}
	decoder, err := newDecoder(nil)
	if err != nil {
		return nil, err
	}
	s.state.Store(&state{decoder: decoder, plain: plain})
	return s, nil
}

// Add makes d known and the current dictionary of its kind. The Set keeps
// d.Raw, which must not change. An id that is known already, or bytes that are
// no dictionary of that id, are an error.
func (s *Set) Add(d Dictionary) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.state.Load()
	if _, known := old.all[d.ID]; known || d.ID == 0 {
		return fmt.Errorf("dictionary: id %d is taken", d.ID)
	}
	if got, err := zstd.InspectDictionary(d.Raw); err != nil {
		return fmt.Errorf("dictionary %d: %w", d.ID, err)
	} else if got.ID() != d.ID {
		return fmt.Errorf("dictionary %d: its bytes carry the id %d", d.ID, got.ID())
	}
	encoder, err := newEncoder(zstd.WithEncoderDict(d.Raw))
	if err != nil {
		return fmt.Errorf("dictionary %d: %w", d.ID, err)
	}
	added := &entry{Dictionary: d, encoder: encoder}
	return s.replace(func(next *state) {
		next.all[d.ID] = added
		next.current[d.Kind] = added
	})
}

// Remove forgets the dictionary id. The caller knows that no stored frame
// refers to it any more. Removing an unknown id does nothing.
func (s *Set) Remove(id uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, known := s.state.Load().all[id]
	if !known {
		return nil
	}
	return s.replace(func(next *state) {
		delete(next.all, id)
		if next.current[gone.Kind] == gone {
			delete(next.current, gone.Kind)
		}
	})
}

// replace publishes a changed copy of the state. The old decoder is left to
// the garbage collector, because others may be decoding with it.
func (s *Set) replace(change func(next *state)) error {
	old := s.state.Load()
	next := &state{
		all:     make(map[uint32]*entry, len(old.all)+1),
		current: make(map[Kind]*entry, len(old.current)+1),
		plain:   old.plain,
	}
	for id, e := range old.all {
		next.all[id] = e
	}
	for kind, e := range old.current {
		next.current[kind] = e
	}
	change(next)
	raws := make([][]byte, 0, len(next.all))
	for _, e := range next.all {
		raws = append(raws, e.Raw)
	}
	var err error
	if next.decoder, err = newDecoder(raws); err != nil {
		return fmt.Errorf("dictionary: %w", err)
	}
	s.state.Store(next)
	return nil
}

// Current gives the dictionary that new frames of kind use, if there is one.
func (s *Set) Current(kind Kind) (Dictionary, bool) {
	e, ok := s.state.Load().current[kind]
	if !ok {
		return Dictionary{}, false
	}
	return e.Dictionary, true
}

// All gives every known dictionary, in no order.
func (s *Set) All() []Dictionary {
	all := s.state.Load().all
	out := make([]Dictionary, 0, len(all))
	for _, e := range all {
		out = append(out, e.Dictionary)
	}
	return out
}

// Encode appends the frame of value to dst and tells the id of the dictionary
// it used, 0 if there is none for kind.
func (s *Set) Encode(dst, value []byte, kind Kind) (frame []byte, id uint32) {
	st := s.state.Load()
	if e, ok := st.current[kind]; ok {
		return e.encoder.EncodeAll(value, dst), e.ID
	}
	return st.plain.EncodeAll(value, dst), 0
}

// Decode appends the value in frame to dst. A damaged frame is an error, and
// one whose dictionary is not in the Set is ErrUnknown.
func (s *Set) Decode(dst, frame []byte) ([]byte, error) {
	out, err := s.state.Load().decoder.DecodeAll(frame, dst)
	if errors.Is(err, zstd.ErrUnknownDictionary) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("dictionary: %w", err)
	}
	return out, nil
}

// newEncoder makes encoders for values of a few KB: one block, no checksum
// (the store's blocks and log have their own), a small window so that the
// tables that are reset for each value stay small.
func newEncoder(extra ...zstd.EOption) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, append([]zstd.EOption{
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(false),
		zstd.WithLowerEncoderMem(true),
		zstd.WithSingleSegment(true),
	}, extra...)...)
}

func newDecoder(raws [][]byte) (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(maxValue),
		zstd.WithDecoderDicts(raws...))
}
