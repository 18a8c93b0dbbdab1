package decode

import (
	"bytes"
	"strconv"
	"strings"
)

// decodePHP reads what PHP's serialize() writes.
func decodePHP(b *budget, data []byte, _ Hints) (any, error) {
	p := phpReader{reader: newReader(b, data)}
	v := p.value()
	return v, p.finish()
}

// decodePHPSession reads what PHP's default session handler writes: names and
// serialized values with a bar between them.
func decodePHPSession(b *budget, data []byte, _ Hints) (any, error) {
	p := phpReader{reader: newReader(b, data)}
	session := newRecord(&p.meter)
	for p.more() {
		name := p.until('|')
		if bytes.ContainsAny(name, ";{}\"") {
			return nil, errNotThis
		}
		if undefined, ok := bytes.CutPrefix(name, []byte("!")); ok {
			session.add(p.meter.text(undefined), nil)
			continue
		}
		session.add(p.meter.text(name), p.value())
	}
	return session, p.finishSession(session)
}

// decodePHPBinary reads what PHP's session handler php_binary writes: like
// php, but each name has its length in a byte before it.
func decodePHPBinary(b *budget, data []byte, _ Hints) (any, error) {
	p := phpReader{reader: newReader(b, data)}
	session := newRecord(&p.meter)
	for p.more() {
		length := p.u8()
		name := p.string(int(length &^ 0x80))
		if length&0x80 != 0 { // registered but not set
			session.add(name, nil)
			continue
		}
		session.add(name, p.value())
	}
	return session, p.finishSession(session)
}

// phpReader parses PHP's serialization format.
type phpReader struct {
	reader
	slots []any // values by the number that references to them use
}

// finishSession is finish for a session, which has at least one variable.
func (p *phpReader) finishSession(session *object) error {
	if p.err == nil && len(session.members) == 0 {
		return errNotThis
	}
	return p.finish()
}

// value reads one value, which gets a slot.
func (p *phpReader) value() any {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	kind := p.u8()
	if kind == 'N' {
		p.expect(";")
		return p.slot(nil)
	}
	p.expect(":")
	switch kind {
	case 'b':
		return p.slot(string(p.until(';')) == "1")
	case 'i':
		return p.slot(p.integer(';'))
	case 'd':
		return p.slot(p.double())
	case 's', 'S':
		return p.slot(p.quotedOrEscaped(kind == 'S'))
	case 'a':
		return p.array()
	case 'O':
		return p.object()
	case 'C':
		return p.custom()
	case 'E':
		return p.enum()
	case 'r':
		return p.slot(p.reference())
	case 'R':
		return p.reference()
	}
	p.fail(errNotThis)
	return nil
}

func (p *phpReader) slot(v any) any {
	p.slots = push(&p.meter, p.slots, v)
	return v
}

// maxInteger is more than the digits that 64 bits take.
const maxInteger = 32

// integer reads a decimal number up to sep.
func (p *phpReader) integer(sep byte) int64 {
	digits := p.until(sep)
	if p.err != nil || len(digits) > maxInteger {
		p.fail(errNotThis)
		return 0
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		p.fail(errNotThis)
	}
	return n
}

// length reads a number of bytes or elements, of which there must be at least
// that many bytes left.
func (p *phpReader) length() int {
	n := p.integer(':')
	if n < 0 || n > int64(len(p.data)) {
		p.fail(errShort)
		return 0
	}
	return int(n)
}

func (p *phpReader) double() float64 { return p.float(p.until(';')) }

// quoted reads a string with its length: 3:"abc".
func (p *phpReader) quoted() string {
	n := p.length()
	p.expect(`"`)
	s := p.string(n)
	p.expect(`"`)
	return s
}

func (p *phpReader) quotedOrEscaped(escaped bool) string {
	if escaped {
		return p.escaped()
	}
	s := p.quoted()
	p.expect(";")
	return s
}

// escaped reads a string in which \xx stands for a byte.
func (p *phpReader) escaped() string {
	n := p.length()
	p.expect(`"`)
	out := p.bytes(n)
	for len(out) < n && p.err == nil {
		b := p.u8()
		if b == '\\' {
			code, err := strconv.ParseUint(string(p.take(2)), 16, 8)
			if err != nil {
				p.fail(errNotThis)
			}
			b = byte(code)
		}
		out = append(out, b)
	}
	p.expect(`";`)
	return p.meter.text(out)
}

func (p *phpReader) array() any {
	n := p.length()
	m := newMapping(&p.meter, nil)
	m.php = true
	p.slot(m)
	m.pairs = p.pairs(n)
	return m
}

// pairs reads n keys and values between braces.
func (p *phpReader) pairs(n int) []any {
	var pairs []any
	p.expect("{")
	for range n {
		if p.err != nil {
			return nil
		}
		pairs = push(&p.meter, pairs, p.key(), p.value())
	}
	p.expect("}")
	return pairs
}

// key reads an array key, which gets no slot.
func (p *phpReader) key() any {
	kind := p.u8()
	p.expect(":")
	switch kind {
	case 'i':
		return p.integer(';')
	case 's', 'S':
		return p.quotedOrEscaped(kind == 'S')
	}
	p.fail(errNotThis)
	return nil
}

func (p *phpReader) object() any {
	o := newObject(&p.meter, p.quoted())
	p.slot(o)
	p.expect(":")
	pairs := p.pairs(p.length())
	for i := 0; i+1 < len(pairs) && p.err == nil; i += 2 {
		name := p.keyText(pairs[i])
		o.add(p.phpProperty(name), pairs[i+1])
	}
	return o
}

// phpProperty shows a property's visibility as print_r does: PHP writes
// protected ones as \0*\0name and private ones as \0Class\0name.
func (m *meter) phpProperty(name string) string {
	if !m.spend(0, len(name)) {
		return ""
	}
	class, property, ok := strings.Cut(strings.TrimPrefix(name, "\x00"), "\x00")
	switch {
	case !ok || name[0] != 0:
		return name
	case class == "*":
		return m.join(property, ":protected")
	}
	return m.join(property, ":", class, ":private")
}

// custom reads an object that serializes itself.
func (p *phpReader) custom() any {
	o := newObject(&p.meter, p.quoted())
	p.slot(o)
	p.expect(":")
	n := p.length()
	p.expect("{")
	o.add("@data", p.string(n))
	p.expect("}")
	return o
}

// enum reads an enumeration case, "Class:Case".
func (p *phpReader) enum() any {
	class, name, _ := strings.Cut(p.quoted(), ":")
	p.expect(";")
	o := newObject(&p.meter, class)
	o.add("@case", name)
	return p.slot(o)
}

func (p *phpReader) reference() any {
	n := p.integer(';')
	if n < 1 || n > int64(len(p.slots)) {
		p.fail(errNotThis)
		return nil
	}
	return p.slots[n-1]
}
