package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// decodePickle reads a Python pickle of any protocol (pickletools.py in the
// Python library documents the opcodes). Its instructions that would call
// something only note what they would have called.
func decodePickle(b *budget, data []byte, _ Hints) (any, error) {
	if len(data) < 2 || data[len(data)-1] != '.' {
		return nil, errNotThis
	}
	p := pickleReader{reader: newReader(b, data), memo: map[int]any{}}
	if data[0] != 0x80 && strings.IndexByte("(}])", data[0]) < 0 {
		return nil, errNotThis // of old protocols only containers can be told from text
	}
	v := p.run()
	return v, p.finish()
}

// pickleReader is the machine that a pickle programs.
type pickleReader struct {
	reader
	stack []any
	marks []int // heights of the stack
	memo  map[int]any
}

// pickleGlobal names something in a Python module.
type pickleGlobal string

// run executes opcodes up to STOP.
func (p *pickleReader) run() any {
	for p.err == nil {
		p.count(1)
		op := p.u8()
		if op == '.' {
			return p.pop()
		}
		if p.scalar(op) || p.container(op) || p.global(op) || p.memoize(op) {
			continue
		}
		p.fail(errNotThis)
	}
	return nil
}

func (p *pickleReader) push(v any) { p.stack = push(&p.meter, p.stack, v) }

// base is the height of the stack that the latest mark protects.
func (p *pickleReader) base() int {
	if len(p.marks) == 0 {
		return 0
	}
	return p.marks[len(p.marks)-1]
}

func (p *pickleReader) pop() any {
	if len(p.stack) <= p.base() {
		p.fail(errNotThis)
		return nil
	}
	v := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	return v
}

func (p *pickleReader) top() any {
	v := p.pop()
	if p.err == nil {
		p.push(v)
	}
	return v
}

// popMark takes what is above the latest mark, and the mark.
func (p *pickleReader) popMark() []any {
	if len(p.marks) == 0 {
		p.fail(errNotThis)
		return nil
	}
	base := p.base()
	p.marks = p.marks[:len(p.marks)-1]
	items := push(&p.meter, nil, p.stack[base:]...)
	p.stack = p.stack[:base]
	p.spend(0, nodeSteps*len(items))
	return items
}

func (p *pickleReader) line() string { return p.meter.text(p.until('\n')) }

func (p *pickleReader) le(n int) uint64 {
	var buf [8]byte
	copy(buf[:], p.take(n))
	return binary.LittleEndian.Uint64(buf[:])
}

// sized reads bytes after their length of n bytes.
func (p *pickleReader) sized(n int) string {
	length := p.le(n)
	if length > uint64(len(p.data)) {
		p.fail(errShort)
		return ""
	}
	return p.string(int(length))
}

// scalar executes opcodes that push a number, a string or the like.
func (p *pickleReader) scalar(op byte) bool {
	switch op {
	case 'N':
		p.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		p.push(op == 0x88)
	case 'I', 'L':
		p.push(p.decimal(p.line()))
	case 'J':
		p.push(int64(int32(p.le(4))))
	case 'K':
		p.push(int64(p.u8()))
	case 'M':
		p.push(int64(p.le(2)))
	case 0x8a: // LONG1
		p.push(p.signedLong(int(p.u8())))
	case 0x8b: // LONG4
		p.push(p.signedLong(int(int32(p.le(4)))))
	case 'F':
		p.push(p.float(p.until('\n')))
	case 'G':
		p.push(p.f64())
	default:
		return p.pushText(op)
	}
	return true
}

func (p *pickleReader) pushText(op byte) bool {
	switch op {
	case 'S':
		p.push(p.pythonString(p.line()))
	case 'V':
		p.push(p.rawUnicode(p.line()))
	case 'U', 'C', 0x8c: // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
		p.push(p.sized(1))
	case 'T', 'B', 'X': // BINSTRING, BINBYTES, BINUNICODE
		p.push(p.sized(4))
	case 0x8d, 0x8e, 0x96: // BINUNICODE8, BINBYTES8, BYTEARRAY8
		p.push(p.sized(8))
	default:
		return false
	}
	return true
}

// decimal reads the number of INT (00 and 01 are booleans) or LONG.
func (p *pickleReader) decimal(text string) any {
	switch text {
	case "00":
		return false
	case "01":
		return true
	}
	text = strings.TrimSuffix(text, "L")
	if len(text) > maxLong {
		p.fail(errTooLarge)
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if !p.spend(2*len(text), decimalSteps*len(text)) {
		return nil
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		p.fail(errNotThis)
		return nil
	}
	return n
}

// signedLong reads a little-endian two's complement number of n bytes.
func (p *pickleReader) signedLong(n int) any {
	b := p.take(n)
	v := p.long(b)
	if p.err != nil || n == 0 {
		return int64(0)
	}
	if b[n-1]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

func (p *pickleReader) globalName(module, name string) pickleGlobal {
	return pickleGlobal(p.join(module, ".", name))
}

// pythonString removes quotes and the usual escapes.
func (m *meter) pythonString(s string) string {
	if !m.spend(4*len(s), 8*len(s)) {
		return ""
	}
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	s = strings.ReplaceAll(s, `\'`, `'`)
	if unquoted, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`); err == nil {
		return unquoted
	}
	return s
}

// rawUnicode converts Latin-1 in which \uXXXX and \UXXXXXXXX stand for other
// characters.
func (m *meter) rawUnicode(s string) string {
	if !m.spend(6*len(s), 8*len(s)) {
		return ""
	}
	out := make([]rune, 0, len(s))
	for len(s) > 0 {
		digits := 0
		if len(s) > 1 && s[0] == '\\' {
			digits = map[byte]int{'u': 4, 'U': 8}[s[1]]
		}
		if digits > 0 && len(s) >= 2+digits {
			if code, err := strconv.ParseUint(s[2:2+digits], 16, 32); err == nil {
				out = append(out, rune(code))
				s = s[2+digits:]
				continue
			}
		}
		out = append(out, rune(s[0]))
		s = s[1:]
	}
	return string(out)
}

// latin1 converts text of characters below 256 to the bytes with their codes.
func (m *meter) latin1(s string) (string, bool) {
	if !m.spend(2*len(s)+headBytes, 2*len(s)) {
		return "", false
	}
	out := make([]byte, 0, len(s))
	for _, c := range s {
		if c > 0xff {
			return "", false
		}
		out = append(out, byte(c))
	}
	return string(out), true
}

// container executes opcodes that build lists, tuples, sets and dictionaries.
func (p *pickleReader) container(op byte) bool {
	switch op {
	case '(':
		p.marks = push(&p.meter, p.marks, len(p.stack))
	case '0': // POP
		p.pop()
	case '1': // POP_MARK
		p.popMark()
	case '2': // DUP
		p.push(p.top())
	case ']', ')': // EMPTY_LIST, EMPTY_TUPLE
		p.push(newList(&p.meter, nil))
	case 'l', 't': // LIST, TUPLE
		p.push(newList(&p.meter, p.popMark()))
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		p.tuple(int(op - 0x84))
	case 'a':
		v := p.pop()
		p.extend([]any{v})
	case 'e':
		p.extend(p.popMark())
	case '}':
		p.push(newMapping(&p.meter, nil))
	case 'd':
		p.push(newMapping(&p.meter, p.popMark()))
	case 's':
		value, key := p.pop(), p.pop()
		p.update([]any{key, value})
	case 'u':
		p.update(p.popMark())
	default:
		return p.set(op)
	}
	return true
}

func (p *pickleReader) set(op byte) bool {
	switch op {
	case 0x8f: // EMPTY_SET
		p.push(newList(&p.meter, nil))
	case 0x90: // ADDITEMS
		p.extend(p.popMark())
	case 0x91: // FROZENSET
		p.push(newList(&p.meter, p.popMark()))
	default:
		return false
	}
	return true
}

func (p *pickleReader) tuple(n int) {
	var storage [3]any
	items := push(&p.meter, nil, storage[:n]...)
	for i := len(items) - 1; i >= 0; i-- {
		items[i] = p.pop()
	}
	p.push(newList(&p.meter, items))
}

// extend appends to the list on the stack, or to the items of an object that
// is a list of its own kind.
func (p *pickleReader) extend(items []any) {
	switch l := p.top().(type) {
	case *list:
		l.add(items...)
	case *object:
		l.add("@items", newList(&p.meter, items))
	default:
		p.fail(errNotThis)
	}
}

func (p *pickleReader) update(pairs []any) {
	switch m := p.top().(type) {
	case *mapping:
		m.add(pairs...)
	case *object:
		m.add("@entries", newMapping(&p.meter, pairs))
	default:
		p.fail(errNotThis)
	}
}

// global executes opcodes that name classes and functions or use them.
func (p *pickleReader) global(op byte) bool {
	switch op {
	case 'c': // GLOBAL
		module, name := p.line(), p.line()
		p.push(p.globalName(module, name))
	case 0x93: // STACK_GLOBAL
		name, _ := p.pop().(string)
		module, _ := p.pop().(string)
		p.push(p.globalName(module, name))
	case 'R', 0x81: // REDUCE, NEWOBJ
		args := p.pop()
		p.push(p.call(p.pop(), args))
	case 0x92: // NEWOBJ_EX
		kwargs, args := p.pop(), p.pop()
		o := p.call(p.pop(), args)
		if o, ok := o.(*object); ok {
			o.add("@kwargs", kwargs)
		}
		p.push(o)
	case 'i': // INST
		module, name := p.line(), p.line()
		p.push(p.call(p.globalName(module, name), newList(&p.meter, p.popMark())))
	case 'o': // OBJ
		args := p.popMark()
		if len(args) == 0 {
			p.fail(errNotThis)
			break
		}
		p.push(p.call(args[0], newList(&p.meter, args[1:])))
	case 'b': // BUILD
		p.build(p.pop())
	case 'P': // PERSID
		p.push(p.note("@persistent", p.line()))
	case 'Q': // BINPERSID
		p.push(p.note("@persistent", p.pop()))
	case 0x82, 0x83, 0x84: // EXT1, EXT2, EXT4
		p.push(p.note("@extension", int64(p.le(1<<(op-0x82)))))
	default:
		return false
	}
	return true
}

func (p *pickleReader) note(name string, v any) *object {
	o := newRecord(&p.meter)
	o.add(name, v)
	return o
}

// call notes a call of callable with args.
func (p *pickleReader) call(callable, args any) any {
	arguments, _ := args.(*list)
	name, ok := callable.(pickleGlobal)
	if !ok || arguments == nil {
		o := p.note("@call", callable)
		o.add("@args", args)
		return o
	}
	if v, ok := p.known(name, arguments.items); ok {
		return v
	}
	o := newObject(&p.meter, string(name))
	if len(arguments.items) > 0 {
		o.add("@args", arguments)
	}
	return o
}

// known returns what a call of a well-known function means.
func (p *pickleReader) known(name pickleGlobal, args []any) (v any, ok bool) {
	if len(args) == 0 {
		return nil, false
	}
	text, isText := args[0].(string)
	switch name {
	case "copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__", "copy_reg.__newobj__":
		if class, ok := args[0].(pickleGlobal); ok {
			return newObject(&p.meter, string(class)), true
		}
	case "datetime.datetime":
		if isText && len(args) == 1 && len(text) == 10 {
			return pythonDatetime(text), true
		}
	case "_codecs.encode":
		if isText && len(args) == 2 && args[1] == "latin1" {
			return p.latin1(text)
		}
	case "__builtin__.set", "__builtin__.frozenset", "__builtin__.bytearray",
		"builtins.set", "builtins.frozenset", "builtins.bytearray":
		return args[0], len(args) == 1
	}
	return nil, false
}

// pythonDatetime shows the ten bytes in which a datetime keeps itself.
func pythonDatetime(b string) string {
	micro := int(b[7])<<16 | int(b[8])<<8 | int(b[9])
	return fmt.Sprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06d",
		int(b[0])<<8|int(b[1]), b[2]&0x7f, b[3], b[4], b[5], b[6], micro)
}

// build gives the object on the stack its state.
func (p *pickleReader) build(state any) {
	o, ok := p.top().(*object)
	if !ok {
		return // the state of something that is shown by its value
	}
	if m, ok := state.(*mapping); ok {
		for i := 0; i+1 < len(m.pairs) && p.err == nil; i += 2 {
			if isScalar(m.pairs[i]) {
				o.add(p.keyText(m.pairs[i]), m.pairs[i+1])
			}
		}
		return
	}
	o.add("@state", state)
}

// memoize executes opcodes of the memo, and those without effect.
func (p *pickleReader) memoize(op byte) bool {
	switch op {
	case 'p':
		p.put(p.index())
	case 'q':
		p.put(int(p.u8()))
	case 'r':
		p.put(int(p.le(4)))
	case 0x94: // MEMOIZE
		p.put(len(p.memo))
	case 'g':
		p.get(p.index())
	case 'h':
		p.get(int(p.u8()))
	case 'j':
		p.get(int(p.le(4)))
	case 0x80: // PROTO
		if p.u8() > 5 {
			p.fail(errNotThis)
		}
	case 0x95: // FRAME
		p.take(8)
	case 0x98: // READONLY_BUFFER
	default:
		return false
	}
	return true
}

func (p *pickleReader) index() int {
	text := p.line()
	n, err := strconv.ParseUint(text[:min(len(text), maxInteger)], 10, 31)
	if err != nil {
		p.fail(errNotThis)
	}
	return int(n)
}

func (p *pickleReader) put(i int) {
	if _, ok := p.memo[i]; ok || p.spend(entryBytes, 0) {
		p.memo[i] = p.top()
	}
}

func (p *pickleReader) get(i int) {
	v, ok := p.memo[i]
	if !ok || i > math.MaxInt32 {
		p.fail(errNotThis)
	}
	p.push(v)
}
