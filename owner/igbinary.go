package owner

// The type bytes of igbinary, from its header file. Of each three, the second and
// third have a number of two and four bytes instead of one.
const (
	igNull      = 0x00
	igRef8      = 0x01 // an array seen before
	igFalse     = 0x04
	igTrue      = 0x05
	igLong8p    = 0x06 // and 8n, 16p, 16n, 32p, 32n
	igDouble    = 0x0c
	igEmpty     = 0x0d
	igStringID8 = 0x0e // a string seen before
	igString8   = 0x11
	igArray8    = 0x14
	igObject8   = 0x17 // with the class's name
	igObjectID8 = 0x1a // with the number of a string
	igSer8      = 0x1d // the data of an object that serializes itself
	igLong64p   = 0x20
	igLong64n   = 0x21
	igObjRef8   = 0x22 // an object seen before
	igReference = 0x25 // the next value is shared
	igString64  = 0x26
	igEnumCase  = 0x27
)

func (c *cursor) igRoot() bool {
	c.pos = 4
	return c.value(0)
}

// igbinary reads a value of PHP's igbinary.
func (c *cursor) igbinary(at int) bool {
	t := c.u8()
	switch {
	case c.bad, t == igNull, t == igFalse, t == igTrue:
	case t == igDouble:
		c.take(8)
	case t >= igLong8p && t < igDouble, t == igLong64p, t == igLong64n:
		n, ok := c.igInteger(t)
		return ok && at != skip && c.number(at, n)
	case t >= igRef8 && t < igFalse:
		c.sized(t - igRef8)
	case t >= igObjRef8 && t < igReference:
		c.sized(t - igObjRef8)
	case t >= igArray8 && t < igObject8:
		return c.igMembers(at, c.sized(t-igArray8), false)
	case t >= igObject8 && t < igObjectID8:
		c.newText(c.sized(t - igObject8))
		return c.igObject(at)
	case t >= igObjectID8 && t < igSer8:
		c.sized(t - igObjectID8)
		return c.igObject(at)
	case t == igReference:
		return c.value(at)
	default:
		return c.text(at, c.igText(t))
	}
	return false
}

// igText reads a text behind its type byte.
func (c *cursor) igText(t byte) []byte {
	switch {
	case t == igEmpty:
		return nil
	case t >= igStringID8 && t < igString8:
		if i := c.sized(t - igStringID8); i < len(c.texts) {
			return c.texts[i]
		}
	case t >= igString8 && t < igArray8:
		return c.newText(c.sized(t - igString8))
	case t == igString64:
		return c.newText(int(min(c.u64(), MaxInput+1)))
	}
	c.bad = true
	return nil
}

// newText reads a text of n bytes, which later ones refer to.
func (c *cursor) newText(n int) []byte {
	s := c.take(n)
	if len(c.texts) == maxShared {
		c.bad = true
	} else {
		c.texts = append(c.texts, s)
	}
	return s
}

// igInteger reads an integer behind its type byte. Whether ok is false for one beyond
// an int64.
func (c *cursor) igInteger(t byte) (n int64, ok bool) {
	negative := (t-igLong8p)%2 == 1
	var u uint64
	if t == igLong64p || t == igLong64n {
		u, negative = c.u64(), t == igLong64n
	} else {
		u = uint64(c.sized((t - igLong8p) / 2))
	}
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}

// sized reads a number of 1, 2 or 4 bytes for the width 0, 1 or 2.
func (c *cursor) sized(width byte) int {
	switch width {
	case 0:
		return int(c.u8())
	case 1:
		return c.u16()
	}
	return c.u32()
}

func (c *cursor) igObject(at int) bool {
	switch t := c.u8(); {
	case t >= igArray8 && t < igObject8:
		return c.igMembers(at, c.sized(t-igArray8), true)
	case t >= igSer8 && t < igLong64p:
		c.take(c.sized(t - igSer8))
	case t == igEnumCase:
		c.igText(c.u8())
	default:
		c.bad = true
	}
	return false
}

func (c *cursor) igMembers(at, n int, properties bool) bool {
	for ; n > 0 && !c.bad; n-- {
		t := c.u8()
		var found bool
		if t >= igLong8p && t < igDouble || t == igLong64p || t == igLong64n {
			key, _ := c.igInteger(t)
			found = c.element(at, key)
		} else {
			name := c.igText(t)
			if properties {
				name = phpProperty(name)
			}
			found = c.member(at, name)
		}
		if found {
			return true
		}
	}
	return false
}
