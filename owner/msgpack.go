package owner

// msgpack reads a value of MessagePack (github.com/msgpack/msgpack, spec.md).
func (c *cursor) msgpack(at int) bool {
	t := c.u8()
	switch {
	case c.bad:
		return false
	case t <= 0x7f:
		return c.number(at, int64(t))
	case t <= 0x8f:
		return c.msgpackMap(at, int(t&0x0f))
	case t <= 0x9f:
		return c.msgpackList(at, int(t&0x0f))
	case t <= 0xbf:
		return c.text(at, c.take(int(t&0x1f)))
	case t >= 0xe0:
		return c.number(at, int64(int8(t)))
	}
	switch t {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
	case 0xc4, 0xd9, 0xc5, 0xda, 0xc6, 0xdb:
		return c.text(at, c.msgpackText(t))
	case 0xc7, 0xc8, 0xc9: // ext 8, 16, 32
		c.take(c.sized(t-0xc7) + 1)
	case 0xca, 0xcb: // float 32, 64
		c.take(4 << (t - 0xca))
	case 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3:
		return c.msgpackInteger(at, t)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext 1 to 16
		c.take(1<<(t-0xd4) + 1)
	case 0xdc, 0xdd:
		return c.msgpackList(at, c.sized(t-0xdc+1))
	case 0xde, 0xdf:
		return c.msgpackMap(at, c.sized(t-0xde+1))
	default:
		c.bad = true
	}
	return false
}

// msgpackText reads a text or bytes behind the type byte that says how long their
// length is.
func (c *cursor) msgpackText(t byte) []byte {
	if t >= 0xd9 {
		return c.take(c.sized(t - 0xd9))
	}
	return c.take(c.sized(t - 0xc4))
}

func (c *cursor) msgpackInteger(at int, t byte) bool {
	n := c.take(1 << ((t - 0xcc) & 3))
	if c.bad || at < 0 {
		return false
	}
	u := uint64(0)
	for _, b := range n {
		u = u<<8 | uint64(b)
	}
	if t < 0xd0 {
		return c.unsigned(at, u)
	}
	unused := 64 - 8*len(n)
	return c.number(at, int64(u<<unused)>>unused)
}

func (c *cursor) msgpackList(at, n int) bool {
	for i := range n {
		if c.element(at, int64(i)) {
			return true
		}
		if c.bad {
			break
		}
	}
	return false
}

func (c *cursor) msgpackMap(at, n int) bool {
	for ; n > 0 && !c.bad; n-- {
		if c.msgpackMember(at) {
			return true
		}
	}
	return false
}

// msgpackMember reads a key and its value. Keys that are neither text nor integer
// lead nowhere.
func (c *cursor) msgpackMember(at int) bool {
	if at < 0 {
		c.value(skip)
		return c.value(skip)
	}
	if !c.more() {
		c.bad = true
		return false
	}
	key := cursor{scratch: c.scratch, data: c.data, pos: c.pos, depth: c.depth, format: c.format}
	isInteger := c.data[c.pos] <= 0x7f || c.data[c.pos] >= 0xe0 || c.data[c.pos] >= 0xcc && c.data[c.pos] <= 0xd3
	isKey := key.value(0) // the path of no steps leads to the key itself
	c.pos, c.bad = key.pos, key.bad
	if !isKey {
		return c.member(skip, nil)
	}
	if isInteger {
		if n, ok := parseInt(key.id); ok {
			return c.element(at, n)
		}
	}
	return c.member(at, key.id)
}
