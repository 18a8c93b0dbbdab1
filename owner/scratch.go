package owner

import "sync"

// maxNesting is how many ~ are followed inside each other.
const maxNesting = 4

// maxShared bounds how many values that others may refer to are kept track of.
const maxShared = 1 << 16

// scratch is the memory of one search. It is used again and grows to what the
// largest value needs.
type scratch struct {
	inflaters
	steps   int // values that may still be passed
	nesting int
	digits  [36]byte // of a number or a UUID
	escaped []byte   // texts without their escapes

	// What later parts of a value refer to by number.
	texts   [][]byte // igbinary's texts, Marshal's symbols
	shared  []shared // Marshal's and Java's values
	classes []javaClass

	machine pickleMachine
}

// shared is a value that is referred to: its text, or the place of a Java class
// among the classes.
type shared struct {
	text    []byte
	class   int
	isClass bool
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release drops the value and makes s free for use again.
func (s *scratch) release() {
	s.forget(known{})
	s.machine.reset()
	s.nesting = 0
	s.source.Reset(nil)
	scratches.Put(s)
}

// known is how much a cursor has learned.
type known struct{ texts, shared, classes, escaped int }

func (s *scratch) mark() known {
	return known{len(s.texts), len(s.shared), len(s.classes), len(s.escaped)}
}

// forget goes back to what was known at a mark.
func (s *scratch) forget(k known) {
	clear(s.texts[k.texts:])
	clear(s.shared[k.shared:])
	clear(s.classes[k.classes:])
	s.texts, s.shared = s.texts[:k.texts], s.shared[:k.shared]
	s.classes, s.escaped = s.classes[:k.classes], s.escaped[:k.escaped]
}
