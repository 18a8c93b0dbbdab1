package engine

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"cairn/engine/dictionary"
	"cairn/engine/record"
)

// values turns the values of items into bodies of records and back.
type values struct {
	compress bool // new records; old ones are read whatever it says
	set      *dictionary.Set
	trainer  *dictionary.Trainer
	due      atomic.Bool // a kind of session waits to be trained

	in, out atomic.Int64 // bytes compressed so far, and what became of them
}

// Values are worth a frame from minCompressed bytes on. Those of more than
// maxCompressed, which a dictionary does not help, are left to the compression
// of blocks: a frame would be one copy more of them.
const (
	minCompressed = 64
	maxCompressed = defaultLargeValue
)

func (v *values) init(c Compression) {
	v.compress = c == CompressionDict
	v.trainer = dictionary.NewTrainer()
	v.set = dictionary.NewSet()
}

// encode gives the header and the body to store for an item. The body is the
// item's value or stands in buf, whose memory may have been replaced.
func (v *values) encode(buf []byte, e *entry) (h record.Header, body, grown []byte) {
	h = e.header()
	if !v.compress || len(e.value) < minCompressed || len(e.value) > maxCompressed {
		return h, e.value, buf
	}
	kind := dictionary.KindOf(e.key, e.value)
	most := len(e.value) - len(e.value)/8 // a longer frame is not worth it
	frame, id := v.set.Encode(buf, e.value, kind)
	if v.trainer.Observe(kind, e.value, len(frame)) {
		v.due.Store(true)
	}
	v.in.Add(int64(len(e.value)))
	if len(frame) >= most {
		v.out.Add(int64(len(e.value)))
		return h, e.value, frame
	}
	v.out.Add(int64(len(frame)))
	h.Codec, h.Dictionary = record.S2, id
	return h, frame, frame
}

// decode makes an entry of a key and the body that h describes. It refers to the
// key and has a value of its own.
func (v *values) decode(h *record.Header, key, body []byte) (*entry, error) {
	if h.Codec == record.Raw {
		return newEntry(key, bytes.Clone(body)), nil
	}
	if h.RawLen > maxValueSize {
		return nil, fmt.Errorf("%w: a value of %d bytes", record.ErrCorrupt, h.RawLen)
	}
	e := newEntry(key, make([]byte, h.RawLen))
	if err := v.set.Decode(e.value, body, h.Dictionary); err != nil {
		return nil, err
	}
	return e, nil
}
