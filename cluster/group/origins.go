package group

import (
	"encoding/binary"
	"errors"
	"time"

	"cairn/engine"
	"cairn/session"
)

// Window is how many bursts of one origin may be without an answer at a time: an
// origin sends no burst whose sequence is Window or more above the lowest that
// has none. The group keeps the results of as many, so that a burst that is sent
// again is answered and not carried out again.
const Window = 4096

// OriginLife is how long, in the time of the log, an origin is known after its
// last burst or registration.
const OriginLife = 10 * time.Minute

// What is noted in the engine, by the first byte of the key:
//
//	't'                                  now
//	'r'                                  the roster, as JSON
//	'o' origin                           now, when it registered
//	'o' origin slot, 2 bytes big endian  sequence, mark, now, the results
//
// A slot is the sequence modulo Window. All that is known of origins follows from
// the notes: the mark of an origin is the highest noted, its last activity the
// latest.
const (
	noteTime   = 't'
	noteRoster = 'r'
	noteOrigin = 'o'
)

var errNote = errors.New("group: a note that cannot be read")

// origins are who has sent bursts lately, and which ones.
type origins map[Origin]*originState

type originState struct {
	last  session.Time
	mark  Sequence
	slots map[uint16]Sequence
}

func slotOf(seq Sequence) uint16 { return uint16(seq % Window) }

func originKey(o Origin) []byte { return append([]byte{noteOrigin}, o[:]...) }

func slotKey(o Origin, seq Sequence) []byte {
	return binary.BigEndian.AppendUint16(originKey(o), slotOf(seq))
}

// verdict says what becomes of a burst.
type verdict uint8

const (
	carryOut  verdict = iota
	duplicate         // it was carried out before; its results are noted
	stranger          // its origin is not known
	forgotten         // it is so old that its origin has the answer, or has given it up
)

func (o origins) judge(e *entry) verdict {
	state := o[e.origin]
	if state == nil {
		return stranger
	}
	switch held := state.slots[slotOf(e.seq)]; {
	case held == e.seq:
		return duplicate
	case e.seq < state.mark || e.seq < held || e.seq == 0:
		return forgotten
	}
	return carryOut
}

// note makes a burst that was carried out known, and returns its note.
func (o origins) note(e *entry, now session.Time, results []byte) engine.Note {
	state := o[e.origin]
	state.last = max(state.last, now)
	state.mark = max(state.mark, e.mark)
	state.slots[slotOf(e.seq)] = e.seq
	value := binary.AppendUvarint(nil, e.seq)
	value = binary.AppendUvarint(value, e.mark)
	value = binary.AppendVarint(value, int64(now))
	return engine.Note{Key: slotKey(e.origin, e.seq), Value: append(value, results...)}
}

// register makes an origin known, or known for longer.
func (o origins) register(origin Origin, now session.Time) engine.Note {
	state := o.at(origin)
	state.last = max(state.last, now)
	return engine.Note{Key: originKey(origin), Value: binary.AppendVarint(nil, int64(now))}
}

func (o origins) at(origin Origin) *originState {
	state := o[origin]
	if state == nil {
		state = &originState{slots: make(map[uint16]Sequence)}
		o[origin] = state
	}
	return state
}

// expire forgets origins of which nothing was heard for OriginLife, and returns
// the notes that go.
func (o origins) expire(now session.Time) (gone []engine.Note) {
	for origin, state := range o {
		if now.Sub(state.last) <= OriginLife {
			continue
		}
		gone = append(gone, engine.Note{Key: originKey(origin)})
		for _, seq := range state.slots {
			gone = append(gone, engine.Note{Key: slotKey(origin, seq)})
		}
		delete(o, origin)
	}
	return gone
}

// load takes over the note of an origin, which begins behind the first byte of
// the key, and returns its instant.
func (o origins) load(key, value []byte) (session.Time, error) {
	var origin Origin
	f := fields{rest: key}
	f.origin(&origin)
	slot := f.rest
	v := fields{rest: value}
	switch {
	case f.bad || len(slot) != 0 && len(slot) != 2:
		return 0, errNote
	case len(slot) == 0:
		now := v.time()
		if v.bad {
			return 0, errNote
		}
		state := o.at(origin)
		state.last = max(state.last, now)
		return now, nil
	}
	seq, mark, now := v.number(), v.number(), v.time()
	if v.bad || slotOf(seq) != binary.BigEndian.Uint16(slot) {
		return 0, errNote
	}
	state := o.at(origin)
	state.slots[slotOf(seq)] = seq
	state.mark = max(state.mark, mark)
	state.last = max(state.last, now)
	return now, nil
}

// resultsOf returns the results in the note of a burst.
func resultsOf(value []byte) ([]byte, error) {
	v := fields{rest: value}
	v.number()
	v.number()
	v.time()
	if v.bad {
		return nil, errNote
	}
	return v.rest, nil
}
