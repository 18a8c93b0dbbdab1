package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// decodePickle reads a Python pickle of any protocol (pickletools.py in the
// Python library documents the opcodes). Its instructions that would call
// something only note what they would have called.
func decodePickle(data []byte, _ Hints) (any, error) {
	if len(data) < 2 || data[len(data)-1] != '.' {
		return nil, errNotThis
	}
	p := pickleReader{reader: reader{data: data}, memo: map[int]any{}}
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

func (p *pickleReader) push(v any) { p.stack = append(p.stack, v) }

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
	items := slices.Clone(p.stack[base:])
	p.stack = p.stack[:base]
	p.count(len(items))
	return items
}

func (p *pickleReader) line() string { return string(p.until('\n')) }

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
	return string(p.take(int(length)))
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
		p.push(p.long(int(p.u8())))
	case 0x8b: // LONG4
		p.push(p.long(int(int32(p.le(4)))))
	case 'F':
		f, err := strconv.ParseFloat(p.line(), 64)
		if err != nil {
			p.fail(errNotThis)
		}
		p.push(f)
	case 'G':
		p.push(p.f64())
	default:
		return p.text(op)
	}
	return true
}

func (p *pickleReader) text(op byte) bool {
	switch op {
	case 'S':
		p.push(pythonString(p.line()))
	case 'V':
		p.push(rawUnicode(p.line()))
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
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if len(text) > maxLong {
		p.fail(errTooLarge)
		return nil
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		p.fail(errNotThis)
		return nil
	}
	return n
}

// maxLong is the longest integer converted, in bytes or digits: the effort
// grows with the square.
const maxLong = 4096

// long reads a little-endian two's complement number of n bytes.
func (p *pickleReader) long(n int) any {
	b := slices.Clone(p.take(n))
	if n > maxLong {
		p.fail(errTooLarge)
	}
	if p.err != nil || n <= 0 {
		return int64(0)
	}
	negative := b[n-1]&0x80 != 0
	slices.Reverse(b)
	v := new(big.Int).SetBytes(b)
	if negative {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

// pythonString removes quotes and the usual escapes.
func pythonString(s string) string {
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
func rawUnicode(s string) string {
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
func latin1(s string) (string, bool) {
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
		p.marks = append(p.marks, len(p.stack))
	case '0': // POP
		p.pop()
	case '1': // POP_MARK
		p.popMark()
	case '2': // DUP
		p.push(p.top())
	case ']', ')': // EMPTY_LIST, EMPTY_TUPLE
		p.push(&list{})
	case 'l', 't': // LIST, TUPLE
		p.push(&list{items: p.popMark()})
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		p.tuple(int(op - 0x84))
	case 'a':
		v := p.pop()
		p.extend([]any{v})
	case 'e':
		p.extend(p.popMark())
	case '}':
		p.push(&mapping{})
	case 'd':
		p.push(&mapping{pairs: p.popMark()})
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
		p.push(&list{})
	case 0x90: // ADDITEMS
		p.extend(p.popMark())
	case 0x91: // FROZENSET
		p.push(&list{items: p.popMark()})
	default:
		return false
	}
	return true
}

func (p *pickleReader) tuple(n int) {
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		items[i] = p.pop()
	}
	p.push(&list{items: items})
}

// extend appends to the list on the stack, or to the items of an object that
// is a list of its own kind.
func (p *pickleReader) extend(items []any) {
	switch l := p.top().(type) {
	case *list:
		l.items = append(l.items, items...)
	case *object:
		l.add("@items", &list{items: items})
	default:
		p.fail(errNotThis)
	}
}

func (p *pickleReader) update(pairs []any) {
	switch m := p.top().(type) {
	case *mapping:
		m.pairs = append(m.pairs, pairs...)
	case *object:
		m.add("@entries", &mapping{pairs: pairs})
	default:
		p.fail(errNotThis)
	}
}

// global executes opcodes that name classes and functions or use them.
func (p *pickleReader) global(op byte) bool {
	switch op {
	case 'c': // GLOBAL
		module, name := p.line(), p.line()
		p.push(pickleGlobal(module + "." + name))
	case 0x93: // STACK_GLOBAL
		name, _ := p.pop().(string)
		module, _ := p.pop().(string)
		p.push(pickleGlobal(module + "." + name))
	case 'R', 0x81: // REDUCE, NEWOBJ
		args := p.pop()
		p.push(pickleCall(p.pop(), args))
	case 0x92: // NEWOBJ_EX
		kwargs, args := p.pop(), p.pop()
		o := pickleCall(p.pop(), args)
		if o, ok := o.(*object); ok {
			o.add("@kwargs", kwargs)
		}
		p.push(o)
	case 'i': // INST
		module, name := p.line(), p.line()
		p.push(pickleCall(pickleGlobal(module+"."+name), &list{items: p.popMark()}))
	case 'o': // OBJ
		args := p.popMark()
		if len(args) == 0 {
			p.fail(errNotThis)
			break
		}
		p.push(pickleCall(args[0], &list{items: args[1:]}))
	case 'b': // BUILD
		p.build(p.pop())
	case 'P': // PERSID
		p.push(pickleNote("@persistent", p.line()))
	case 'Q': // BINPERSID
		p.push(pickleNote("@persistent", p.pop()))
	case 0x82, 0x83, 0x84: // EXT1, EXT2, EXT4
		p.push(pickleNote("@extension", int64(p.le(1<<(op-0x82)))))
	default:
		return false
	}
	return true
}

func pickleNote(name string, v any) *object {
	o := &object{}
	o.add(name, v)
	return o
}

// pickleCall notes a call of callable with args.
func pickleCall(callable, args any) any {
	arguments, _ := args.(*list)
	name, ok := callable.(pickleGlobal)
	if !ok || arguments == nil {
		o := pickleNote("@call", callable)
		o.add("@args", args)
		return o
	}
	if v, ok := pickleKnown(name, arguments.items); ok {
		return v
	}
	o := newObject(string(name))
	if len(arguments.items) > 0 {
		o.add("@args", arguments)
	}
	return o
}

// pickleKnown gives what a call of a well-known function means.
func pickleKnown(name pickleGlobal, args []any) (v any, ok bool) {
	if len(args) == 0 {
		return nil, false
	}
	text, isText := args[0].(string)
	switch name {
	case "copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__", "copy_reg.__newobj__":
		if class, ok := args[0].(pickleGlobal); ok {
			return newObject(string(class)), true
		}
	case "datetime.datetime":
		if isText && len(args) == 1 && len(text) == 10 {
			return pythonDatetime(text), true
		}
	case "_codecs.encode":
		if isText && len(args) == 2 && args[1] == "latin1" {
			return latin1(text)
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
		for i := 0; i+1 < len(m.pairs); i += 2 {
			if name, ok := keyText(m.pairs[i]); ok {
				o.add(name, m.pairs[i+1])
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
	n, err := strconv.ParseUint(p.line(), 10, 31)
	if err != nil {
		p.fail(errNotThis)
	}
	return int(n)
}

func (p *pickleReader) put(i int) { p.memo[i] = p.top() }

func (p *pickleReader) get(i int) {
	v, ok := p.memo[i]
	if !ok || i > math.MaxInt32 {
		p.fail(errNotThis)
	}
	p.push(v)
}
