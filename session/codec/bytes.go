package codec

import (
	"encoding/binary"

	"cairn/session"
)

// zigzag maps small numbers of either sign to small unsigned ones.
func zigzag(n int64) uint64 { return uint64(n)<<1 ^ uint64(n>>63) }

func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// reader takes what encoders wrote from the front of rest. After the first
// fault bad is set and everything it returns is zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.bad, r.rest = true, nil
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// number takes a varint of the shortest form.
func (r *reader) number() uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // most are
		return uint64(r.byte())
	}
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || r.rest[size-1] == 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// upTo takes a number that must be at most the given one.
func (r *reader) upTo(most uint64) uint64 {
	n := r.number()
	if n > most {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) time() session.Time { return session.Time(unzigzag(r.number())) }

// bytes takes bytes with their length. They alias the input and cannot be
// appended to in place.
func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.fail()
	}
	if r.bad || n == 0 {
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// count takes a number of things that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.upTo(session.MaxCommands)
	if n > uint64(len(r.rest)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// end reports whether all has been taken, and nothing was wrong.
func (r *reader) end() error {
	if r.bad || len(r.rest) > 0 {
		return ErrMalformed
	}
	return nil
}

// open takes the level from the front of data.
func open(data []byte) (r reader, level Level, v *vocabulary, err error) {
	r.rest = data
	level = Level(r.byte())
	if r.bad {
		return r, 0, nil, ErrMalformed
	}
	v, err = level.vocabulary()
	return r, level, v, err
}

// The numbers of a command or a result stand behind each other in one array,
// in the order of their bits in the mask.

// appendNumbers appends those that are not 0, the ones in times as distances
// from now.
func appendNumbers(dst []byte, numbers []uint64, times uint, now session.Time) []byte {
	for i, n := range numbers {
		if n == 0 {
			continue
		}
		if times&(1<<i) != 0 {
			n = zigzag(int64(n - uint64(now)))
		}
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

// numbers is the reverse of appendNumbers for the numbers that mask names.
func (r *reader) numbers(numbers []uint64, mask uint64, times uint, now session.Time) {
	for i := range numbers {
		if mask&(1<<i) == 0 {
			continue
		}
		n := r.number()
		if times&(1<<i) != 0 {
			n = uint64(unzigzag(n)) + uint64(now)
		}
		if n == 0 {
			r.fail()
			return
		}
		numbers[i] = n
	}
}

// maskOf has a bit for each number that is not 0.
func maskOf(numbers []uint64) (mask uint64) {
	for i, n := range numbers {
		if n != 0 {
			mask |= 1 << i
		}
	}
	return mask
}

// session takes what is known of a session beyond numbers and a value: when it
// was created and whose it is, as far as mask names them.
func (r *reader) session(mask, created, owner uint64, now session.Time) (at session.Time, whose []byte) {
	if mask&created != 0 {
		if at = r.time() + now; at == 0 {
			r.fail()
		}
	}
	if mask&owner != 0 {
		if whose = r.bytes(); whose == nil {
			r.fail()
		}
	}
	return at, whose
}
