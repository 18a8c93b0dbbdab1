package compress

import (
	"bytes"
	"errors"
	"fmt"

	"cairn/engine/compress/dictionary"
	"cairn/engine/record"
	"cairn/session"
)

// ErrFrame is the error of a frame that no Values makes.
var ErrFrame = errors.New("malformed frame")

// UnknownDictionaryError is the error of a frame that was encoded with a
// dictionary that is not known here.
type UnknownDictionaryError struct{ ID uint32 }

func (e *UnknownDictionaryError) Error() string {
	return fmt.Sprintf("a value was encoded with dictionary %d, which is not known", e.ID)
}

// Frame encodes a value that is to be stored under key. Codec is 0 if it is
// better kept as it is. The bytes are the caller's.
func (v *Values) Frame(key, value []byte) session.Frame {
	f, body, _ := v.Encode(nil, key, value)
	if f.Codec == record.Raw {
		return session.Frame{}
	}
	return session.Frame{Codec: uint8(f.Codec), Dictionary: f.Dictionary, RawLen: uint32(len(value)), Data: bytes.Clone(body)}
}

// CheckFrame reports whether f can be one that Frame has made, with a dictionary
// that is known: ErrFrame or an *UnknownDictionaryError.
func (v *Values) CheckFrame(f *session.Frame) error {
	switch {
	case f.Codec != uint8(record.S2), f.RawLen > MaxBytes:
		return ErrFrame
	case f.Dictionary != 0 && !v.set.Has(f.Dictionary):
		return &UnknownDictionaryError{f.Dictionary}
	}
	return nil
}

// OpenFrame decodes a frame that CheckFrame has let through into value, which is as
// long as the frame says.
func (v *Values) OpenFrame(value []byte, f *session.Frame) error {
	if err := v.set.Decode(value, f.Data, f.Dictionary); err != nil {
		return fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return nil
}

// Keeps reports whether f, the frame of the value under key, may be stored as it
// is: values are compressed, and with that dictionary. A Codec of 0 stands for the
// value as it is.
func (v *Values) Keeps(f *session.Frame, key, value []byte) bool {
	if !v.compress {
		return false
	}
	if f.Dictionary == 0 {
		return true
	}
	current, ok := v.set.Current(dictionary.KindOf(key, value))
	return ok && current.ID == f.Dictionary
}
