package owner

import "bytes"

// phpSession reads what PHP's session handler php writes: names and serialized values
// with a bar between them.
func (c *cursor) phpSession() bool {
	for c.more() {
		name := c.until('|')
		if c.bad || !phpName(name) {
			return false
		}
		if len(name) > 0 && name[0] == '!' {
			continue // registered but not set
		}
		if c.member(0, name) {
			return true
		}
	}
	return false
}

// phpName reports whether name may stand before a bar: has no ; { } or ".
func phpName(name []byte) bool {
	for _, b := range name {
		if b == ';' || b == '"' || b == '{' || b == '}' {
			return false
		}
	}
	return true
}

// phpBinary reads what PHP's session handler php_binary writes: like php, but each
// name has its length in a byte before it.
func (c *cursor) phpBinary() bool {
	for c.more() {
		length := c.u8()
		name := c.take(int(length &^ 0x80))
		if length&0x80 == 0 && c.member(0, name) {
			return true
		}
	}
	return false
}

// php reads a serialized value.
func (c *cursor) php(at int) bool {
	if at == skip {
		c.skipPHP()
		return false
	}
	kind := c.u8()
	if kind == 'N' {
		c.expect(';')
		return false
	}
	c.expect(':')
	switch kind {
	case 'i':
		return c.phpInteger(at)
	case 's':
		s := c.phpQuoted()
		c.expect(';')
		return !c.bad && c.text(at, s)
	case 'b', 'd', 'r', 'R':
		c.until(';')
		return false
	case 'a':
		return c.phpMembers(at)
	case 'O':
		c.phpQuoted()
		c.expect(':')
		return c.phpMembers(at)
	case 'C':
		c.phpQuoted()
		c.expect(':')
		n := c.phpLength()
		c.expect('{')
		c.take(n)
		c.expect('}')
		return false
	case 'E':
		c.phpQuoted()
		c.expect(';')
		return false
	}
	c.bad = true
	return false
}

func (c *cursor) phpInteger(at int) bool {
	digits := c.until(';')
	if at != len(c.steps) || c.bad {
		return false
	}
	if canonical(digits) {
		return c.text(at, digits)
	}
	n, ok := parseInt(digits)
	return ok && c.number(at, n)
}

// skipPHP passes a value without looking at its members or counting them.
func (c *cursor) skipPHP() {
	if c.bad {
		return
	}
	data, pos, open := c.data, c.pos, 0
	for pos+1 < len(data) {
		kind := data[pos]
		switch pos += 2; kind {
		case 's':
			if pos = skipPHPText(data, pos); pos < 0 || pos >= len(data) || data[pos] != ';' {
				c.bad = true
				return
			}
			pos++
		case 'i', 'b', 'd', 'r', 'R':
			for pos < len(data) && data[pos] != ';' {
				pos++
			}
			pos++
		case 'N':
		case 'a', 'O':
			if kind == 'O' {
				if pos = skipPHPText(data, pos); pos < 0 || pos >= len(data) || data[pos] != ':' {
					c.bad = true
					return
				}
				pos++
			}
			if _, pos = phpNumber(data, pos); pos < 0 || pos >= len(data) || data[pos] != '{' {
				c.bad = true
				return
			}
			pos++
			open++
			continue
		case '}':
			pos--
			open--
		case 'C', 'E':
			c.pos = pos - 2
			c.php(len(c.steps))
			if pos = c.pos; c.bad {
				return
			}
		default:
			c.bad = true
			return
		}
		if open <= 0 {
			c.pos = pos
			c.bad = open < 0 || pos > len(data)
			return
		}
		for pos < len(data) && data[pos] == '}' {
			pos++
			if open--; open == 0 {
				c.pos = pos
				return
			}
		}
	}
	c.bad = true
}

// skipPHPText returns where the text with its length at pos ends: behind 3:"abc". It is
// negative if there is none.
func skipPHPText(data []byte, pos int) int {
	n, pos := phpNumber(data, pos)
	if pos < 0 || n+2 > len(data)-pos || data[pos+n+1] != '"' {
		return -1
	}
	return pos + n + 2
}

// phpNumber reads a length at pos and the colon behind it, and returns where they end,
// negative if that is not what stands there. A length has at most seven digits.
func phpNumber(data []byte, pos int) (n, end int) {
	for i := pos; i < len(data) && i-pos < 8; i++ {
		b := data[i]
		if b == ':' && i > pos {
			return n, i + 1
		}
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + int(b-'0')
	}
	return 0, -1
}

// phpLength reads a length and the colon behind it.
func (c *cursor) phpLength() int {
	n, end := phpNumber(c.data, c.pos)
	if end < 0 {
		c.bad = true
		return 0
	}
	c.pos = end
	return n
}

// phpQuoted reads a text with its length: 3:"abc".
func (c *cursor) phpQuoted() []byte {
	n := c.phpLength()
	end := c.pos + n + 1
	if c.bad || end >= len(c.data) || c.data[c.pos] != '"' || c.data[end] != '"' {
		c.bad = true
		return nil
	}
	s := c.data[c.pos+1 : end]
	c.pos = end + 1
	return s
}

// phpMembers reads the members of an array or object, with their number before them.
func (c *cursor) phpMembers(at int) bool {
	n := c.phpLength()
	c.expect('{')
	for ; n > 0 && !c.bad; n-- {
		if c.phpMember(at) {
			return true
		}
	}
	c.expect('}')
	return false
}

func (c *cursor) phpMember(at int) bool {
	switch kind := c.u8(); kind {
	case 's':
		c.expect(':')
		name := c.phpQuoted()
		c.expect(';')
		return !c.bad && c.member(at, phpProperty(name))
	case 'i':
		c.expect(':')
		digits := c.until(';')
		if at < 0 || c.bad {
			return c.member(skip, nil)
		}
		n, ok := parseInt(digits)
		if !ok {
			c.bad = true
			return false
		}
		return c.element(at, n)
	}
	c.bad = true
	return false
}

// phpProperty returns a property's name without its visibility, which PHP writes as
// \0*\0name or \0Class\0name.
func phpProperty(name []byte) []byte {
	if len(name) == 0 || name[0] != 0 {
		return name
	}
	if i := bytes.IndexByte(name[1:], 0); i >= 0 {
		return name[i+2:]
	}
	return name
}
