package decode

import (
	"bytes"
)

// decodeMarshal reads what Ruby's Marshal.dump writes, format 4.8 (Ruby's
// doc/marshal.rdoc).
func decodeMarshal(b *budget, data []byte, _ Hints) (any, error) {
	r := marshalReader{reader: newReader(b, data)}
	r.expect("\x04\x08")
	v := r.value()
	return v, r.finish()
}

// marshalReader parses Marshal data.
type marshalReader struct {
	reader
	symbols []string
	objects []any // what links refer to
}

func (r *marshalReader) value() any {
	if !r.enter() {
		return nil
	}
	defer r.leave()
	switch t := r.u8(); t {
	case '0':
		return nil
	case 'T', 'F':
		return t == 'T'
	case 'i':
		return int64(r.fixnum())
	case ':', ';':
		return r.symbolOf(t)
	case '@':
		return r.link()
	case 'I':
		return r.withVariables()
	case 'e': // extended by a module
		r.symbol()
		return r.value()
	case 'C': // of a subclass of String, Array, ...
		return r.subclass()
	default:
		return r.object(t)
	}
}

// fixnum reads a packed integer.
func (r *marshalReader) fixnum() int {
	c := int(int8(r.u8()))
	switch {
	case c == 0:
		return 0
	case c > 4:
		return c - 5
	case c < -4:
		return c + 5
	}
	n, size := 0, c
	if c < 0 {
		n, size = -1<<(8*-c), -c
	}
	for i, b := range r.take(size) {
		n |= int(b) << (8 * i)
	}
	return n
}

// length reads a number of bytes or elements that the rest could hold.
func (r *marshalReader) length() int {
	n := r.fixnum()
	if n < 0 || n > len(r.data) {
		r.fail(errShort)
		return 0
	}
	return n
}

func (r *marshalReader) sized() string { return r.string(r.length()) }

func (r *marshalReader) symbol() string { return r.symbolOf(r.u8()) }

func (r *marshalReader) symbolOf(t byte) string {
	switch t {
	case ':':
		s := r.sized()
		r.symbols = push(&r.meter, r.symbols, s)
		return s
	case ';':
		i := r.fixnum()
		if i >= 0 && i < len(r.symbols) {
			return r.symbols[i]
		}
	case 'I': // a symbol with an encoding
		s := r.symbol()
		r.variables()
		return s
	}
	r.fail(errNotThis)
	return ""
}

// register keeps v for links.
func (r *marshalReader) register(v any) { r.objects = push(&r.meter, r.objects, v) }

func (r *marshalReader) link() any {
	i := r.fixnum()
	if i < 0 || i >= len(r.objects) {
		r.fail(errNotThis)
		return nil
	}
	return r.objects[i]
}

// withVariables reads a value with instance variables, of which only other
// ones than its encoding are shown.
func (r *marshalReader) withVariables() any {
	v := r.value()
	extra := r.variables()
	if o, ok := v.(*object); ok {
		o.members = push(&r.meter, o.members, extra...)
	}
	return v
}

// variables reads names and values, leaving out encodings.
func (r *marshalReader) variables() []member {
	var members []member
	for n := r.length(); n > 0 && r.err == nil; n-- {
		name := r.symbol()
		value := r.value()
		if name != "E" && name != "encoding" {
			members = push(&r.meter, members, member{name, value})
		}
	}
	return members
}

func (r *marshalReader) subclass() any {
	o := newObject(&r.meter, r.symbol())
	o.add("@value", r.value())
	return o
}

// object reads a value that links can refer to.
func (r *marshalReader) object(t byte) any {
	switch t {
	case '"':
		s := r.sized()
		r.register(s)
		return s
	case '[':
		return r.array()
	case '{', '}':
		return r.hash(t == '}')
	case 'f':
		f := r.number()
		r.register(f)
		return f
	case 'l':
		n := r.bignum()
		r.register(n)
		return n
	case 'o':
		o := newObject(&r.meter, "")
		r.register(o)
		o.members[0].value = r.symbol()
		o.members = push(&r.meter, o.members, r.variables()...)
		return o
	case 'S':
		return r.structure()
	case 'u', 'U', 'd':
		return r.custom(t)
	case 'c', 'm', 'M':
		o := newObject(&r.meter, map[byte]string{'c': "Class", 'm': "Module", 'M': "Module"}[t])
		r.register(o)
		o.add("name", r.sized())
		return o
	case '/':
		o := newObject(&r.meter, "Regexp")
		r.register(o)
		o.add("source", r.sized())
		o.add("options", int64(r.u8()))
		return o
	}
	r.fail(errNotThis)
	return nil
}

func (r *marshalReader) array() any {
	l := newList(&r.meter, nil)
	r.register(l)
	for n := r.length(); n > 0 && r.err == nil; n-- {
		l.add(r.value())
	}
	return l
}

func (r *marshalReader) hash(withDefault bool) any {
	m := newMapping(&r.meter, nil)
	r.register(m)
	for n := r.length(); n > 0 && r.err == nil; n-- {
		m.add(r.value(), r.value())
	}
	if withDefault {
		r.value()
	}
	return m
}

// number reads the text of a float. Old versions of Ruby put its mantissa behind.
func (r *marshalReader) number() float64 {
	text, _, _ := bytes.Cut(r.take(r.length()), []byte{0})
	return r.float(text)
}

// bignum reads a sign and little-endian words of two bytes.
func (r *marshalReader) bignum() any {
	sign := r.u8()
	n := r.long(r.take(2 * r.length()))
	if sign == '-' {
		n.Neg(n)
	}
	return n
}

func (r *marshalReader) structure() any {
	o := newObject(&r.meter, "")
	r.register(o)
	o.members[0].value = r.symbol()
	o.members = push(&r.meter, o.members, r.variables()...)
	return o
}

// custom reads an object that dumps itself: as bytes (u), as another object
// (U), or as data of an extension (d).
func (r *marshalReader) custom(t byte) any {
	o := newObject(&r.meter, r.symbol())
	if t == 'u' {
		o.add("@data", r.sized())
		r.register(o)
		return o
	}
	r.register(o)
	o.add("@data", r.value())
	return o
}
