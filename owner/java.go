package owner

import (
	"encoding/binary"
	"encoding/hex"
	"unicode/utf8"

	"cairn/decode/javastream"
)

// javaClass is a class description in a stream.
type javaClass struct {
	name   []byte
	flags  byte
	kind   javaKind
	fields int // where the description of its fields begins in the data
	count  int // of them
	super  int // place among the classes, -1: none
}

// javaKind says how an object of a class is shown.
type javaKind uint8

const (
	javaObject javaKind = iota
	javaBox             // as its only field
	javaList            // as what it wrote by itself
	javaMap             // so, in pairs
	javaUUID            // as its text
	javaOther           // as what is not found: a date, a list that has its form to itself
)

// kindOf returns how objects of the class with a name are shown.
func kindOf(name []byte) javaKind {
	switch string(name) {
	case "java.lang.Integer", "java.lang.Long", "java.lang.Short", "java.lang.Byte":
		return javaBox
	case "java.util.ArrayDeque", "java.util.ArrayList", "java.util.HashSet", "java.util.LinkedHashSet", "java.util.LinkedList":
		return javaList
	case "java.util.HashMap", "java.util.Hashtable", "java.util.LinkedHashMap", "java.util.TreeMap", "java.util.concurrent.ConcurrentHashMap":
		return javaMap
	case "java.lang.Boolean", "java.lang.Character", "java.lang.Double", "java.lang.Float", "java.math.BigInteger",
		"java.sql.Timestamp", "java.time.Ser", "java.util.CollSer", "java.util.Date", "java.util.TreeSet":
		return javaOther
	case "java.util.UUID":
		return javaUUID
	}
	return javaObject
}

// javaRoot reads the first object of a stream of java.io.ObjectOutputStream.
func (c *cursor) javaRoot() bool {
	if !isJava(c.data) {
		return false
	}
	c.pos = 4
	return c.value(0)
}

// java reads one element of a stream: an object, or block data.
func (c *cursor) java(at int) bool {
	switch t := c.u8(); t {
	case javastream.TCNull:
	case javastream.TCReference:
		return c.text(at, c.javaReference().text)
	case javastream.TCString:
		return c.text(at, c.javaText(c.u16()))
	case javastream.TCLongString:
		return c.text(at, c.javaText(int(min(c.u64(), MaxInput+1))))
	case javastream.TCObject:
		return c.javaInstance(at)
	case javastream.TCArray:
		return c.javaArray(at)
	case javastream.TCEnum:
		c.classDesc()
		c.share(nil)
		c.value(skip)
	case javastream.TCClass:
		c.classDesc()
		c.share(nil)
	case javastream.TCClassDesc, javastream.TCProxyClassDesc:
		c.newClass(t)
	case javastream.TCBlockData:
		c.take(int(c.u8()))
	case javastream.TCBlockDataLong:
		c.take(c.u32())
	case javastream.TCReset:
		clear(c.shared)
		c.shared = c.shared[:0]
		return c.value(at)
	default:
		c.bad = true
	}
	return false
}

// javaText reads a text of n bytes, which references can refer to. One whose form is
// not UTF-8's too (NUL, and characters beyond the first plane) leads nowhere.
func (c *cursor) javaText(n int) []byte {
	s := c.take(n)
	if !utf8.Valid(s) {
		s = nil
	}
	c.share(s)
	return s
}

func (c *cursor) javaReference() shared {
	i := c.u32() - javastream.BaseWireHandle
	if c.bad || i < 0 || i >= len(c.shared) {
		c.bad = true
		return shared{}
	}
	return c.shared[i]
}

// classDesc reads a class description and returns its place among the classes; -1
// for null, or after an error.
func (c *cursor) classDesc() int {
	switch t := c.u8(); t {
	case javastream.TCNull:
		return -1
	case javastream.TCReference:
		if s := c.javaReference(); s.isClass {
			return s.class
		}
	case javastream.TCClassDesc, javastream.TCProxyClassDesc:
		return c.newClass(t)
	}
	c.bad = true
	return -1
}

func (c *cursor) newClass(t byte) int {
	c.depth++
	defer func() { c.depth-- }()
	if c.depth > maxDepth || len(c.classes) == maxShared {
		c.bad = true
		return -1
	}
	i := len(c.classes)
	class := javaClass{flags: javastream.SCSerializable, super: -1}
	if t == javastream.TCProxyClassDesc {
		c.classes = append(c.classes, class)
		c.shared = append(c.shared, shared{class: i, isClass: true})
		for n := c.u32(); n > 0 && !c.bad; n-- {
			c.take(c.u16())
		}
	} else {
		class.name = c.take(c.u16())
		class.kind = kindOf(class.name)
		c.take(8) // serialVersionUID
		c.classes = append(c.classes, class)
		c.shared = append(c.shared, shared{class: i, isClass: true})
		class.flags = c.u8()
		class.count = c.u16()
		class.fields = c.pos
		for n := class.count; n > 0 && !c.bad; n-- {
			c.newField()
		}
	}
	c.javaAnnotation(skip, javaObject)
	class.super = c.classDescOrNull()
	c.classes[i] = class
	return i
}

// classDescOrNull is classDesc, of a class's ancestor.
func (c *cursor) classDescOrNull() int {
	if c.bad {
		return -1
	}
	return c.classDesc()
}

// newField reads the description of a field.
func (c *cursor) newField() {
	kind := c.u8()
	c.take(c.u16())
	if kind == 'L' || kind == '[' {
		c.value(skip) // the type's name
	}
}

// field reads the description of a field that was read before. It returns the
// field's kind (B C D F I J S Z, or L and [ for references), its name, and where the next
// description begins.
func (c *cursor) field(pos int) (kind byte, name []byte, next int) {
	d := cursor{data: c.data, pos: pos}
	kind = d.u8()
	name = d.take(d.u16())
	if kind == 'L' || kind == '[' {
		switch d.u8() {
		case javastream.TCReference:
			d.take(4)
		case javastream.TCString:
			d.take(d.u16())
		default:
			d.bad = true
		}
	}
	c.bad = c.bad || d.bad
	return kind, name, d.pos
}

// javaInstance reads an object: the fields of its class and ancestors, eldest first,
// and what each wrote by itself.
func (c *cursor) javaInstance(at int) bool {
	i := c.classDesc()
	c.share(nil)
	if c.bad || i < 0 {
		c.bad = true
		return false
	}
	var line [maxDepth]int
	n, fields := 0, 0
	for ; i >= 0 && n < len(line); i = c.classes[i].super {
		line[n] = i
		n++
		fields += c.classes[i].count
	}
	if i >= 0 {
		c.bad = true
		return false
	}
	kind := c.classes[line[0]].kind
	switch {
	case kind == javaUUID && n == 1 && c.isUUID(c.classes[line[0]]):
		return c.uuid(at)
	case kind == javaOther, kind == javaUUID:
		at = skip
	case kind == javaBox && fields != 1:
		kind = javaObject
	}
	for n--; n >= 0 && !c.bad; n-- {
		if c.classData(at, c.classes[line[n]], kind) {
			return true
		}
	}
	return false
}

// isUUID reports whether the fields of a class are those of a UUID.
func (c *cursor) isUUID(class javaClass) bool {
	if class.flags != javastream.SCSerializable || class.count != 2 {
		return false
	}
	first, least, next := c.field(class.fields)
	second, most, _ := c.field(next)
	return first == 'J' && string(least) == "leastSigBits" && second == 'J' && string(most) == "mostSigBits"
}

// uuid reads the fields of a UUID.
func (c *cursor) uuid(at int) bool {
	least, most := c.u64(), c.u64()
	if c.bad || at != len(c.steps) {
		return false
	}
	all := binary.BigEndian.AppendUint64(make([]byte, 0, 16), most)
	all = binary.BigEndian.AppendUint64(all, least)
	c.id = c.scratch.digits[:0]
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			c.id = append(c.id, '-')
		}
		c.id = hex.AppendEncode(c.id, all[:n])
		all = all[n:]
	}
	c.copied = true
	return true
}

// classData reads what one class of an object's line wrote.
func (c *cursor) classData(at int, class javaClass, kind javaKind) bool {
	if class.flags&javastream.SCSerializable == 0 {
		if class.flags&javastream.SCExternalizable != 0 && class.flags&javastream.SCBlockData != 0 {
			c.javaAnnotation(skip, javaObject)
		} else if class.flags&javastream.SCExternalizable != 0 {
			c.bad = true // the length of its data is known to its class only
		}
		return false
	}
	pos := class.fields
	for n := class.count; n > 0 && !c.bad; n-- {
		var fieldKind byte
		var name []byte
		fieldKind, name, pos = c.field(pos)
		if c.fieldValue(at, fieldKind, name, kind) {
			return true
		}
	}
	return class.flags&javastream.SCWriteMethod != 0 && c.javaAnnotation(at, kind)
}

// fieldValue reads the value of a field of an object that is shown as kind says.
func (c *cursor) fieldValue(at int, fieldKind byte, name []byte, kind javaKind) bool {
	if fieldKind == 'L' || fieldKind == '[' {
		if kind != javaObject {
			return c.value(skip)
		}
		return c.member(at, name)
	}
	n, integer := c.primitive(fieldKind)
	switch {
	case !integer || at < 0 || c.bad:
		return false
	case kind == javaBox:
		return c.number(at, n)
	}
	return kind == javaObject && c.leadsTo(at, name) && c.number(len(c.steps), n)
}

// leadsTo reports whether the last step of the path, from at on, is to a member with
// a name.
func (c *cursor) leadsTo(at int, name []byte) bool {
	if at < len(c.steps) && c.steps[at].kind == stepDeep {
		at++
	}
	return at == len(c.steps)-1 && c.steps[at].names(name)
}

// primitive reads a value of a primitive type and reports whether that is an integer.
func (c *cursor) primitive(kind byte) (n int64, integer bool) {
	switch kind {
	case 'B':
		return int64(int8(c.u8())), true
	case 'S':
		return int64(int16(c.u16())), true
	case 'I':
		return int64(int32(c.u32())), true
	case 'J':
		return int64(c.u64()), true
	case 'Z':
		c.u8()
	case 'C':
		c.u16()
	case 'F':
		c.u32()
	case 'D':
		c.u64()
	default:
		c.bad = true
	}
	return 0, false
}

// javaAnnotation reads what a class wrote by itself, up to its end mark.
func (c *cursor) javaAnnotation(at int, kind javaKind) bool {
	for n := int64(0); !c.bad; {
		switch {
		case c.pos >= len(c.data):
			c.bad = true
		case c.data[c.pos] == javastream.TCEndBlockData:
			c.pos++
			return false
		case kind != javaList && kind != javaMap || c.atBlock():
			c.value(skip)
		case kind == javaList:
			if c.element(at, n) {
				return true
			}
			n++
		default:
			if c.javaPair(at, kind) {
				return true
			}
		}
	}
	return false
}

// atBlock reports whether block data follows.
func (c *cursor) atBlock() bool {
	return c.more() && (c.data[c.pos] == javastream.TCBlockData || c.data[c.pos] == javastream.TCBlockDataLong)
}

// javaPair reads a key and its value; block data between them is no part of a map.
// Keys that are not text lead nowhere.
func (c *cursor) javaPair(at int, kind javaKind) bool {
	if !c.more() {
		c.bad = true
		return false
	}
	var name []byte
	switch c.data[c.pos] {
	case javastream.TCString:
		c.pos++
		name = c.javaText(c.u16())
	case javastream.TCReference:
		c.pos++
		name = c.javaReference().text
	default:
		c.value(skip)
	}
	for kind == javaMap && c.atBlock() {
		c.value(skip)
	}
	if !c.more() || c.data[c.pos] == javastream.TCEndBlockData {
		return false
	}
	if name == nil {
		return c.value(skip)
	}
	return c.member(at, name)
}

func (c *cursor) javaArray(at int) bool {
	i := c.classDesc()
	c.share(nil)
	n := c.u32()
	if c.bad || i < 0 || len(c.classes[i].name) < 2 || n > MaxInput {
		c.bad = true
		return false
	}
	kind := c.classes[i].name[1]
	if kind == 'B' {
		bytes := c.take(n)
		c.shared[len(c.shared)-1].text = bytes
		return c.text(at, bytes)
	}
	for i := 0; i < n && !c.bad; i++ {
		if kind == 'L' || kind == '[' {
			if c.element(at, int64(i)) {
				return true
			}
			continue
		}
		number, integer := c.primitive(kind)
		if integer && !c.bad && at == len(c.steps)-1 && c.steps[at].counts(int64(i)) {
			return c.number(len(c.steps), number)
		}
	}
	return false
}
