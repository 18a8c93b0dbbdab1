// Package fastlz decompresses FastLZ, which php-memcached uses, as its author
// describes it at github.com/ariya/FastLZ: literal runs and matches, a level in the
// top bits of the first byte.
package fastlz

import "errors"

const (
	longMatch   = 7 // match length code that says more follows
	farDistance = 8191
)

// Errors of Append.
var (
	ErrInvalid = errors.New("invalid FastLZ data")
	ErrFull    = errors.New("the FastLZ data is longer than there is room for")
)

// Append appends to dst what data was made from. It allocates nothing: it fails with
// ErrFull, and what there was room for, if that is more than dst has room for.
func Append(dst, data []byte) ([]byte, error) {
	if len(data) == 0 || data[0]>>5 > 1 {
		return dst, ErrInvalid
	}
	d := decompressor{data: data, out: dst, begin: len(dst), far: data[0]>>5 == 1}
	control := d.next() & 0x1f
	for d.err == nil {
		if control < 32 {
			d.literal(int(control) + 1)
		} else {
			d.match(control)
		}
		if d.err == nil && len(d.data) == 0 {
			break
		}
		control = d.next()
	}
	return d.out, d.err
}

type decompressor struct {
	data  []byte // what is left
	out   []byte
	begin int  // of the output in out
	far   bool // level 2: long matches and distances
	err   error
}

func (d *decompressor) next() byte {
	if len(d.data) == 0 {
		d.err = ErrInvalid
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

// room returns how many of n bytes there is room for.
func (d *decompressor) room(n int) int {
	if free := cap(d.out) - len(d.out); n > free {
		d.err = ErrFull
		return free
	}
	return n
}

func (d *decompressor) literal(n int) {
	if n > len(d.data) {
		d.err = ErrInvalid
		return
	}
	d.out = append(d.out, d.data[:d.room(n)]...)
	d.data = d.data[n:]
}

// match repeats bytes of the output.
func (d *decompressor) match(control byte) {
	n, distance := int(control>>5), int(control&0x1f)<<8
	if n == longMatch {
		for more := byte(255); more == 255 && d.err == nil; {
			more = d.next()
			n += int(more)
			if !d.far {
				break
			}
		}
	}
	distance += int(d.next())
	if d.far && distance == farDistance {
		high := int(d.next())
		distance += high<<8 | int(d.next())
	}
	from := len(d.out) - distance - 1
	if d.err != nil || from < d.begin {
		d.err = ErrInvalid
		return
	}
	for i := range d.room(n + 2) {
		d.out = append(d.out, d.out[from+i])
	}
}
