// Package resp is RESP2, the wire protocol of Redis: it writes commands, and
// reads what comes back out of a buffer or out of a stream. It is pure: it opens
// no sockets, and knows no command.
package resp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// ErrMalformed is the error for bytes that RESP2 does not allow, or that pass
// one of the limits below. The connection they came from cannot be used further.
var ErrMalformed = errors.New("resp: malformed reply")

// Limits on what is read.
const (
	MaxLine     = 8 << 10 // bytes of a line, its end included
	MaxBulk     = 1 << 30 // bytes of a bulk string
	MaxElements = 1 << 20 // of an array
	MaxDepth    = 4       // arrays within arrays
)

// Kind is the first byte of an element.
type Kind byte

// The kinds of elements.
const (
	Simple  Kind = '+' // a line of text
	Error   Kind = '-' // a line of text
	Integer Kind = ':'
	Bulk    Kind = '$' // a string of any bytes
	Array   Kind = '*'
)

// Element is one element on the wire. The elements of an array are not part of
// it: they come behind it, Number of them.
type Element struct {
	Kind   Kind
	Null   bool   // a Bulk or an Array that is not there
	Number int64  // an Integer's value, a Bulk's bytes, an Array's elements
	Text   []byte // of a Simple, an Error or a Bulk
}

// Next reads the element at the start of buf and returns how many bytes it took:
// 0 while it is incomplete, and with an error. Text aliases buf.
func Next(buf []byte) (e Element, n int, err error) {
	end := bytes.IndexByte(buf[:min(len(buf), MaxLine)], '\n')
	if end < 0 {
		if len(buf) >= MaxLine {
			return e, 0, fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, MaxLine)
		}
		return e, 0, nil
	}
	if e, err = parseHead(buf[:end+1]); err != nil {
		return Element{}, 0, err
	}
	n = end + 1
	if e.Kind != Bulk || e.Null {
		return e, n, nil
	}
	if int64(len(buf)-n) < e.Number+2 {
		return Element{}, 0, nil
	}
	if e.Text, err = cutEnd(buf[n : n+int(e.Number)+2]); err != nil {
		return Element{}, 0, err
	}
	return e, n + int(e.Number) + 2, nil
}

// parseHead reads the first line of an element, which for all kinds but Bulk is
// the whole of it. line includes its end; Text aliases it.
func parseHead(line []byte) (Element, error) {
	text, err := cutEnd(line)
	if err != nil || len(text) == 0 {
		return Element{}, malformed(line)
	}
	e := Element{Kind: Kind(text[0])}
	text = text[1:]
	switch e.Kind {
	case Simple, Error:
		e.Text = text
		return e, nil
	case Integer, Bulk, Array:
	default:
		return Element{}, malformed(line)
	}
	if e.Number, err = strconv.ParseInt(string(text), 10, 64); err != nil {
		return Element{}, malformed(line)
	}
	return e, e.checkLength(line)
}

// checkLength turns a length of -1 into Null and refuses what no length can be.
func (e *Element) checkLength(line []byte) error {
	limit := int64(MaxBulk)
	if e.Kind == Array {
		limit = MaxElements
	}
	switch {
	case e.Kind == Integer:
	case e.Number == -1:
		e.Null, e.Number = true, 0
	case e.Number < 0 || e.Number > limit:
		return malformed(line)
	}
	return nil
}

// cutEnd takes the line end off s.
func cutEnd(s []byte) ([]byte, error) {
	text, ok := bytes.CutSuffix(s, []byte("\r\n"))
	if !ok {
		return nil, fmt.Errorf("%w: no line end", ErrMalformed)
	}
	return text, nil
}

func malformed(line []byte) error { return fmt.Errorf("%w: %.100q", ErrMalformed, line) }
