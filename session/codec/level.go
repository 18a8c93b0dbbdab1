// Package codec turns bursts and their results into bytes and back: the form in
// which logs hold them and nodes send them to each other.
//
// The bytes of a burst, of which all but keys, values and frames are varints
// (shortest form; signed ones in zigzag):
//
//	level, 1 byte    bits, 1 byte    now, signed    largest value
//	number of commands, then each command:
//	    op, 1 byte    mods    fields, a mask    key with its length
//	    the fields that the mask names, in the order of its bits
//
// The bytes of results:
//
//	level, 1 byte    now, signed
//	number of results, then each result:
//	    status, 1 byte    fields, a mask
//	    the fields that the mask names, in the order of its bits
//
// Instants of commands and results are stored as their distance from now. A
// mask names exactly the fields that are not zero. So there is one form for
// each burst, and decoders refuse every other.
package codec

import (
	"errors"
	"fmt"

	"cairn/session"
)

// A Level says which ops, modifiers, statuses and errors may occur. It is the
// first byte of everything that is encoded. A level is never changed: what is
// new comes with a new level, and is written only once all who read know it.
type Level uint8

// Latest is the highest level that this version knows.
const Latest Level = 2

// ErrMalformed is the error of bytes that no encoder wrote.
var ErrMalformed = errors.New("codec: malformed bytes")

// UnknownError is the error of what a level does not know: an op, say. Whoever
// meets it when reading must not go on: a later version reads something else
// in the same place.
type UnknownError struct {
	Level Level  // of the bytes or the writer
	What  string // "level", "op", "modifier", "status" or "error"
	Value uint64
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("codec: level %d has no %s %d (this version knows levels up to %d)", e.Level, e.What, e.Value, Latest)
}

// vocabulary is what a level knows.
type vocabulary struct {
	lastOp     session.Op
	internal   []session.Op // beyond lastOp
	mods       session.Mods
	lastStatus session.Status
	errors     int // number of codes, the first of those in errorCodes

	commandFields, resultFields uint64 // the masks of those that there may be
}

// levels are the vocabularies of the levels from 1 on.
var levels = [Latest]vocabulary{
	{
		lastOp:     session.OpFlush,
		internal:   []session.Op{session.OpAdopt},
		mods:       2*session.NoClaim - 1,
		lastStatus: session.Failed,
		errors:     4,

		commandFields: commandCreated - 1,
		resultFields:  resultCreatedAt - 1,
	},
	{ // knows of sessions when they began and whose they are
		lastOp:     session.OpFlush,
		internal:   []session.Op{session.OpAdopt},
		mods:       2*session.IfBorn - 1,
		lastStatus: session.Fenced,
		errors:     7,

		commandFields: 2*commandBorn - 1,
		resultFields:  2*resultBorn - 1,
	},
}

// vocabulary returns what the level knows.
func (l Level) vocabulary() (*vocabulary, error) {
	if l == 0 || int(l) > len(levels) {
		return nil, &UnknownError{Level: l, What: "level", Value: uint64(l)}
	}
	return &levels[l-1], nil
}

// check reports an op or a modifier of c that the level does not know.
func (l Level) check(v *vocabulary, c *session.Command) error {
	if !v.hasOp(c.Op) {
		return &UnknownError{Level: l, What: "op", Value: uint64(c.Op)}
	}
	if c.Mods&^v.mods != 0 {
		return &UnknownError{Level: l, What: "modifier", Value: uint64(c.Mods &^ v.mods)}
	}
	return nil
}

func (v *vocabulary) hasOp(op session.Op) bool {
	if op <= v.lastOp {
		return op > 0
	}
	for _, known := range v.internal {
		if op == known {
			return true
		}
	}
	return false
}

// Check reports, as an UnknownError, whether b has a command that level does
// not know: such a burst must not be admitted.
func Check(b *session.Burst, level Level) error {
	v, err := level.vocabulary()
	if err != nil {
		return err
	}
	for i := range b.Commands {
		if err := level.check(v, &b.Commands[i]); err != nil {
			return err
		}
	}
	return nil
}
