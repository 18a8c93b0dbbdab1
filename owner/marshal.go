package owner

func (c *cursor) marshalRoot() bool {
	c.pos = 2
	return c.value(0)
}

// marshal reads a value of Ruby's Marshal, format 4.8 (Ruby's doc/marshal.rdoc).
func (c *cursor) marshal(at int) bool {
	switch t := c.u8(); t {
	case '0', 'T', 'F':
		return false
	case 'i':
		n := c.fixnum()
		return !c.bad && c.number(at, n)
	case ':', ';':
		return c.text(at, c.symbolOf(t))
	case '@':
		return c.text(at, c.link())
	case 'I':
		if c.value(at) {
			return true
		}
		c.variables(skip)
		return false
	case 'e', 'C': // extended by a module, of a subclass of String, Hash, ...
		c.symbol()
		return c.value(at)
	default:
		return c.marshalObject(at, t)
	}
}

// marshalObject reads a value that links can refer to.
func (c *cursor) marshalObject(at int, t byte) bool {
	switch t {
	case '"':
		return c.text(at, c.marshalText())
	case '[':
		c.share(nil)
		return c.marshalList(at)
	case '{', '}':
		c.share(nil)
		return c.marshalHash(at, t == '}')
	case 'f', 'c', 'm', 'M':
		c.share(nil)
		c.take(c.packedLength())
	case 'l':
		c.share(nil)
		return c.bignum(at)
	case 'o', 'S':
		c.share(nil)
		c.symbol()
		return c.variables(at)
	case 'u':
		c.symbol()
		c.take(c.packedLength())
		c.share(nil)
	case 'U', 'd':
		c.symbol()
		c.share(nil)
		c.value(skip)
	case '/':
		c.share(nil)
		c.take(c.packedLength())
		c.u8()
	default:
		c.bad = true
	}
	return false
}

// share numbers a value; text is nil for one that is none.
func (c *cursor) share(text []byte) {
	if len(c.shared) == maxShared {
		c.bad = true
		return
	}
	c.shared = append(c.shared, shared{text: text})
}

// link returns the text that a link refers to, nil for another value.
func (c *cursor) link() []byte {
	i := c.fixnum()
	if c.bad || i < 0 || i >= int64(len(c.shared)) {
		c.bad = true
		return nil
	}
	return c.shared[i].text
}

// fixnum reads a packed integer.
func (c *cursor) fixnum() int64 {
	b := int64(int8(c.u8()))
	switch {
	case b == 0:
		return 0
	case b > 4:
		return b - 5
	case b < -4:
		return b + 5
	}
	n, size := int64(0), int(b)
	if b < 0 {
		n, size = -1<<(8*-b), int(-b)
	}
	for i, b := range c.take(size) {
		n |= int64(b) << (8 * i)
	}
	return n
}

// packedLength reads a number of bytes or members that the rest could hold.
func (c *cursor) packedLength() int {
	n := c.fixnum()
	if n < 0 || n > int64(len(c.data)) {
		c.bad = true
		return 0
	}
	return int(n)
}

func (c *cursor) symbol() []byte { return c.symbolOf(c.u8()) }

func (c *cursor) symbolOf(t byte) []byte {
	switch t {
	case ':':
		return c.newText(c.packedLength())
	case ';':
		if i := c.fixnum(); i >= 0 && i < int64(len(c.texts)) {
			return c.texts[i]
		}
	case 'I': // with an encoding
		if c.u8() == ':' {
			s := c.newText(c.packedLength())
			c.variables(skip)
			return s
		}
	}
	c.bad = true
	return nil
}

// variables reads the names and values of instance variables or a structure.
func (c *cursor) variables(at int) bool {
	for n := c.packedLength(); n > 0 && !c.bad; n-- {
		if name := c.symbol(); c.member(at, name) {
			return true
		}
	}
	return false
}

func (c *cursor) marshalList(at int) bool {
	n := c.packedLength()
	for i := 0; i < n && !c.bad; i++ {
		if c.element(at, int64(i)) {
			return true
		}
	}
	return false
}

func (c *cursor) marshalHash(at int, withDefault bool) bool {
	for n := c.packedLength(); n > 0 && !c.bad; n-- {
		if c.marshalMember(at) {
			return true
		}
	}
	if withDefault {
		c.value(skip)
	}
	return false
}

// marshalMember reads a key and its value. Keys that are neither text nor a small
// integer lead nowhere.
func (c *cursor) marshalMember(at int) bool {
	switch t := c.u8(); t {
	case 'i':
		n := c.fixnum()
		return c.element(at, n)
	case '"':
		return c.member(at, c.marshalText())
	case ':', ';':
		return c.member(at, c.symbolOf(t))
	case '@':
		return c.member(at, c.link())
	case 'I':
		if c.more() && c.data[c.pos] == '"' {
			c.pos++
			name := c.marshalText()
			c.variables(skip)
			return c.member(at, name)
		}
	}
	c.pos--
	c.value(skip)
	return c.value(skip)
}

func (c *cursor) marshalText() []byte {
	s := c.take(c.packedLength())
	c.share(s)
	return s
}

// bignum reads an integer of more than 30 bits: a sign, and words of two bytes, lowest
// first. One of more than 64 bits is not found.
func (c *cursor) bignum(at int) bool {
	sign := c.u8()
	magnitude := c.take(2 * c.packedLength())
	for len(magnitude) > 8 && magnitude[len(magnitude)-1] == 0 {
		magnitude = magnitude[:len(magnitude)-1]
	}
	if c.bad || at < 0 || len(magnitude) > 8 {
		return false
	}
	n := uint64(0)
	for i, b := range magnitude {
		n |= uint64(b) << (8 * i)
	}
	switch {
	case sign != '-':
		return c.unsigned(at, n)
	case n <= 1<<63:
		return c.number(at, -int64(n))
	}
	return false
}
