package decode

import (
	"math"
)

// decodeMessagePack reads MessagePack (github.com/msgpack/msgpack, spec.md).
// As almost any bytes are MessagePack, only maps and arrays count.
func decodeMessagePack(b *budget, data []byte, _ Hints) (any, error) {
	r := msgpackReader{newReader(b, data)}
	v := r.value()
	switch v.(type) {
	case *mapping, *list:
		return v, r.finish()
	}
	return nil, errNotThis
}

type msgpackReader struct{ reader }

func (r *msgpackReader) value() any {
	if !r.enter() {
		return nil
	}
	defer r.leave()
	t := r.u8()
	switch {
	case r.err != nil:
		return nil
	case t <= 0x7f:
		return int64(t)
	case t <= 0x8f:
		return r.mapping(int(t & 0x0f))
	case t <= 0x9f:
		return r.list(int(t & 0x0f))
	case t <= 0xbf:
		return r.string(int(t & 0x1f))
	case t >= 0xe0:
		return int64(int8(t))
	case t == 0xc0:
		return nil
	case t == 0xc2, t == 0xc3:
		return t == 0xc3
	case t >= 0xc7 && t <= 0xc9, t >= 0xd4 && t <= 0xd8:
		return r.extension(t)
	case t >= 0xca && t <= 0xd3:
		return r.number(t)
	}
	return r.sizedValue(t)
}

// sizedValue reads strings, bytes, lists and maps whose length is written
// behind the type.
func (r *msgpackReader) sizedValue(t byte) any {
	switch t {
	case 0xc4, 0xd9:
		return r.string(int(r.u8()))
	case 0xc5, 0xda:
		return r.string(int(r.u16()))
	case 0xc6, 0xdb:
		return r.string(int(r.u32()))
	case 0xdc:
		return r.list(int(r.u16()))
	case 0xdd:
		return r.list(int(r.u32()))
	case 0xde:
		return r.mapping(int(r.u16()))
	case 0xdf:
		return r.mapping(int(r.u32()))
	}
	r.fail(errNotThis)
	return nil
}

func (r *msgpackReader) number(t byte) any {
	switch t {
	case 0xca:
		return float64(math.Float32frombits(r.u32()))
	case 0xcb:
		return r.f64()
	case 0xcc:
		return int64(r.u8())
	case 0xcd:
		return int64(r.u16())
	case 0xce:
		return int64(r.u32())
	case 0xcf:
		return r.u64()
	case 0xd0:
		return int64(int8(r.u8()))
	case 0xd1:
		return int64(int16(r.u16()))
	case 0xd2:
		return int64(int32(r.u32()))
	}
	return int64(r.u64())
}

func (r *msgpackReader) list(n int) any {
	l := newList(&r.meter, nil)
	for i := 0; i < n && r.err == nil; i++ {
		l.add(r.value())
	}
	return l
}

func (r *msgpackReader) mapping(n int) any {
	m := newMapping(&r.meter, nil)
	for i := 0; i < n && r.err == nil; i++ {
		m.add(r.value(), r.value())
	}
	return m
}

// extension reads an application's own type: a number and bytes.
func (r *msgpackReader) extension(t byte) any {
	n := 0
	switch t {
	case 0xc7:
		n = int(r.u8())
	case 0xc8:
		n = int(r.u16())
	case 0xc9:
		n = int(r.u32())
	default:
		n = 1 << (t - 0xd4)
	}
	o := newRecord(&r.meter)
	o.add("@extension", int64(int8(r.u8())))
	o.add("@data", r.string(n))
	return o
}
