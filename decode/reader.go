package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

var errShort = errors.New("the value ends too early")

// reader reads bytes with limits. The first error sticks: every later read
// returns a zero value, so parsers check err once per loop.
type reader struct {
	meter
	data  []byte // what is left
	depth int
}

func newReader(b *budget, data []byte) reader {
	return reader{meter: meter{budget: b}, data: data}
}

// more reports whether there is anything left to read.
func (r *reader) more() bool { return r.err == nil && len(r.data) > 0 }

// enter begins a value one level deeper and reports whether limits allow it.
// Whoever entered leaves.
func (r *reader) enter() bool {
	r.depth++
	if r.depth > MaxDepth {
		r.fail(errTooDeep)
	}
	r.count(1)
	return r.err == nil
}

func (r *reader) leave() { r.depth-- }

// count takes n nodes from the budget.
func (r *reader) count(n int) { r.spend(n*nodeBytes, n*nodeSteps) }

// string copies the next n bytes.
func (r *reader) string(n int) string { return r.text(r.take(n)) }

// take returns the next n bytes, which alias the input.
func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.data) {
		r.fail(errShort)
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// until returns the bytes before the next sep and skips it.
func (r *reader) until(sep byte) []byte {
	i := bytes.IndexByte(r.data, sep)
	if r.err != nil || i < 0 {
		r.fail(errShort)
		return nil
	}
	b := r.data[:i]
	r.data = r.data[i+1:]
	return b
}

// expect skips the given bytes or fails.
func (r *reader) expect(s string) {
	if string(r.take(len(s))) != s {
		r.fail(errNotThis)
	}
}

func (r *reader) u8() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *reader) u16() uint16 {
	b := r.take(2)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func (r *reader) u32() uint32 {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (r *reader) u64() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (r *reader) f64() float64 { return math.Float64frombits(r.u64()) }

// finish returns the error, or one if anything is left.
func (r *reader) finish() error {
	if r.err == nil && len(r.data) > 0 {
		return errNotThis
	}
	return r.err
}
