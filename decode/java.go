package decode

import (
	"math"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"cairn/decode/javastream"
)

// javaMagic is the magic number and the version, which begin a stream.
const javaMagic = 0xaced0005

// decodeJava reads a stream of java.io.ObjectOutputStream.
func decodeJava(b *budget, data []byte, _ Hints) (any, error) {
	r := javaReader{reader: newReader(b, data)}
	if r.u32() != javaMagic {
		return nil, errNotThis
	}
	contents := newList(&r.meter, nil)
	for r.more() {
		contents.add(r.content())
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	if len(contents.items) == 1 {
		return contents.items[0], nil
	}
	return contents, nil
}

// javaReader parses a Java stream.
type javaReader struct {
	reader
	handles []any // what references refer to
}

// javaClass is a class description in a stream.
type javaClass struct {
	name   string
	flags  byte
	fields []javaField
	super  *javaClass
}

type javaField struct {
	kind byte // B C D F I J S Z, or L and [ for references
	name string
}

// content reads one element of the stream: an object, or block data, which is
// a string of bytes.
func (r *javaReader) content() any {
	if !r.enter() {
		return nil
	}
	defer r.leave()
	t := r.u8()
	switch t {
	case javastream.TCBlockData:
		return javaBlock(r.take(int(r.u8())))
	case javastream.TCBlockDataLong:
		return javaBlock(r.take(int(r.u32())))
	case javastream.TCReset:
		r.handles = nil
		return r.content()
	}
	return r.object(t)
}

// javaBlock is block data, so that it can be told from strings.
type javaBlock []byte

func (r *javaReader) object(t byte) any {
	switch t {
	case javastream.TCNull:
		return nil
	case javastream.TCReference:
		return r.reference()
	case javastream.TCString:
		return r.handle(r.utf())
	case javastream.TCLongString:
		return r.handle(r.modifiedUTF8(r.take(int(min(r.u64(), math.MaxInt32)))))
	case javastream.TCObject:
		return r.instance()
	case javastream.TCArray:
		return r.array()
	case javastream.TCEnum:
		return r.enum()
	case javastream.TCClass:
		o := newObject(&r.meter, "java.lang.Class")
		o.add("name", r.classDesc().name)
		return r.handle(o)
	case javastream.TCClassDesc, javastream.TCProxyClassDesc:
		class := r.newClass(t)
		o := newObject(&r.meter, "java.io.ObjectStreamClass")
		o.add("name", class.name)
		return o
	}
	r.fail(errNotThis)
	return nil
}

func (r *javaReader) handle(v any) any {
	r.handles = push(&r.meter, r.handles, v)
	return v
}

func (r *javaReader) reference() any {
	i := int(r.u32()) - javastream.BaseWireHandle
	if r.err != nil || i < 0 || i >= len(r.handles) {
		r.fail(errNotThis)
		return nil
	}
	if class, ok := r.handles[i].(*javaClass); ok {
		return class.name
	}
	return r.handles[i]
}

func (r *javaReader) utf() string { return r.modifiedUTF8(r.take(int(r.u16()))) }

// modifiedUTF8 converts Java's variant of UTF-8: NUL takes two bytes, and
// characters beyond the first plane are two surrogates of three bytes each.
func (m *meter) modifiedUTF8(b []byte) string {
	if !m.spend(0, 2*len(b)) {
		return ""
	}
	if utf8.Valid(b) {
		if i := indexPair(b, 0xc0, 0x80); i < 0 {
			return m.text(b)
		}
	}
	units := reserve[uint16](m, nil, len(b))
	for len(b) > 0 {
		unit, n := modifiedUnit(b)
		if n == 0 {
			return m.text(b)
		}
		units = push(m, units, unit)
		b = b[n:]
	}
	if !m.spend(8*len(units), 4*len(units)) { // as runes and as UTF-8
		return ""
	}
	return string(utf16.Decode(units))
}

func indexPair(b []byte, first, second byte) int {
	for i := 0; i+1 < len(b); i++ {
		if b[i] == first && b[i+1] == second {
			return i
		}
	}
	return -1
}

// modifiedUnit reads one UTF-16 code unit and gives its length, 0 if b begins
// with none.
func modifiedUnit(b []byte) (unit uint16, n int) {
	switch {
	case b[0] < 0x80:
		return uint16(b[0]), 1
	case b[0]>>5 == 0b110 && len(b) >= 2:
		return uint16(b[0]&0x1f)<<6 | uint16(b[1]&0x3f), 2
	case b[0]>>4 == 0b1110 && len(b) >= 3:
		return uint16(b[0]&0x0f)<<12 | uint16(b[1]&0x3f)<<6 | uint16(b[2]&0x3f), 3
	}
	return 0, 0
}

// classDesc reads a class description; never nil.
func (r *javaReader) classDesc() *javaClass {
	if class := r.superDesc(); class != nil {
		return class
	}
	r.fail(errNotThis)
	return &javaClass{}
}

// superDesc reads a class description that may be null.
func (r *javaReader) superDesc() *javaClass {
	if !r.enter() {
		return nil
	}
	defer r.leave()
	switch t := r.u8(); t {
	case javastream.TCNull:
		return nil
	case javastream.TCReference:
		i := int(r.u32()) - javastream.BaseWireHandle
		if r.err == nil && i >= 0 && i < len(r.handles) {
			if class, ok := r.handles[i].(*javaClass); ok {
				return class
			}
		}
	case javastream.TCClassDesc, javastream.TCProxyClassDesc:
		return r.newClass(t)
	}
	r.fail(errNotThis)
	return nil
}

func (r *javaReader) newClass(t byte) *javaClass {
	class := allocate[javaClass](&r.meter)
	if t == javastream.TCProxyClassDesc {
		class.name, class.flags = "proxy", javastream.SCSerializable
		r.handle(class)
		for n := int(r.u32()); n > 0 && r.err == nil; n-- {
			class.name = r.join(class.name, " ", r.utf())
		}
	} else {
		class.name = r.utf()
		r.take(8) // serialVersionUID
		r.handle(class)
		class.flags = r.u8()
		for n := int(r.u16()); n > 0 && r.err == nil; n-- {
			class.fields = push(&r.meter, class.fields, r.field())
		}
	}
	r.annotation()
	class.super = r.superDesc()
	return class
}

func (r *javaReader) field() javaField {
	r.count(1)
	f := javaField{kind: r.u8(), name: r.utf()}
	if f.kind == 'L' || f.kind == '[' {
		r.content() // the type's name
	}
	return f
}

// annotation reads what a class wrote by itself, up to its end mark.
func (r *javaReader) annotation() []any {
	var contents []any
	for r.err == nil {
		if len(r.data) > 0 && r.data[0] == javastream.TCEndBlockData {
			r.u8()
			break
		}
		contents = push(&r.meter, contents, r.content())
	}
	return contents
}

func (r *javaReader) instance() any {
	class := r.classDesc()
	o := newObject(&r.meter, class.name)
	i := len(r.handles)
	r.handle(o)
	var custom []any
	for _, c := range class.lineage(r) {
		custom = push(&r.meter, custom, r.classData(o, c)...)
	}
	v := r.simplifyJava(o, custom)
	if i < len(r.handles) && r.err == nil {
		r.handles[i] = v
	}
	return v
}

// lineage returns the class and its ancestors, eldest first.
func (c *javaClass) lineage(r *javaReader) []*javaClass {
	var line []*javaClass
	for ; c != nil && r.err == nil; c = c.super {
		line = push(&r.meter, line, c)
		if len(line) > MaxDepth {
			r.fail(errTooDeep)
		}
	}
	slices.Reverse(line)
	return line
}

// classData reads what one class of an object's lineage wrote, adds its fields
// to o and gives the rest.
func (r *javaReader) classData(o *object, c *javaClass) []any {
	switch {
	case c.flags&javastream.SCSerializable != 0:
		for _, f := range c.fields {
			if r.err != nil {
				return nil
			}
			o.add(f.name, r.fieldValue(f.kind))
		}
		if c.flags&javastream.SCWriteMethod != 0 {
			return r.annotation()
		}
	case c.flags&javastream.SCExternalizable != 0:
		if c.flags&javastream.SCBlockData != 0 {
			return r.annotation()
		}
		r.fail(errNotThis) // the length of its data is known to its class only
	}
	return nil
}

func (r *javaReader) fieldValue(kind byte) any {
	switch kind {
	case 'B':
		return int64(int8(r.u8()))
	case 'C':
		return string(utf16.Decode([]uint16{r.u16()}))
	case 'D':
		return r.f64()
	case 'F':
		return float64(math.Float32frombits(r.u32()))
	case 'I':
		return int64(int32(r.u32()))
	case 'J':
		return int64(r.u64())
	case 'S':
		return int64(int16(r.u16()))
	case 'Z':
		return r.u8() != 0
	case 'L', '[':
		return r.content()
	}
	r.fail(errNotThis)
	return nil
}

func (r *javaReader) array() any {
	class := r.classDesc()
	l := newList(&r.meter, nil)
	r.handle(l)
	n := int(int32(r.u32()))
	if len(class.name) < 2 || n < 0 {
		r.fail(errNotThis)
		return nil
	}
	if class.name == "[B" {
		i := len(r.handles) - 1
		bytes := r.string(n)
		if r.err == nil {
			r.handles[i] = bytes
		}
		return bytes
	}
	for ; n > 0 && r.err == nil; n-- {
		r.count(1)
		l.add(r.fieldValue(class.name[1]))
	}
	return l
}

func (r *javaReader) enum() any {
	o := newObject(&r.meter, r.classDesc().name)
	r.handle(o)
	o.add("@case", r.content())
	return o
}
