package decode

import (
	"context"
	"errors"
	"unsafe"
)

// What one value may cost, over all its layers and all formats tried on it. A
// value that would cost more is shown as text or hex.
const (
	MaxMemory = 8 << 20    // bytes allocated, freed ones included
	MaxSteps  = 50_000_000 // units of work of about a nanosecond each
)

// The prices of work, in steps.
const (
	nodeSteps    = 150 // a value of any kind
	parseSteps   = 10  // a byte of JSON: validated and compacted
	inflateSteps = 8   // a byte into or out of a decompressor
	longSteps    = 40  // a byte of a long integer, of at most maxLong
	decimalSteps = 120 // a digit of the same
	allocSteps   = 40  // an allocation, and one more for each 4 bytes
)

// The prices of memory, in bytes.
const (
	nodeBytes  = 32  // a value's own box, and the header of its text
	entryBytes = 128 // an entry of a growing map
	headBytes  = 16  // what an allocation takes beyond what was asked for
)

// contextSteps is how many steps pass between two looks at the context.
const contextSteps = 1 << 18

var errTooLarge = errors.New("the value is too large to be decoded")

// budget is what is left to spend on one value. Everything that decodes takes
// its memory and its steps from here; nothing is ever paid back.
type budget struct {
	ctx    context.Context
	memory int
	steps  int
	look   int // steps left at which the context is looked at again
	err    error
}

func newBudget(ctx context.Context) *budget {
	return &budget{ctx: ctx, memory: MaxMemory, steps: MaxSteps, look: MaxSteps, err: ctx.Err()}
}

// spend takes bytes and steps, neither negative. It fails for ever once either
// is used up or the context has ended.
func (b *budget) spend(bytes, steps int) error {
	if b.err != nil {
		return b.err
	}
	if bytes > 0 {
		steps += allocSteps + bytes/4
	}
	if bytes > b.memory || steps > b.steps {
		b.err = errTooLarge
		return b.err
	}
	b.memory -= bytes
	b.steps -= steps
	if b.steps < b.look {
		b.look = b.steps - contextSteps
		b.err = b.ctx.Err()
	}
	return b.err
}

// meter spends a budget on behalf of one parser or writer. The first error
// sticks.
type meter struct {
	budget *budget
	err    error
}

func (m *meter) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// spend takes bytes and steps from the budget and reports whether the work may
// go on.
func (m *meter) spend(bytes, steps int) bool {
	if m.err == nil {
		m.err = m.budget.spend(bytes, steps)
	}
	return m.err == nil
}

// text copies bytes into a string; empty after an error.
func (m *meter) text(b []byte) string {
	if len(b) == 0 || !m.spend(len(b)+headBytes, 0) {
		return ""
	}
	return string(b)
}

// join concatenates; empty after an error.
func (m *meter) join(parts ...string) string {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	joined := m.bytes(size)
	for _, part := range parts {
		joined = append(joined, part...)
		if m.err != nil {
			return ""
		}
	}
	return unsafe.String(unsafe.SliceData(joined), len(joined))
}

// bytes allocates an empty slice with room for size bytes; nil after an error.
func (m *meter) bytes(size int) []byte { return reserve[byte](m, nil, size) }

// reserve returns s with room for n more items. After an error it returns s as
// it is.
func reserve[T any](m *meter, s []T, n int) []T {
	if n <= cap(s)-len(s) {
		return s
	}
	var item T
	size := max(len(s)+n, 2*cap(s))
	if !m.spend(size*int(unsafe.Sizeof(item))+size/8+headBytes, 0) {
		return s
	}
	return append(make([]T, 0, size), s...)
}

// push appends items. After an error it returns s as it is.
func push[T any](m *meter, s []T, items ...T) []T {
	s = reserve(m, s, len(items))
	if m.err != nil {
		return s
	}
	return append(s, items...)
}

// allocate returns a new zero T; never nil.
func allocate[T any](m *meter) *T {
	v := new(T)
	m.spend(int(unsafe.Sizeof(*v))+headBytes, 0)
	return v
}
