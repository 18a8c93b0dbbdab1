package decode

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// A decoded value is a tree of nil, bool, int64, uint64, float64, *big.Int,
// string and javaBlock (any bytes), json.RawMessage, *list, *mapping and *object. The last
// three may occur more than once in it, even within themselves.

// list is a sequence of values.
type list struct{ items []any }

// object has members in the order in which they were written. A key may be
// repeated.
type object struct{ members []member }

type member struct {
	key   string
	value any
}

// mapping has keys and values in turn. It is written as an object if every key
// is a scalar, else as a list of pairs.
type mapping struct {
	pairs []any
	php   bool // an array of PHP: written as a list if its keys count up from 0
}

// isSequence reports whether the keys count up from 0.
func (m *mapping) isSequence() bool {
	for i := 0; i < len(m.pairs); i += 2 {
		if key, ok := m.pairs[i].(int64); !ok || key != int64(i/2) {
			return false
		}
	}
	return true
}

// values gives the values without their keys.
func (m *mapping) values() *list {
	l := &list{}
	for i := 1; i < len(m.pairs); i += 2 {
		l.items = append(l.items, m.pairs[i])
	}
	return l
}

func (o *object) add(key string, value any) {
	o.members = append(o.members, member{key, value})
}

// newObject gives an object with a class note.
func newObject(class string) *object {
	o := &object{}
	o.add("@class", class)
	return o
}

// maxPathKey is how many bytes of a member's name a path shows.
const maxPathKey = 64

var (
	errTooLarge = errors.New("the value is too large to be decoded")
	errTooDeep  = errors.New("the value is nested too deep to be decoded")
)

// appendValue writes a tree as JSON. A list or object that occurs again is
// written as a reference to its first place.
func appendValue(dst []byte, tree any) ([]byte, error) {
	w := writer{out: dst, path: []byte("$"), seen: map[any]string{}}
	w.value(tree)
	return w.out, w.err
}

// writer writes JSON. The first error sticks.
type writer struct {
	out   []byte
	path  []byte // of the value being written, as in JSONPath
	depth int
	seen  map[any]string // path of each list and object
	err   error
}

func (w *writer) value(v any) {
	if len(w.out) > MaxOutput {
		w.err = errTooLarge
	}
	if w.err != nil {
		return
	}
	switch v := v.(type) {
	case nil:
		w.out = append(w.out, "null"...)
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case int64:
		w.out = strconv.AppendInt(w.out, v, 10)
	case uint64:
		w.out = strconv.AppendUint(w.out, v, 10)
	case *big.Int:
		w.out = v.Append(w.out, 10)
	case float64:
		w.float(v)
	case string:
		w.text(v)
	case javaBlock:
		w.text(string(v))
	case json.RawMessage:
		w.out = append(w.out, v...)
	case *list:
		w.once(v, func() { w.list(v) })
	case *object:
		w.once(v, func() { w.object(v) })
	case *mapping:
		w.once(v, func() { w.mapping(v) })
	default:
		w.err = fmt.Errorf("decode: no JSON for %T", v)
	}
}

// once writes a container, or a reference if it was written before.
func (w *writer) once(container any, write func()) {
	if path, ok := w.seen[container]; ok {
		w.note("@ref", path)
		return
	}
	if w.depth == 2*MaxDepth {
		w.err = errTooDeep
		return
	}
	w.seen[container] = string(w.path)
	w.depth++
	write()
	w.depth--
}

func (w *writer) list(l *list) {
	w.out = append(w.out, '[')
	for i, item := range l.items {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		n := len(w.path)
		w.path = append(strconv.AppendInt(append(w.path, '['), int64(i), 10), ']')
		w.value(item)
		w.path = w.path[:n]
	}
	w.out = append(w.out, ']')
}

func (w *writer) object(o *object) {
	w.out = append(w.out, '{')
	used := make(map[string]int, len(o.members))
	for i, m := range o.members {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		key := jsonKey(m.key)
		used[key]++
		if n := used[key]; n > 1 {
			key = fmt.Sprintf("%s (%d)", key, n)
		}
		w.out = append(appendString(w.out, key), ':')
		n := len(w.path)
		w.path = append(append(w.path, '.'), key[:min(len(key), maxPathKey)]...)
		w.value(m.value)
		w.path = w.path[:n]
	}
	w.out = append(w.out, '}')
}

func (w *writer) mapping(m *mapping) {
	if m.php && m.isSequence() {
		w.list(m.values())
		return
	}
	o := &object{}
	for i := 0; i+1 < len(m.pairs); i += 2 {
		key, ok := keyText(m.pairs[i])
		if !ok {
			w.list(m.list())
			return
		}
		o.add(key, m.pairs[i+1])
	}
	w.object(o)
}

// list gives the mapping as a list of pairs.
func (m *mapping) list() *list {
	l := &list{}
	for i := 0; i+1 < len(m.pairs); i += 2 {
		l.items = append(l.items, &list{items: m.pairs[i : i+2]})
	}
	return l
}

func (w *writer) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.note("@float", strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	w.out = strconv.AppendFloat(w.out, f, 'g', -1, 64)
}

func (w *writer) text(s string) {
	if !utf8.ValidString(s) {
		w.note("@bytes", base64.StdEncoding.EncodeToString([]byte(s)))
		return
	}
	w.out = appendString(w.out, s)
}

func (w *writer) note(name, text string) {
	w.out = append(w.out, '{')
	w.out = append(appendString(w.out, name), ':')
	w.out = append(appendString(w.out, text), '}')
}

// jsonKey gives a member name for a key of any bytes.
func jsonKey(key string) string {
	if utf8.ValidString(key) {
		return key
	}
	return "@bytes " + base64.StdEncoding.EncodeToString([]byte(key))
}

// appendString appends valid UTF-8 as a JSON string.
func appendString(dst []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // cannot fail for a string
	return append(dst, quoted...)
}

// keyText gives the member name for a key that is any scalar.
func keyText(key any) (string, bool) {
	switch key := key.(type) {
	case nil:
		return "null", true
	case string:
		return key, true
	case bool:
		return strconv.FormatBool(key), true
	case int64:
		return strconv.FormatInt(key, 10), true
	case uint64:
		return strconv.FormatUint(key, 10), true
	case float64:
		return strconv.FormatFloat(key, 'g', -1, 64), true
	case *big.Int:
		return key.String(), true
	}
	return "", false
}
