package group

import (
	"encoding/binary"
	"errors"
	"fmt"

	"cairn/session"
)

// An entry of the log is one byte, its form, and what belongs to the form:
//
//	burst:     origin, 16 bytes    sequence    mark    a burst of package codec
//	tick:      now, signed    held
//	register:  origin, 16 bytes
//	roster:    a Roster as JSON
//	check:     index    digest, 8 bytes little endian
//
// Numbers are varints, signed ones in zigzag. An empty entry is raft's own. A form
// is never changed; a new one belongs to a Level, and is written once all nodes know that.
const (
	formBurst byte = iota + 1
	formTick
	formRegister
	formRoster
	formCheck
)

// since says which level a form belongs to, if not to that of every log's begin.
var since = map[byte]Level{formRoster: LevelRoster, formCheck: LevelCheck}

// Origin names one life of one node that sends bursts. It is random.
type Origin [16]byte

// Sequence numbers the bursts of an Origin, from 1 on.
type Sequence = uint64

// errEntry is the error of an entry that this version cannot read. Another may:
// whoever meets it must not go on.
var errEntry = errors.New("group: an entry of an unknown form")

// entry is an entry of the log, taken apart. Its bytes alias the log's.
type entry struct {
	form byte // 0: raft's own

	origin Origin
	seq    Sequence
	mark   Sequence // of the origin: all below are answered
	burst  []byte

	now  session.Time
	held uint64 // every replica has the log up to this index on its disk

	roster *Roster

	sum Sum // of the leader, at an earlier entry; index 0: it had none
}

func appendBurstHeader(dst []byte, origin Origin, seq, mark Sequence) []byte {
	dst = append(dst, formBurst)
	dst = append(dst, origin[:]...)
	dst = binary.AppendUvarint(dst, seq)
	return binary.AppendUvarint(dst, mark)
}

func appendTick(dst []byte, now session.Time, held uint64) []byte {
	return binary.AppendUvarint(binary.AppendVarint(append(dst, formTick), int64(now)), held)
}

func appendRegister(dst []byte, origin Origin) []byte {
	return append(append(dst, formRegister), origin[:]...)
}

func appendCheck(dst []byte, leaders Sum) []byte {
	dst = binary.AppendUvarint(append(dst, formCheck), leaders.Index)
	return binary.LittleEndian.AppendUint64(dst, leaders.Digest)
}

// decodeEntry takes an entry apart, if it is of a form that belongs to level knows or
// one below.
func decodeEntry(data []byte, knows Level) (e entry, err error) {
	if len(data) == 0 {
		return e, nil
	}
	if since[data[0]] > knows {
		return entry{}, fmt.Errorf("%w %d", errEntry, data[0])
	}
	r := fields{rest: data[1:]}
	switch e.form = data[0]; e.form {
	case formBurst:
		r.origin(&e.origin)
		e.seq, e.mark = r.number(), r.number()
		e.burst = r.rest
	case formTick:
		e.now, e.held = r.time(), r.number()
		r.bad = r.bad || len(r.rest) > 0
	case formRegister:
		r.origin(&e.origin)
		r.bad = r.bad || len(r.rest) > 0
	case formRoster:
		if e.roster, err = decodeRoster(r.rest); err != nil {
			return entry{}, err
		}
	case formCheck:
		e.sum.Index = r.number()
		if r.bad = r.bad || len(r.rest) != 8; !r.bad {
			e.sum.Digest = binary.LittleEndian.Uint64(r.rest)
		}
	default:
		return entry{}, fmt.Errorf("%w %d", errEntry, data[0])
	}
	if r.bad {
		return entry{}, errEntry
	}
	return e, nil
}

// fields takes numbers from the front of rest. After the first fault bad is set
// and everything it returns is zero.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() uint64 {
	n, size := binary.Uvarint(f.rest)
	if size <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) time() session.Time {
	n, size := binary.Varint(f.rest)
	if size <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[size:]
	return session.Time(n)
}

func (f *fields) origin(o *Origin) {
	if len(f.rest) < len(o) {
		f.bad, f.rest = true, nil
		return
	}
	copy(o[:], f.rest)
	f.rest = f.rest[len(o):]
}
