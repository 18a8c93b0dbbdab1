package owner

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// skip stands for the steps of a path where a value is passed over.
const skip = -1

// cursor follows the steps of a path through a value in one format. Its functions
// that read a value, with the number of steps taken before it or skip, report
// whether it led to an id.
type cursor struct {
	*scratch
	data   []byte
	pos    int
	depth  int
	steps  []step
	format format

	bad    bool // the value is not what it should be, or ends too early
	id     []byte
	copied bool // id is not a part of data
}

// root reads the whole value.
func (c *cursor) root() bool {
	switch c.format {
	case formatPHPSession:
		return c.phpSession()
	case formatPHPBinary:
		return c.phpBinary()
	case formatIgbinary:
		return c.igRoot()
	case formatPickle:
		return c.pickle()
	case formatMarshal:
		return c.marshalRoot()
	case formatJava:
		return c.javaRoot()
	case formatMSM:
		return c.msm()
	case formatMSMAttributes:
		return c.msmAttributes()
	}
	return c.value(0)
}

// value reads a value in the formats in which values follow upon each other.
func (c *cursor) value(at int) (found bool) {
	c.depth++
	c.scratch.steps--
	if c.depth > maxDepth || c.scratch.steps < 0 {
		c.bad = true
	}
	if c.bad {
		return false
	}
	switch c.format {
	case formatJSON:
		found = c.json(at)
	case formatIgbinary:
		found = c.igbinary(at)
	case formatMessagePack:
		found = c.msgpack(at)
	case formatMarshal:
		found = c.marshal(at)
	case formatJava:
		found = c.java(at)
	default:
		found = c.php(at)
	}
	c.depth--
	return found
}

// member reads the value of the member with a name.
func (c *cursor) member(at int, name []byte) bool {
	if at < 0 || at == len(c.steps) {
		return c.value(skip)
	}
	st := &c.steps[at]
	if st.kind == stepDeep {
		return c.deep(at, c.steps[at+1].names(name))
	}
	if st.names(name) {
		return c.value(at + 1)
	}
	return c.value(skip)
}

// element reads the value of the member with a number.
func (c *cursor) element(at int, n int64) bool {
	if at < 0 || at == len(c.steps) {
		return c.value(skip)
	}
	st := &c.steps[at]
	if st.kind == stepDeep {
		return c.deep(at, c.steps[at+1].counts(n))
	}
	if st.counts(n) {
		return c.value(at + 1)
	}
	return c.value(skip)
}

// deep reads a member behind **: as the one that the next step leads to, if so, and
// then as one that may have it inside.
func (c *cursor) deep(at int, matches bool) bool {
	if matches {
		before, known := *c, c.mark()
		if c.value(at + 2) {
			return true
		}
		if c.bad {
			return false
		}
		*c = before
		c.forget(known)
	}
	return c.value(at)
}

// text is a text at the end of a path, or in which its steps go on.
func (c *cursor) text(at int, text []byte) bool {
	if at < 0 || len(text) == 0 {
		return false
	}
	if at == len(c.steps) {
		if len(text) > MaxID {
			return false
		}
		c.id = text
		return true
	}
	return c.steps[at].kind == stepNested && c.nested(at+1, text)
}

// nested follows the rest of the path through a value inside a text.
func (c *cursor) nested(at int, text []byte) bool {
	f := recognise(text)
	if f == unknown || c.nesting == maxNesting {
		return false
	}
	return c.enter(f, at, text)
}

// enter follows the path from a step on through a value in a format of its own.
func (c *cursor) enter(f format, at int, data []byte) bool {
	texts, shared, classes := c.texts, c.shared, c.classes
	c.texts, c.shared, c.classes = texts[len(texts):], shared[len(shared):], classes[len(classes):]
	c.nesting++
	inner := cursor{scratch: c.scratch, data: data, steps: c.steps[at:], format: f}
	found := inner.root()
	c.nesting--
	clear(c.texts)
	clear(c.shared)
	clear(c.classes)
	c.texts, c.shared, c.classes = texts, shared, classes
	if found {
		c.id, c.copied = inner.id, c.copied || inner.copied
	}
	return found
}

// number is an integer at the end of a path.
func (c *cursor) number(at int, n int64) bool {
	if at != len(c.steps) {
		return false
	}
	c.id = strconv.AppendInt(c.scratch.digits[:0], n, 10)
	c.copied = true
	return true
}

// unsigned is number for what may be beyond an int64.
func (c *cursor) unsigned(at int, n uint64) bool {
	if n <= math.MaxInt64 {
		return c.number(at, int64(n))
	}
	if at != len(c.steps) {
		return false
	}
	c.id = strconv.AppendUint(c.scratch.digits[:0], n, 10)
	c.copied = true
	return true
}

// more reports whether anything is left to read.
func (c *cursor) more() bool { return !c.bad && c.pos < len(c.data) }

// take passes n bytes and returns them.
func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.data)-c.pos {
		c.bad = true
		return nil
	}
	b := c.data[c.pos : c.pos+n]
	c.pos += n
	return b
}

// until passes the bytes before the next end, which it returns, and end.
func (c *cursor) until(end byte) []byte {
	i := bytes.IndexByte(c.data[c.pos:], end)
	if c.bad || i < 0 {
		c.bad = true
		return nil
	}
	b := c.data[c.pos : c.pos+i]
	c.pos += i + 1
	return b
}

// expect passes one byte that must be b.
func (c *cursor) expect(b byte) {
	if c.bad || c.pos >= len(c.data) || c.data[c.pos] != b {
		c.bad = true
		return
	}
	c.pos++
}

func (c *cursor) u8() byte {
	if c.bad || c.pos >= len(c.data) {
		c.bad = true
		return 0
	}
	c.pos++
	return c.data[c.pos-1]
}

func (c *cursor) u16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) u32() int {
	if b := c.take(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}
