package decode

import "errors"

var errFastLZ = errors.New("invalid FastLZ data")

// FastLZ as described by its author at github.com/ariya/FastLZ: literal runs
// and matches, a level in the top bits of the first byte.
const (
	fastLZLongMatch   = 7 // match length code that says more follows
	fastLZFarDistance = 8191
)

// inflateFastLZ returns the size bytes that data was made from.
func inflateFastLZ(b *budget, data []byte, size int) ([]byte, error) {
	if len(data) == 0 {
		return nil, errFastLZ
	}
	level := data[0]>>5 + 1
	if level > 2 {
		return nil, errFastLZ
	}
	r := newReader(b, data)
	r.spend(0, 2*(len(data)+size))
	out := r.bytes(size)
	for first := true; r.more(); first = false {
		control := r.u8()
		if first {
			control &= 0x1f
		}
		if control < 32 {
			out = push(&r.meter, out, r.take(int(control)+1)...)
		} else {
			out = copyMatch(&r, out, int(control), level)
		}
		if r.err != nil || len(out) > size {
			return nil, errFastLZ
		}
	}
	return out, nil
}

// copyMatch appends bytes that out has already.
func copyMatch(r *reader, out []byte, control int, level byte) []byte {
	length, distance := control>>5, (control&0x1f)<<8
	if length == fastLZLongMatch {
		for more := byte(255); more == 255 && r.err == nil; {
			more = r.u8()
			length += int(more)
			if level == 1 {
				break
			}
		}
	}
	low := int(r.u8())
	distance += low
	if level == 2 && distance == fastLZFarDistance {
		distance += int(r.u16())
	}
	from := len(out) - distance - 1
	if r.err != nil || from < 0 || length+2 > cap(out)-len(out) {
		r.fail(errFastLZ)
		return out
	}
	for i := range length + 2 {
		out = append(out, out[from+i])
	}
	return out
}
