package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Value is an element with all that belongs to it.
type Value struct {
	Element
	Elements []Value // of an Array
}

// Err returns a server's refusal as an error, and nil for every other value.
func (v Value) Err() error {
	if v.Kind == Error {
		return Refusal(v.Text)
	}
	return nil
}

// Refusal is the text of an error that a server answered with.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Reader reads values out of a stream.
type Reader struct{ in *bufio.Reader }

// NewReader returns a Reader of in, with a buffer of its own unless in is a
// bufio.Reader that can hold a line.
func NewReader(in io.Reader) *Reader { return &Reader{bufio.NewReaderSize(in, MaxLine)} }

// Read reads one value, whose bytes are the caller's. The error is io.EOF only
// if the stream ends before the value begins.
func (r *Reader) Read() (Value, error) { return r.read(0) }

func (r *Reader) read(depth int) (Value, error) {
	line, err := r.line()
	if err != nil {
		if depth > 0 {
			err = midway(err)
		}
		return Value{}, err
	}
	e, err := parseHead(line)
	if err != nil {
		return Value{}, err
	}
	v := Value{Element: e}
	switch {
	case e.Kind == Bulk && !e.Null:
		v.Text, err = r.block(e.Number)
	case e.Kind == Array && !e.Null:
		v.Elements, err = r.elements(e.Number, depth)
	default:
		v.Text = append([]byte(nil), e.Text...)
	}
	return v, err
}

// line reads a line with its end. It is valid until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(line) > MaxLine:
		return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, MaxLine)
	case err == io.EOF && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	}
	return line, err
}

// block reads n bytes and the line end behind them. Memory is taken as bytes
// come in, not for what a length claims.
func (r *Reader) block(n int64) ([]byte, error) {
	const step = 1 << 20
	var text []byte
	for left := n + 2; left > 0; {
		part := min(left, step)
		at := len(text)
		text = append(text, make([]byte, part)...)
		if _, err := io.ReadFull(r.in, text[at:]); err != nil {
			return nil, midway(err)
		}
		left -= part
	}
	return cutEnd(text)
}

func (r *Reader) elements(n int64, depth int) ([]Value, error) {
	if depth == MaxDepth {
		return nil, fmt.Errorf("%w: arrays in more than %d arrays", ErrMalformed, MaxDepth)
	}
	var values []Value
	for range n {
		v, err := r.read(depth + 1)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// midway is err where a value had begun.
func midway(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
