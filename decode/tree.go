package decode

import (
	"math/big"
	"strconv"
	"unsafe"
)

// A decoded value is a tree of nil, bool, int64, uint64, float64, *big.Int,
// string and javaBlock (any bytes), json.RawMessage (JSON that is valid),
// *list, *mapping and *object. The last three may occur more than once in it,
// even within themselves.

// container is what the three kinds of containers have in common.
type container struct {
	meter *meter // pays for what is added
	place place
}

// place is where in the tree a container was written first.
type place struct {
	written bool
	parent  *place // nil for the root
	key     string // of the member of the parent, if index is -1
	index   int    // in the parent
}

// list is a sequence of values.
type list struct {
	container
	items []any
}

// object has members in the order in which they were written. A key may be
// repeated.
type object struct {
	container
	members []member
}

type member struct {
	key   string
	value any
}

// mapping has keys and values in turn. It is written as an object if every key
// is a scalar, else as a list of pairs.
type mapping struct {
	container
	pairs []any
	php   bool // an array of PHP: written as a list if its keys count up from 0
}

// newList makes a list that takes over items.
func newList(m *meter, items []any) *list {
	l := allocate[list](m)
	l.meter, l.items = m, items
	return l
}

func (l *list) add(items ...any) { l.items = push(l.meter, l.items, items...) }

// newMapping makes a mapping that takes over pairs.
func newMapping(m *meter, pairs []any) *mapping {
	n := allocate[mapping](m)
	n.meter, n.pairs = m, pairs
	return n
}

func (m *mapping) add(pairs ...any) { m.pairs = push(m.meter, m.pairs, pairs...) }

// newRecord makes an object without members.
func newRecord(m *meter) *object {
	o := allocate[object](m)
	o.meter = m
	return o
}

// newObject makes an object whose first member, even after an error, is a class
// note.
func newObject(m *meter, class string) *object {
	o := newRecord(m)
	m.spend(int(unsafe.Sizeof(member{}))+nodeBytes, 0)
	o.members = []member{{"@class", class}}
	return o
}

func (o *object) add(key string, value any) {
	o.meter.spend(nodeBytes, nodeSteps)
	o.members = push(o.meter, o.members, member{key, value})
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

// hasNames reports whether every key is a scalar.
func (m *mapping) hasNames() bool {
	for i := 0; i < len(m.pairs); i += 2 {
		if !isScalar(m.pairs[i]) {
			return false
		}
	}
	return true
}

func isScalar(v any) bool {
	switch v.(type) {
	case nil, string, bool, int64, uint64, float64, *big.Int:
		return true
	}
	return false
}

// keyText is the member name for a key that is any scalar, "" for others.
func (m *meter) keyText(key any) string {
	switch key := key.(type) {
	case nil:
		return "null"
	case string:
		return key
	case bool:
		return strconv.FormatBool(key)
	}
	var digits [32]byte
	switch key := key.(type) {
	case int64:
		return m.text(strconv.AppendInt(digits[:0], key, 10))
	case uint64:
		return m.text(strconv.AppendUint(digits[:0], key, 10))
	case float64:
		return m.text(strconv.AppendFloat(digits[:0], key, 'g', -1, 64))
	case *big.Int:
		if m.spend(3*longSize(key)+headBytes, longSteps*longSize(key)) {
			return key.String()
		}
	}
	return ""
}
