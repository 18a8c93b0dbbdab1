package engine

import (
	"cairn/engine/compress"
	"cairn/engine/record"
	"cairn/session"
	"cairn/session/codec"
)

// Admission is what depends on the place and the moment: the clock, limits, free
// space, which ops are known, versions, how values are encoded. What follows
// from a burst once it is admitted depends on the burst and the store's state
// alone. Apply admits a burst and carries it out in one go; a log stands in
// between if Admit and Replay are called instead, perhaps on many machines.

// admit stamps what the results of b depend on besides its commands and Now.
func (s *Store) admit(b *session.Burst) {
	b.MaxValue = uint32(s.options.MaxValueSize)
	b.Full = s.files.disk.Low()
	b.Frames = b.Frames[:0]
}

// Admit prepares b for a log: it stamps its instant, if the store's clock is
// later, what else its results depend on, and encodes its values, so that those
// who replay it need not. All of them know level. The frames are the burst's
// own. The error says that b must not be written into the log: it is a
// *codec.UnknownError or codec.ErrTooMany.
func (s *Store) Admit(b *session.Burst, level codec.Level) error {
	if len(b.Commands) > session.MaxCommands {
		return codec.ErrTooMany
	}
	if err := codec.Check(b, level); err != nil {
		return err
	}
	b.Now = max(b.Now, s.Now())
	s.admit(b)
	for i := range b.Commands {
		c := &b.Commands[i]
		if c.Op != session.OpSet && c.Op != session.OpAdd && c.Op != session.OpReplace {
			continue
		}
		if frame := s.compression.values.Frame(c.Key, c.Value); frame.Codec != 0 {
			b.SizeFrames(len(b.Commands))
			b.Frames[i] = frame
		}
	}
	return nil
}

// form returns what is stored for the value of e: the frame that it came with, if
// that can be kept as it is. The body may stand in b.body, whose memory may have
// been replaced by that of grown. What is replayed is no sample for dictionaries:
// whoever has admitted it had that one.
func (b *burst) form(e *entry) (f compress.Form, body, grown []byte) {
	values := b.store.compression.values
	switch {
	case !b.replaying():
		return values.Encode(b.body, e.key, e.value)
	case e.frame == nil || !values.Keeps(e.frame, e.key, e.value):
		return values.EncodeUnsampled(b.body, e.key, e.value)
	case e.frame.Codec == 0:
		return compress.Form{}, e.value, b.body
	}
	return compress.Form{Codec: record.Codec(e.frame.Codec), Dictionary: e.frame.Dictionary}, e.frame.Data, b.body
}

// fits answers TooLarge if the running command may not store a value of n
// bytes.
func (b *burst) fits(n int, r *session.Result) bool {
	if most := b.admission.MaxValue; most > 0 && n > int(most) {
		r.Status = session.TooLarge
		return false
	}
	return true
}
