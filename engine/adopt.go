package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"cairn/engine/compress/dictionary"
	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// With an external log, a dictionary is adopted by an entry of it: from there on
// values may be encoded with it, and every store that comes upon one of those
// has passed that entry.

// TrainedDictionary trains a dictionary for a kind of session that waits for one
// and returns the command that adopts it, for the log. ok is false if there is
// none. It is for a store with an external log, as TrainDictionaries is for
// others, and as slow; entries are replayed meanwhile. One goroutine at a time may
// call it. Samples are values that Admit has encoded.
func (s *Store) TrainedDictionary() (c session.Command, ok bool) {
	id := s.dueDictionary()
	if id == 0 {
		return c, false
	}
	d := s.compression.dictionaries.Propose(id)
	if d == nil {
		return c, false
	}
	return session.Command{Op: session.OpAdopt, Value: appendDictionary(nil, d)}, true
}

// dueDictionary returns the ID of the dictionary that is to be trained; 0: none is.
func (s *Store) dueDictionary() uint32 {
	s.replayed.mu.Lock()
	defer s.replayed.mu.Unlock()
	return s.compression.dictionaries.Due()
}

// ForgetSamples lets go of what Admit has kept for TrainedDictionary, in a store that
// admits nothing any more.
func (s *Store) ForgetSamples() { s.compression.values.ForgetSamples() }

// forgetReplayed forgets dictionaries, but none that an entry on its way may
// still refer to: it was admitted before a newer one was adopted.
func (s *Store) forgetReplayed() error {
	l := &s.replayed
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.applied.Index < l.adopted+s.options.entriesInFlight {
		return nil
	}
	return s.compression.dictionaries.Forget(l.clock().Add(-dictionaryGrace))
}

// appendDictionary appends the Value of an OpAdopt: id and kind, 4 bytes each,
// little endian, then the content.
func appendDictionary(dst []byte, d *record.Dictionary) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, d.ID)
	dst = binary.LittleEndian.AppendUint32(dst, d.Kind)
	return append(dst, d.Raw...)
}

// dictionaryOf reads the Value of an OpAdopt; nil: it is none. Raw is a copy.
func dictionaryOf(value []byte) *record.Dictionary {
	const header = 8
	if len(value) < header || !dictionary.Valid(value[header:]) {
		return nil
	}
	return &record.Dictionary{
		ID:   binary.LittleEndian.Uint32(value),
		Kind: binary.LittleEndian.Uint32(value[4:]),
		Raw:  bytes.Clone(value[header:]),
	}
}

// adopt serves OpAdopt. Ids ascend, so that an id that was forgotten is not
// used again, and the highest of all is never forgotten: all stores agree on
// which one is next.
func (b *burst) adopt(c *session.Command, r *session.Result) {
	d := dictionaryOf(c.Value)
	switch {
	case d == nil:
		fail(r, session.ErrBadCommand)
	case b.adopted != nil || d.ID != b.store.compression.dictionaries.Next():
		r.Status = session.Exists
	default:
		b.adopted = d
		r.Status = session.OK
	}
}

// writeDictionaries writes the dictionary that the burst adopts, and with which
// bucket those go that it replaces.
func (b *burst) writeDictionaries(batch *pebble.Batch) {
	if b.adopted == nil || b.fault != nil {
		return
	}
	s := b.store
	last := ttl.Bucket(1)
	if list := s.memory.buckets.all(); len(list) > 0 {
		last = list[0]
	}
	for _, d := range append(s.compression.dictionaries.Replace(b.adopted, last), b.adopted) {
		b.must(batch.Set(record.DictionaryKey(d.ID), d.Append(nil), nil))
	}
}
