package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// maxPathKey is how many bytes of a member's name a path shows.
const maxPathKey = 64

// fewMembers is how many members of an object are compared one by one.
const fewMembers = 16

var errTooDeep = errors.New("the value is nested too deep to be decoded")

// render writes a tree as JSON. A list or object that occurs again is written
// as a reference to its first place. A tree can be rendered once.
func render(b *budget, tree any) (json.RawMessage, error) {
	w := writer{meter: meter{budget: b}}
	w.value(tree)
	return w.out, w.err
}

// writer writes JSON.
type writer struct {
	meter
	out   []byte
	path  []byte // scratch space for a reference
	depth int

	// The place of the value that is written next.
	parent *place
	key    string
	index  int
}

// room makes room for n more bytes and reports whether there is.
func (w *writer) room(n int) bool {
	w.out = reserve(&w.meter, w.out, n)
	return w.err == nil
}

// raw writes a word that is JSON already.
func (w *writer) raw(s string) {
	if w.room(len(s)) {
		w.out = append(w.out, s...)
	}
}

func (w *writer) value(v any) {
	if len(w.out) > MaxOutput {
		w.fail(errTooLarge)
	}
	if !w.spend(0, nodeSteps) {
		return
	}
	switch v := v.(type) {
	case string:
		w.text(v)
	case javaBlock:
		w.text(w.meter.text(v))
	case json.RawMessage:
		w.compact(v)
	case *list:
		w.once(&v.place, func() { w.elements(len(v.items), func(i int) any { return v.items[i] }) })
	case *object:
		w.once(&v.place, func() { w.object(v) })
	case *mapping:
		w.once(&v.place, func() { w.mapping(v) })
	default:
		w.scalar(v)
	}
}

func (w *writer) scalar(v any) {
	if !w.room(32) {
		return
	}
	switch v := v.(type) {
	case nil:
		w.raw("null")
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case int64:
		w.out = strconv.AppendInt(w.out, v, 10)
	case uint64:
		w.out = strconv.AppendUint(w.out, v, 10)
	case float64:
		w.float(v)
	case *big.Int:
		w.long(v)
	default:
		w.fail(fmt.Errorf("decode: no JSON for %T", v))
	}
}

func (w *writer) long(n *big.Int) {
	size := longSize(n)
	if w.spend(6*size, longSteps*size) && w.room(3*size+1) {
		w.out = n.Append(w.out, 10)
	}
}

func (w *writer) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.note("@float", strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	w.out = strconv.AppendFloat(w.out, f, 'g', -1, 64)
}

// compact writes valid JSON without its white space.
func (w *writer) compact(v json.RawMessage) {
	if !w.spend(0, parseSteps*len(v)) || !w.room(len(v)) {
		return
	}
	buf := bytes.NewBuffer(w.out)
	if err := json.Compact(buf, v); err != nil {
		w.fail(err)
	}
	if w.out = buf.Bytes(); len(w.out) > MaxOutput {
		w.fail(errTooLarge)
	}
}

// once writes a container, or a reference if it was written before.
func (w *writer) once(p *place, write func()) {
	if p.written {
		w.reference(p)
		return
	}
	if w.depth == 2*MaxDepth {
		w.fail(errTooDeep)
		return
	}
	*p = place{written: true, parent: w.parent, key: w.key, index: w.index}
	w.parent = p
	w.depth++
	write()
	w.depth--
	w.parent = p.parent
}

func (w *writer) reference(p *place) {
	w.path = p.appendPath(w.path[:0])
	w.spend(0, len(w.path))
	w.note("@ref", w.meter.text(w.path))
}

// appendPath appends where p is, as in JSONPath.
func (p *place) appendPath(dst []byte) []byte {
	if p.parent == nil {
		return append(dst, '$')
	}
	dst = p.parent.appendPath(dst)
	if p.index < 0 {
		return append(append(dst, '.'), shortened(p.key)...)
	}
	return append(strconv.AppendInt(append(dst, '['), int64(p.index), 10), ']')
}

// shortened is the beginning of a name, whole characters.
func shortened(key string) string {
	n := min(len(key), maxPathKey)
	for n < len(key) && n > 0 && !utf8.RuneStart(key[n]) {
		n--
	}
	return key[:n]
}

func (w *writer) elements(n int, at func(i int) any) {
	w.raw("[")
	for i := 0; i < n && w.err == nil; i++ {
		if i > 0 {
			w.raw(",")
		}
		w.index = i
		w.value(at(i))
	}
	w.raw("]")
}

func (w *writer) object(o *object) {
	w.raw("{")
	used := w.names(len(o.members))
	for i, m := range o.members {
		if w.err != nil {
			return
		}
		if i > 0 {
			w.raw(",")
		}
		w.member(w.unique(o.members[:i], w.jsonKey(m.key), used), m.value)
	}
	w.raw("}")
}

func (w *writer) member(key string, value any) {
	w.quoted(key)
	w.raw(":")
	w.key, w.index = key, -1
	w.value(value)
}

// names makes the map that unique needs for an object of n members.
func (w *writer) names(n int) map[string]int {
	if n <= fewMembers || !w.spend(n*entryBytes, 0) {
		return nil
	}
	return make(map[string]int, n)
}

// unique adds a number to a key that earlier members have as well. The members
// are compared if used is nil.
func (w *writer) unique(earlier []member, key string, used map[string]int) string {
	n := 1
	if used != nil {
		used[key]++
		n = used[key]
	} else {
		for _, m := range earlier {
			if w.jsonKey(m.key) == key {
				n++
			}
		}
	}
	if n == 1 {
		return key
	}
	return w.join(key, " (", strconv.Itoa(n), ")")
}

func (w *writer) mapping(m *mapping) {
	switch {
	case m.php && m.isSequence():
		w.elements(len(m.pairs)/2, func(i int) any { return m.pairs[2*i+1] })
	case m.hasNames():
		w.object(m.object(&w.meter))
	default:
		w.elements(len(m.pairs)/2, func(i int) any { return newList(&w.meter, m.pairs[2*i:2*i+2]) })
	}
}

// object is the mapping with the text of its keys.
func (m *mapping) object(paid *meter) *object {
	o := newRecord(paid)
	o.members = reserve(paid, o.members, len(m.pairs)/2)
	for i := 0; i+1 < len(m.pairs) && paid.err == nil; i += 2 {
		o.members = push(paid, o.members, member{paid.keyText(m.pairs[i]), m.pairs[i+1]})
	}
	return o
}

// jsonKey is a member name for a key of any bytes.
func (w *writer) jsonKey(key string) string {
	if w.spend(0, len(key)) && utf8.ValidString(key) {
		return key
	}
	if !w.spend(4*len(key)+headBytes, 0) {
		return ""
	}
	return w.join("@bytes ", base64.StdEncoding.EncodeToString([]byte(key)))
}

func (w *writer) text(s string) {
	if !w.spend(0, len(s)) {
		return
	}
	if utf8.ValidString(s) {
		w.quoted(s)
	} else if w.room(len(s)/3*4 + 32) {
		w.raw(`{"@bytes":"`)
		w.out = base64.StdEncoding.AppendEncode(w.out, []byte(s))
		w.raw(`"}`)
	}
}

func (w *writer) note(name, text string) {
	w.raw("{")
	w.quoted(name)
	w.raw(":")
	w.quoted(text)
	w.raw("}")
}

// quoted writes valid UTF-8 as a JSON string.
func (w *writer) quoted(s string) {
	if !w.spend(0, 2*len(s)) || !w.room(quotedSize(s)) {
		return
	}
	w.out = append(w.out, '"')
	for i := range len(s) {
		w.out = appendEscaped(w.out, s[i])
	}
	w.out = append(w.out, '"')
}

// quotedSize is an upper bound of the length of s as a JSON string.
func quotedSize(s string) int {
	size := len(s) + 2
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' {
			size += len(`\u0000`) - 1
		}
	}
	return size
}

// appendEscaped appends a byte of a JSON string.
func appendEscaped(dst []byte, b byte) []byte {
	switch {
	case b == '"' || b == '\\':
		return append(dst, '\\', b)
	case b == '\n':
		return append(dst, `\n`...)
	case b == '\r':
		return append(dst, `\r`...)
	case b == '\t':
		return append(dst, `\t`...)
	case b < ' ':
		const hexDigits = "0123456789abcdef"
		return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
	}
	return append(dst, b)
}
