package owner

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// json reads a value of JSON.
func (c *cursor) json(at int) bool {
	c.space()
	if at == skip {
		c.skipJSON()
		return false
	}
	if !c.more() {
		c.bad = true
		return false
	}
	switch b := c.data[c.pos]; {
	case b == '{':
		return c.jsonObject(at)
	case b == '[':
		return c.jsonList(at)
	case b == '"':
		text, copied := c.jsonText()
		c.copied = copied
		return c.text(at, text)
	case b == '-' || b >= '0' && b <= '9':
		return c.jsonNumber(at)
	}
	c.word()
	return false
}

func (c *cursor) jsonObject(at int) bool {
	c.pos++
	for first := true; c.separated('}', first); first = false {
		if c.data[c.pos] != '"' {
			c.bad = true
			return false
		}
		name, _ := c.jsonText()
		c.space()
		c.expect(':')
		if c.member(at, name) {
			return true
		}
	}
	return false
}

func (c *cursor) jsonList(at int) bool {
	c.pos++
	for n := int64(0); c.separated(']', n == 0); n++ {
		if c.element(at, n) {
			return true
		}
	}
	return false
}

// separated passes the comma before another member and reports whether there is
// one; it passes the end if not.
func (c *cursor) separated(end byte, first bool) bool {
	c.space()
	if c.more() && c.data[c.pos] == end {
		c.pos++
		return false
	}
	if !first {
		c.expect(',')
		c.space()
	}
	if !c.more() {
		c.bad = true
	}
	return !c.bad
}

func (c *cursor) space() {
	for c.pos < len(c.data) {
		switch c.data[c.pos] {
		case ' ', '\t', '\n', '\r':
			c.pos++
		default:
			return
		}
	}
}

// word passes true, false, null or a number.
func (c *cursor) word() []byte {
	begin := c.pos
	for c.pos < len(c.data) {
		switch b := c.data[c.pos]; {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b == '-', b == '+', b == '.', b == 'E':
			c.pos++
			continue
		}
		break
	}
	if c.pos == begin {
		c.bad = true
	}
	return c.data[begin:c.pos]
}

func (c *cursor) jsonNumber(at int) bool {
	number := c.word()
	if at != len(c.steps) || bytes.ContainsAny(number, ".eE+") || c.pos == len(c.data) {
		return false
	}
	return c.text(at, number)
}

// skipJSON passes a value without looking at its members.
func (c *cursor) skipJSON() {
	for open := 0; c.pos < len(c.data); {
		switch b := c.data[c.pos]; b {
		case '"':
			c.skipText()
		case '{', '[':
			open++
			c.pos++
			continue
		case '}', ']':
			open--
			c.pos++
		case ',', ':', ' ', '\t', '\n', '\r':
			c.pos++
			continue
		default:
			c.word()
		}
		if open <= 0 || c.bad {
			c.bad = c.bad || open < 0
			return
		}
	}
	c.bad = true
}

// skipText passes a text and reports whether it has escapes.
func (c *cursor) skipText() (escapes bool) {
	c.pos++
	for {
		c.pos += plainLength(c.data[min(c.pos, len(c.data)):])
		switch {
		case c.pos >= len(c.data):
			c.bad = true
			return escapes
		case c.data[c.pos] == '"':
			c.pos++
			return escapes
		}
		escapes = true
		c.pos += 2
	}
}

// plainLength returns how many bytes stand before the first " or \, eight at a time.
func plainLength(text []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(text); n += 8 {
		word := binary.LittleEndian.Uint64(text[n:])
		quote, escape := word^ones*'"', word^ones*'\\'
		if found := ((quote-ones)&^quote | (escape-ones)&^escape) & highs; found != 0 {
			return n + bits.TrailingZeros64(found)/8
		}
	}
	for n < len(text) && text[n] != '"' && text[n] != '\\' {
		n++
	}
	return n
}

// jsonText passes a text and returns what it says, and whether that is a copy.
func (c *cursor) jsonText() (text []byte, copied bool) {
	begin := c.pos + 1
	escapes := c.skipText()
	if c.bad {
		return nil, false
	}
	raw := c.data[begin : c.pos-1]
	if !escapes {
		return raw, false
	}
	return c.unescape(raw), true
}

// unescape returns a text of JSON without its escapes, nil after an error.
func (c *cursor) unescape(raw []byte) []byte {
	begin := len(c.escaped)
	out := c.escaped
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			out = append(out, raw...)
			break
		}
		out = append(out, raw[:i]...)
		var n int
		if out, n = appendUnescaped(out, raw[i:]); n == 0 {
			c.bad = true
			return nil
		}
		raw = raw[i+n:]
	}
	c.escaped = out
	return out[begin:]
}

// appendUnescaped appends what the escape that text begins with stands for, and
// returns its length; 0 if it is none.
func appendUnescaped(dst, text []byte) (out []byte, n int) {
	if len(text) < 2 {
		return dst, 0
	}
	switch b := text[1]; b {
	case '"', '\\', '/':
		return append(dst, b), 2
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'u':
		return appendUnicode(dst, text)
	}
	return dst, 0
}

func appendUnicode(dst, text []byte) (out []byte, n int) {
	r, ok := hexRune(text)
	if !ok {
		return dst, 0
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(dst, r), 6
	}
	if low, ok := hexRune(text[6:]); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return utf8.AppendRune(dst, pair), 12
		}
	}
	return utf8.AppendRune(dst, utf8.RuneError), 6
}

// hexRune reads \uXXXX.
func hexRune(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n := rune(0)
	for _, b := range text[2:6] {
		switch {
		case b >= '0' && b <= '9':
			n = n<<4 | rune(b-'0')
		case b >= 'a' && b <= 'f':
			n = n<<4 | rune(b-'a'+10)
		case b >= 'A' && b <= 'F':
			n = n<<4 | rune(b-'A'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// canonical reports whether digits are as an integer of at most 18 digits is written in
// decimal, so that they are the id as they stand.
func canonical(digits []byte) bool {
	if len(digits) > 1 && digits[0] == '-' {
		digits = digits[1:]
		if digits[0] == '0' {
			return false
		}
	}
	if len(digits) == 0 || len(digits) > 18 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, b := range digits {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// parseInt reads a decimal number of at most 19 digits.
func parseInt(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 20 {
		return 0, false
	}
	if len(text) < 10 && text[0] >= '0' {
		for _, b := range text {
			if b < '0' || b > '9' {
				return 0, false
			}
			n = n*10 + int64(b-'0')
		}
		return n, true
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}
