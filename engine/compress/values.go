// Package compress turns the values of sessions into bodies of records and
// back, with dictionaries that it trains from the values and that live as long
// as records need them.
package compress

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"cairn/engine/compress/dictionary"
	"cairn/engine/record"
)

// Values encodes and decodes values. All methods may be called concurrently.
type Values struct {
	compress bool // new records; old ones are read whatever it says
	set      *dictionary.Set
	trainer  *dictionary.Trainer
	due      atomic.Bool // a kind of session waits to be trained

	in, out atomic.Int64 // bytes compressed so far, and what became of them
}

const (
	// Values are worth a frame from minBytes on.
	minBytes = 64

	// MaxBytes is the length up to which values are compressed. A dictionary
	// does not help larger ones; they are left to the compression of blocks: a
	// frame would be one copy more of them.
	MaxBytes = 64 << 10
)

// New returns a Values without dictionaries. It compresses nothing unless
// compress is set, but decodes what is compressed.
func New(compress bool) *Values {
	return &Values{compress: compress, trainer: dictionary.NewTrainer(), set: dictionary.NewSet()}
}

// Form is how the body of a record stands for its value.
type Form struct {
	Codec      record.Codec
	Dictionary uint32 // that the body needs; 0: none
}

// Encode returns the body to store for the value under key. The body is the
// value or stands in buf, whose memory may have been replaced by that of grown.
// Some values become samples for dictionaries.
func (v *Values) Encode(buf, key, value []byte) (f Form, body, grown []byte) {
	return v.encode(buf, key, value, true)
}

// EncodeUnsampled is Encode, but the value becomes no sample.
func (v *Values) EncodeUnsampled(buf, key, value []byte) (f Form, body, grown []byte) {
	return v.encode(buf, key, value, false)
}

// ForgetSamples lets go of the samples that there are. A kind of session that is to
// get a dictionary waits until there are new ones.
func (v *Values) ForgetSamples() {
	v.due.Store(false)
	v.trainer.Forget(func(kind dictionary.Kind) bool {
		_, has := v.set.Current(kind)
		return has
	})
}

func (v *Values) encode(buf, key, value []byte, sampled bool) (f Form, body, grown []byte) {
	if !v.compress || len(value) < minBytes || len(value) > MaxBytes {
		return Form{}, value, buf
	}
	kind := dictionary.KindOf(key, value)
	most := len(value) - len(value)/8 // a longer frame is not worth it
	frame, id := v.set.Encode(buf, value, kind)
	if sampled && v.trainer.Observe(kind, value, len(frame)) {
		v.due.Store(true)
	}
	v.in.Add(int64(len(value)))
	if len(frame) >= most {
		v.out.Add(int64(len(value)))
		return Form{}, value, frame
	}
	v.out.Add(int64(len(frame)))
	return Form{record.S2, id}, frame, frame
}

// Decode returns a copy of the value of a record with the header h and that
// body. The error wraps record.ErrCorrupt or says which dictionary is missing.
func (v *Values) Decode(h *record.Header, body []byte) ([]byte, error) {
	if h.Codec == record.Raw {
		return bytes.Clone(body), nil
	}
	if h.RawLen > record.MaxValueLen {
		return nil, fmt.Errorf("%w: a value of %d bytes", record.ErrCorrupt, h.RawLen)
	}
	value := make([]byte, h.RawLen)
	if err := v.set.Decode(value, body, h.Dictionary); err != nil {
		return nil, err
	}
	return value, nil
}
