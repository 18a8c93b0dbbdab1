package codec

import (
	"encoding/binary"
	"errors"
	"math"

	"cairn/session"
)

// ErrTooMany is the error of a burst of more than session.MaxCommands commands.
var ErrTooMany = errors.New("codec: too many commands in one burst")

// bitFull, the only bit in the second byte of a burst, is Admission.Full.
const bitFull = 1

// Fields of a command: bits of its mask. Numbers come first, in the order of
// commandNumbers.
const (
	commandFlags = iota
	commandExpiry
	commandCAS
	commandNewVersion
	commandDelta
	commandInitial
	commandVivifyExpiry
	commandRecacheBefore
	commandFlushAt
	commandNumberCount

	commandValue = 1 << commandNumberCount
	commandFrame = 2 << commandNumberCount

	// From level 2 on, behind all others.
	commandCreated = 4 << commandNumberCount
	commandOwner   = 8 << commandNumberCount
	commandLimit   = 16 << commandNumberCount
	commandBorn    = 32 << commandNumberCount

	commandTimes = 1<<commandExpiry | 1<<commandVivifyExpiry | 1<<commandRecacheBefore | 1<<commandFlushAt
)

// leastCommand is the fewest bytes that a command takes.
const leastCommand = 4

type commandNumbers [commandNumberCount]uint64

func (n *commandNumbers) take(c *session.Command) {
	n[commandFlags] = uint64(c.Flags)
	n[commandExpiry] = uint64(c.Expiry)
	n[commandCAS] = c.CAS
	n[commandNewVersion] = c.NewVersion
	n[commandDelta] = c.Delta
	n[commandInitial] = c.Initial
	n[commandVivifyExpiry] = uint64(c.VivifyExpiry)
	n[commandRecacheBefore] = uint64(c.RecacheBefore)
	n[commandFlushAt] = uint64(c.FlushAt)
}

func (n *commandNumbers) put(c *session.Command) {
	c.Flags = uint32(n[commandFlags])
	c.Expiry = session.Time(n[commandExpiry])
	c.CAS = n[commandCAS]
	c.NewVersion = n[commandNewVersion]
	c.Delta = n[commandDelta]
	c.Initial = n[commandInitial]
	c.VivifyExpiry = session.Time(n[commandVivifyExpiry])
	c.RecacheBefore = session.Time(n[commandRecacheBefore])
	c.FlushAt = session.Time(n[commandFlushAt])
}

// AppendBurst appends b, without its results, to dst. A value that has a frame
// is left out: the frame stands for it. So are fields that have no meaning
// without a modifier that the level does not know. The error is an UnknownError
// if level does not know all of b; dst comes back as it was then.
func AppendBurst(dst []byte, b *session.Burst, level Level) ([]byte, error) {
	if len(b.Commands) > session.MaxCommands {
		return dst, ErrTooMany
	}
	if err := Check(b, level); err != nil {
		return dst, err
	}
	v := &levels[level-1]
	var flags byte
	if b.Full {
		flags |= bitFull
	}
	dst = append(dst, byte(level), flags)
	dst = binary.AppendUvarint(dst, zigzag(int64(b.Now)))
	dst = binary.AppendUvarint(dst, uint64(b.MaxValue))
	dst = binary.AppendUvarint(dst, uint64(len(b.Commands)))
	for i := range b.Commands {
		var frame *session.Frame
		if i < len(b.Frames) && b.Frames[i].Codec != 0 {
			frame = &b.Frames[i]
		}
		dst = appendCommand(dst, &b.Commands[i], frame, v, b.Now)
	}
	return dst, nil
}

func appendCommand(dst []byte, c *session.Command, frame *session.Frame, v *vocabulary, now session.Time) []byte {
	var numbers commandNumbers
	numbers.take(c)
	mask := maskOf(numbers[:])
	switch {
	case frame != nil:
		mask |= commandFrame
	case len(c.Value) > 0:
		mask |= commandValue
	}
	if c.Created != 0 {
		mask |= commandCreated
	}
	if len(c.Owner) > 0 {
		mask |= commandOwner
	}
	if c.Limit != 0 {
		mask |= commandLimit
	}
	if c.Born != 0 {
		mask |= commandBorn
	}
	mask &= v.commandFields
	dst = append(dst, byte(c.Op))
	dst = binary.AppendUvarint(dst, uint64(c.Mods))
	dst = binary.AppendUvarint(dst, mask)
	dst = appendBytes(dst, c.Key)
	dst = appendNumbers(dst, numbers[:], commandTimes, now)
	switch {
	case frame != nil:
		dst = append(dst, frame.Codec)
		dst = binary.AppendUvarint(dst, uint64(frame.Dictionary))
		dst = binary.AppendUvarint(dst, uint64(frame.RawLen))
		dst = appendBytes(dst, frame.Data)
	case len(c.Value) > 0:
		dst = appendBytes(dst, c.Value)
	}
	if mask&commandCreated != 0 {
		dst = binary.AppendUvarint(dst, zigzag(int64(c.Created-now)))
	}
	if mask&commandOwner != 0 {
		dst = appendBytes(dst, c.Owner)
	}
	if mask&commandLimit != 0 {
		dst = binary.AppendUvarint(dst, zigzag(int64(c.Limit)))
	}
	if mask&commandBorn != 0 {
		dst = binary.AppendUvarint(dst, c.Born)
	}
	return dst
}

// DecodeBurst makes b, whose memory it uses again, the burst that data holds,
// and tells its level. Keys, values and frames alias data, which must stay
// unchanged for as long as b is used. What it allocates is bounded by the length
// of data and by session.MaxCommands.
//
// The error is ErrMalformed or an UnknownError; b is empty then.
func DecodeBurst(data []byte, b *session.Burst) (Level, error) {
	b.Reset(0)
	r, level, v, err := open(data)
	if err == nil {
		err = r.burst(b, level, v)
	}
	if err == nil {
		err = r.end()
	}
	if err != nil {
		b.Reset(0)
	}
	return level, err
}

func (r *reader) burst(b *session.Burst, level Level, v *vocabulary) error {
	flags := r.byte()
	if flags&^bitFull != 0 {
		return ErrMalformed
	}
	b.Full = flags&bitFull != 0
	b.Now = r.time()
	b.MaxValue = uint32(r.upTo(math.MaxUint32))
	n := r.count(leastCommand)
	for i := range n {
		frame := r.command(b.Add(), v, b.Now)
		if r.bad {
			return ErrMalformed
		}
		if err := level.check(v, &b.Commands[i]); err != nil {
			return err
		}
		if frame.Codec != 0 {
			b.SizeFrames(n)
			b.Frames[i] = frame
		}
	}
	return nil
}

// command takes one command and its frame, whose Codec is 0 if it has none.
func (r *reader) command(c *session.Command, v *vocabulary, now session.Time) (frame session.Frame) {
	c.Op = session.Op(r.byte())
	c.Mods = session.Mods(r.upTo(math.MaxUint16))
	mask := r.upTo(v.commandFields)
	c.Key = r.bytes()
	var numbers commandNumbers
	r.numbers(numbers[:], mask, commandTimes, now)
	if numbers[commandFlags] > math.MaxUint32 || mask&commandValue != 0 && mask&commandFrame != 0 {
		r.fail()
	}
	numbers.put(c)
	if mask&commandValue != 0 {
		if c.Value = r.bytes(); c.Value == nil {
			r.fail()
		}
	}
	if mask&commandFrame != 0 {
		frame.Codec = r.byte()
		frame.Dictionary = uint32(r.upTo(math.MaxUint32))
		frame.RawLen = uint32(r.upTo(math.MaxUint32))
		frame.Data = r.bytes()
		if frame.Codec == 0 {
			r.fail()
		}
	}
	c.Created, c.Owner = r.session(mask, commandCreated, commandOwner, now)
	if mask&commandLimit != 0 {
		if c.Limit = r.time(); c.Limit == 0 {
			r.fail()
		}
	}
	if mask&commandBorn != 0 {
		if c.Born = r.number(); c.Born == 0 {
			r.fail()
		}
	}
	return frame
}
