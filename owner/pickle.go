package owner

import (
	"bytes"
	"encoding/binary"
)

// The opcodes of a pickle that are named here; the others are told by the letters
// that pickletools.py in the Python library has for them.
const (
	opProto           = 0x80
	opNewObj          = 0x81
	opTuple1          = 0x85
	opTuple3          = 0x87
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opLong1           = 0x8a
	opLong4           = 0x8b
	opShortUnicode    = 0x8c
	opUnicode8        = 0x8d
	opBytes8          = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opNewObjEx        = 0x92
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
	opByteArray8      = 0x96
	opReadOnlyBuffer  = 0x98
	maxPickleContents = 1 << 14 // containers
)

// pickleMachine is the machine that a pickle programs. It keeps no contents of
// containers, but what each remaining part of the path leads to in them.
type pickleMachine struct {
	stack    []pickleValue
	marks    []int // heights of the stack
	memo     []pickleValue
	memoized int // places of the memo that are taken

	containers []pickleContainer
	found      []pickleValue // of each container, what each step and those behind it lead to
}

// pickleValue is what the machine knows of a value.
type pickleValue struct {
	kind pickleKind
	step uint8 // of a text: the step behind ~ that goes on in it; 0: none does
	n    int64 // an integer; the place of a text, above its length; the number of a container
}

type pickleKind uint8

const (
	pickleOther pickleKind = iota
	pickleText
	pickleInteger
	pickleNode
	pickleEmpty // a place of the memo that is not taken
)

type pickleContainer struct {
	kind  containerKind
	count int64 // of a list
}

type containerKind uint8

const (
	containerObject containerKind = iota
	containerList
	containerMap
)

func (m *pickleMachine) reset() {
	m.stack, m.marks, m.memo, m.memoized = m.stack[:0], m.marks[:0], m.memo[:0], 0
	m.containers, m.found = m.containers[:0], m.found[:0]
}

// pickle reads a pickle of protocol 0 to 5. Nothing that it would call is called.
func (c *cursor) pickle() bool {
	c.machine.reset()
	for c.more() {
		c.scratch.steps--
		if c.scratch.steps < 0 {
			return false
		}
		op := c.u8()
		if op == '.' {
			return c.pickleResult(c.along(c.pop(), 0))
		}
		c.execute(op)
	}
	return false
}

// pickleResult is what a value, that a path has led to, is.
func (c *cursor) pickleResult(v pickleValue) bool {
	switch v.kind {
	case pickleInteger:
		return c.number(len(c.steps), v.n)
	case pickleText:
		text := c.data[v.n>>32:][:v.n&0xffffffff]
		if v.step > 0 {
			return c.nested(int(v.step), text)
		}
		return c.text(len(c.steps), text)
	}
	return false
}

// along returns what the steps of the path from at on lead to from v on.
func (c *cursor) along(v pickleValue, at int) pickleValue {
	switch {
	case at == len(c.steps):
		if v.kind == pickleText && (v.step != 0 || v.n&0xffffffff == 0) || v.kind == pickleNode {
			break
		}
		return v
	case v.kind == pickleNode:
		return c.machine.found[int(v.n)*len(c.steps)+at]
	case v.kind == pickleText && c.steps[at].kind == stepNested:
		v.step = uint8(at + 1)
		return v
	}
	return pickleValue{}
}

// put notes what value, the member of a container with a key, leads to.
func (c *cursor) put(container, key, value pickleValue) {
	found := c.machine.found[int(container.n)*len(c.steps):][:len(c.steps)]
	for at := range found {
		if found[at].kind != pickleOther {
			continue
		}
		st := &c.steps[at]
		switch {
		case st.kind == stepDeep:
			if c.leads(&c.steps[at+1], key) {
				found[at] = c.along(value, at+2)
			}
			if found[at].kind == pickleOther {
				found[at] = c.along(value, at)
			}
		case st.isMember() && c.leads(st, key):
			found[at] = c.along(value, at+1)
		}
	}
}

// leads reports whether a step leads to the member with a key.
func (c *cursor) leads(st *step, key pickleValue) bool {
	switch key.kind {
	case pickleText:
		return st.names(c.data[key.n>>32:][:key.n&0xffffffff])
	case pickleInteger:
		return st.counts(key.n)
	}
	return false
}

func (c *cursor) push(v pickleValue) { c.machine.stack = append(c.machine.stack, v) }

// pushText pushes the text of the next n bytes.
func (c *cursor) pushText(n uint64) {
	begin := c.pos
	n = min(n, MaxInput+1)
	c.take(int(n))
	c.push(textAt(begin, int(n)))
}

// pushContainer pushes a new container.
func (c *cursor) pushContainer(kind containerKind) (v pickleValue) {
	m := &c.machine
	if len(m.containers) == maxPickleContents {
		c.bad = true
		return pickleValue{}
	}
	v = pickleValue{kind: pickleNode, n: int64(len(m.containers))}
	m.containers = append(m.containers, pickleContainer{kind: kind})
	for range c.steps {
		m.found = append(m.found, pickleValue{})
	}
	c.push(v)
	return v
}

// base is the height of the stack that the latest mark protects.
func (m *pickleMachine) base() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (c *cursor) pop() pickleValue {
	m := &c.machine
	if len(m.stack) <= m.base() {
		c.bad = true
		return pickleValue{}
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v
}

func (c *cursor) top() pickleValue {
	v := c.pop()
	if !c.bad {
		c.push(v)
	}
	return v
}

// popMark takes the latest mark and what is above it, which is valid until the next
// push.
func (c *cursor) popMark() []pickleValue {
	m := &c.machine
	if len(m.marks) == 0 {
		c.bad = true
		return nil
	}
	base := m.base()
	m.marks = m.marks[:len(m.marks)-1]
	items := m.stack[base:]
	m.stack = m.stack[:base]
	return items
}

// little reads a number of n bytes, lowest first.
func (c *cursor) little(n int) uint64 {
	var buf [8]byte
	copy(buf[:], c.take(n))
	return binary.LittleEndian.Uint64(buf[:])
}

// execute carries out one opcode.
func (c *cursor) execute(op byte) {
	switch op {
	case opShortUnicode, 'U', 'C':
		c.pushText(uint64(c.u8()))
	case 'X', 'T', 'B':
		c.pushText(c.little(4))
	case opUnicode8, opBytes8, opByteArray8:
		c.pushText(c.little(8))
	case opMemoize:
		c.memoize(c.machine.memoized)
	case 'q':
		c.memoize(int(c.u8()))
	case 'r':
		c.memoize(int(c.little(4)))
	case 'h':
		c.recall(int(c.u8()))
	case 'j':
		c.recall(int(c.little(4)))
	case opProto:
		c.u8()
	case opFrame:
		c.take(8)
	case opReadOnlyBuffer:
	case '(':
		c.machine.marks = append(c.machine.marks, len(c.machine.stack))
	default:
		if !c.scalarOp(op) && !c.containerOp(op) && !c.objectOp(op) {
			c.bad = true
		}
	}
}

// scalarOp carries out opcodes that push numbers and the like.
func (c *cursor) scalarOp(op byte) bool {
	switch op {
	case 'N', opNewTrue, opNewFalse:
		c.push(pickleValue{})
	case 'J':
		c.push(pickleValue{kind: pickleInteger, n: int64(int32(c.little(4)))})
	case 'K':
		c.push(pickleValue{kind: pickleInteger, n: int64(c.u8())})
	case 'M':
		c.push(pickleValue{kind: pickleInteger, n: int64(c.little(2))})
	case opLong1:
		c.pushLong(int(c.u8()))
	case opLong4:
		c.pushLong(int(int32(c.little(4))))
	case 'G':
		c.take(8)
		c.push(pickleValue{})
	default:
		return c.lineOp(op)
	}
	return true
}

// lineOp carries out the opcodes of protocol 0, in which all is written in lines. A
// text with escapes is not found.
func (c *cursor) lineOp(op byte) bool {
	if bytes.IndexByte([]byte("ILFSVpg"), op) < 0 {
		return false
	}
	begin := c.pos
	line := c.until('\n')
	switch {
	case op == 'p' || op == 'g':
		c.lineMemo(op, line)
	case op == 'V' && isPlain(line):
		c.push(textAt(begin, len(line)))
	case op == 'S' && len(line) >= 2 && isPlain(line):
		c.push(textAt(begin+1, len(line)-2))
	case op == 'I' || op == 'L':
		c.push(lineInteger(line))
	default:
		c.push(pickleValue{})
	}
	return true
}

func (c *cursor) lineMemo(op byte, line []byte) {
	i, ok := parseInt(line)
	switch {
	case !ok || i < 0 || i >= maxShared:
		c.bad = true
	case op == 'p':
		c.memoize(int(i))
	default:
		c.recall(int(i))
	}
}

// lineInteger is the number of INT (00 and 01 are booleans) or LONG.
func lineInteger(line []byte) pickleValue {
	if len(line) > 0 && line[len(line)-1] == 'L' {
		line = line[:len(line)-1]
	}
	n, ok := parseInt(line)
	if !ok || len(line) == 2 && line[0] == '0' {
		return pickleValue{}
	}
	return pickleValue{kind: pickleInteger, n: n}
}

// isPlain reports whether a text is ASCII without escapes.
func isPlain(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 || b == '\\' {
			return false
		}
	}
	return true
}

func textAt(begin, length int) pickleValue {
	return pickleValue{kind: pickleText, n: int64(begin)<<32 | int64(length)}
}

// pushLong pushes an integer of n bytes, lowest first; what does not fit into 64 bits
// is not found.
func (c *cursor) pushLong(n int) {
	b := c.take(n)
	if c.bad || len(b) > 8 {
		c.push(pickleValue{})
		return
	}
	u := uint64(0)
	for i, b := range b {
		u |= uint64(b) << (8 * i)
	}
	unused := 64 - 8*len(b)
	c.push(pickleValue{kind: pickleInteger, n: int64(u<<unused) >> unused})
}

// containerOp carries out opcodes that build lists, tuples, sets and dictionaries.
func (c *cursor) containerOp(op byte) bool {
	switch op {
	case '0':
		c.pop()
	case '1':
		c.popMark()
	case '2':
		c.push(c.top())
	case ']', ')', opEmptySet:
		c.pushContainer(containerList)
	case '}':
		c.pushContainer(containerMap)
	case 'l', 't', opFrozenSet:
		c.pushList(c.popMark())
	case opTuple1, opTuple1 + 1, opTuple3:
		c.tuple(int(op) - opTuple1 + 1)
	case 'a':
		if v := c.pop(); !c.bad {
			c.extend(v)
		}
	case 'e', opAddItems:
		c.extend(c.popMark()...)
	case 'd':
		c.pushMap(c.popMark())
	case 's':
		value, key := c.pop(), c.pop()
		c.update(key, value)
	case 'u':
		c.update(c.popMark()...)
	default:
		return false
	}
	return true
}

// tuple makes a tuple of the n values on the stack.
func (c *cursor) tuple(n int) {
	m := &c.machine
	if len(m.stack)-m.base() < n {
		c.bad = true
		return
	}
	var items [3]pickleValue
	copy(items[:], m.stack[len(m.stack)-n:])
	m.stack = m.stack[:len(m.stack)-n]
	c.pushContainer(containerList)
	c.extend(items[:n]...)
}

// pushList pushes a list of values that were on the stack.
func (c *cursor) pushList(items []pickleValue) {
	if len(items) == 0 {
		c.pushContainer(containerList)
		return
	}
	first := items[0]
	list := c.pushContainer(containerList) // over the first
	if c.bad {
		return
	}
	c.append(list, first)
	for _, v := range items[1:] {
		c.append(list, v)
	}
}

// pushMap pushes a dictionary of keys and values that were on the stack.
func (c *cursor) pushMap(pairs []pickleValue) {
	if len(pairs) < 2 {
		c.pushContainer(containerMap)
		return
	}
	key := pairs[0]
	dict := c.pushContainer(containerMap) // over the first
	if c.bad {
		return
	}
	c.put(dict, key, pairs[1])
	for i := 2; i+1 < len(pairs); i += 2 {
		c.put(dict, pairs[i], pairs[i+1])
	}
}

func (c *cursor) append(list, v pickleValue) {
	count := &c.machine.containers[list.n].count
	c.put(list, pickleValue{kind: pickleInteger, n: *count}, v)
	*count++
}

// extend appends to the list on the stack.
func (c *cursor) extend(items ...pickleValue) {
	list := c.top()
	switch {
	case c.bad || list.kind != pickleNode:
		c.bad = true
	case c.machine.containers[list.n].kind == containerList:
		for _, v := range items {
			c.append(list, v)
		}
	case c.machine.containers[list.n].kind == containerMap:
		c.bad = true
	}
}

// update adds keys and values to the dictionary on the stack.
func (c *cursor) update(pairs ...pickleValue) {
	dict := c.top()
	switch {
	case c.bad || dict.kind != pickleNode:
		c.bad = true
	case c.machine.containers[dict.n].kind == containerMap:
		for i := 0; i+1 < len(pairs); i += 2 {
			c.put(dict, pairs[i], pairs[i+1])
		}
	case c.machine.containers[dict.n].kind == containerList:
		c.bad = true
	}
}

// objectOp carries out opcodes that name classes and functions or use them.
func (c *cursor) objectOp(op byte) bool {
	switch op {
	case 'c':
		c.until('\n')
		c.until('\n')
		c.push(pickleValue{})
	case opStackGlobal:
		c.pop()
		c.pop()
		c.push(pickleValue{})
	case 'R', opNewObj:
		c.pop()
		c.pop()
		c.pushContainer(containerObject)
	case opNewObjEx:
		c.pop()
		c.pop()
		c.pop()
		c.pushContainer(containerObject)
	case 'i':
		c.until('\n')
		c.until('\n')
		c.popMark()
		c.pushContainer(containerObject)
	case 'o':
		c.popMark()
		c.pushContainer(containerObject)
	case 'b':
		c.build()
	case 'P':
		c.until('\n')
		c.push(pickleValue{})
	case 'Q':
		c.pop()
		c.push(pickleValue{})
	case 0x82, 0x83, 0x84: // extensions
		c.take(1 << (op - 0x82))
		c.push(pickleValue{})
	default:
		return false
	}
	return true
}

// build gives the object on the stack the members of its state.
func (c *cursor) build() {
	state := c.pop()
	object := c.top()
	m := &c.machine
	if c.bad || object.kind != pickleNode || state.kind != pickleNode ||
		m.containers[object.n].kind != containerObject || m.containers[state.n].kind != containerMap {
		return
	}
	n := len(c.steps)
	to, from := m.found[int(object.n)*n:][:n], m.found[int(state.n)*n:][:n]
	for at := range to {
		if to[at].kind == pickleOther {
			to[at] = from[at]
		}
	}
}

// memoize keeps what is on the stack in a place of the memo.
func (c *cursor) memoize(i int) {
	m := &c.machine
	if i >= maxShared {
		c.bad = true
		return
	}
	if i == len(m.memo) {
		m.memo = append(m.memo, c.top())
		m.memoized++
		return
	}
	c.memoizeAt(i)
}

// memoizeAt is memoize for places out of their order.
func (c *cursor) memoizeAt(i int) {
	m := &c.machine
	for len(m.memo) <= i {
		m.memo = append(m.memo, pickleValue{kind: pickleEmpty})
	}
	if m.memo[i].kind == pickleEmpty {
		m.memoized++
	}
	m.memo[i] = c.top()
}

func (c *cursor) recall(i int) {
	m := &c.machine
	if i >= len(m.memo) || m.memo[i].kind == pickleEmpty {
		c.bad = true
		return
	}
	c.push(m.memo[i])
}
