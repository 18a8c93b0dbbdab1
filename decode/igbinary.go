package decode

import "math"

// The type bytes of igbinary, from its header file.
const (
	igNull      = 0x00
	igRef8      = 0x01 // ... igRef32 = 0x03: an array seen before
	igRef32     = 0x03
	igFalse     = 0x04
	igTrue      = 0x05
	igLong8p    = 0x06 // 8p, 8n, 16p, 16n, 32p, 32n
	igLong32n   = 0x0b
	igDouble    = 0x0c
	igEmpty     = 0x0d
	igStringID8 = 0x0e // ... 0x10: a string seen before
	igStringID  = 0x10
	igString8   = 0x11 // ... 0x13
	igString32  = 0x13
	igArray8    = 0x14 // ... 0x16
	igArray32   = 0x16
	igObject8   = 0x17 // ... 0x19: with the class name
	igObject32  = 0x19
	igObjectID8 = 0x1a // ... 0x1c: with the number of a string
	igObjectID  = 0x1c
	igSer8      = 0x1d // ... 0x1f: data of an object that serializes itself
	igSer32     = 0x1f
	igLong64p   = 0x20
	igLong64n   = 0x21
	igObjRef8   = 0x22 // ... 0x24: an object seen before
	igObjRef32  = 0x24
	igReference = 0x25 // the next value is shared
	igString64  = 0x26
	igEnumCase  = 0x27
)

// decodeIgbinary reads what PHP's igbinary_serialize() writes.
func decodeIgbinary(b *budget, data []byte, _ Hints) (any, error) {
	r := igReader{reader: newReader(b, data)}
	if version := r.u32(); version != 1 && version != 2 {
		return nil, errNotThis
	}
	v := r.value()
	return v, r.finish()
}

// igReader parses igbinary.
type igReader struct {
	reader
	strings []string
	shared  []any // arrays, objects and references by number
}

func (r *igReader) value() any {
	if !r.enter() {
		return nil
	}
	defer r.leave()
	t := r.u8()
	if r.err != nil {
		return nil
	}
	switch {
	case t == igNull:
		return nil
	case t == igFalse, t == igTrue:
		return t == igTrue
	case t == igDouble:
		return r.f64()
	case t >= igArray8 && t <= igArray32:
		return r.array(r.sized(t - igArray8))
	case t >= igRef8 && t <= igRef32:
		return r.sharedAt(r.sized(t - igRef8))
	case t >= igObjRef8 && t <= igObjRef32:
		return r.sharedAt(r.sized(t - igObjRef8))
	case t >= igObject8 && t <= igObject32:
		return r.object(r.newString(r.sized(t - igObject8)))
	case t >= igObjectID8 && t <= igObjectID:
		return r.object(r.stringAt(r.sized(t - igObjectID8)))
	case t == igReference:
		return r.reference()
	}
	return r.scalar(t)
}

// scalar reads a number or string, the kinds that array keys have too.
func (r *igReader) scalar(t byte) any {
	switch {
	case t >= igLong8p && t <= igLong32n:
		return r.signed(uint64(r.sized((t-igLong8p)/2)), (t-igLong8p)%2 == 1)
	case t == igLong64p, t == igLong64n:
		return r.signed(r.u64(), t == igLong64n)
	case t == igEmpty:
		return ""
	case t >= igStringID8 && t <= igStringID:
		return r.stringAt(r.sized(t - igStringID8))
	case t >= igString8 && t <= igString32:
		return r.newString(r.sized(t - igString8))
	case t == igString64:
		return r.newString(int(min(r.u64(), math.MaxInt32)))
	}
	r.fail(errNotThis)
	return nil
}

// sized reads a number of 1, 2 or 4 bytes for the width 0, 1 or 2.
func (r *igReader) sized(width byte) int {
	switch width {
	case 0:
		return int(r.u8())
	case 1:
		return int(r.u16())
	}
	return int(r.u32())
}

func (r *igReader) signed(n uint64, negative bool) any {
	switch {
	case negative:
		return -int64(n) // -2^63 wraps to itself
	case n > math.MaxInt64:
		return n
	}
	return int64(n)
}

func (r *igReader) newString(n int) string {
	s := r.string(n)
	r.strings = push(&r.meter, r.strings, s)
	return s
}

func (r *igReader) stringAt(i int) string {
	if i >= len(r.strings) {
		r.fail(errNotThis)
		return ""
	}
	return r.strings[i]
}

func (r *igReader) sharedAt(i int) any {
	if i >= len(r.shared) {
		r.fail(errNotThis)
		return nil
	}
	return r.shared[i]
}

// pairs reads n keys and values.
func (r *igReader) pairs(n int) []any {
	var pairs []any
	for i := 0; i < n && r.err == nil; i++ {
		pairs = push(&r.meter, pairs, r.scalar(r.u8()), r.value())
	}
	return pairs
}

func (r *igReader) array(n int) any {
	m := newMapping(&r.meter, nil)
	m.php = true
	r.shared = push[any](&r.meter, r.shared, m)
	m.pairs = r.pairs(n)
	return m
}

// object reads the properties of an object, its own data, or the name of an
// enumeration case.
func (r *igReader) object(class string) any {
	o := newObject(&r.meter, class)
	r.shared = push[any](&r.meter, r.shared, o)
	t := r.u8()
	switch {
	case t >= igArray8 && t <= igArray32:
		pairs := r.pairs(r.sized(t - igArray8))
		for i := 0; i+1 < len(pairs) && r.err == nil; i += 2 {
			name := r.keyText(pairs[i])
			o.add(r.phpProperty(name), pairs[i+1])
		}
	case t >= igSer8 && t <= igSer32:
		o.add("@data", r.string(r.sized(t-igSer8)))
	case t == igEnumCase:
		name := r.keyText(r.scalar(r.u8()))
		o.add("@case", name)
	default:
		r.fail(errNotThis)
	}
	return o
}

// reference reads a shared value. Scalars get a number by being shared; arrays
// and objects have one anyway.
func (r *igReader) reference() any {
	if r.more() && r.data[0] >= igRef8 && r.data[0] <= igRef32 {
		return r.value()
	}
	v := r.value()
	switch v.(type) {
	case *list, *mapping, *object:
	default:
		r.shared = push(&r.meter, r.shared, v)
	}
	return v
}
