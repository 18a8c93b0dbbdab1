package serve

import (
	"bytes"
	"slices"
)

const (
	// minLent is the length in bytes from which on a value is sent from where it
	// lies. Copying a shorter one costs less than sending it as a piece of its
	// own.
	minLent = 64 << 10

	// replyChunk is the number of bytes of answers after which they are sent,
	// though there may be more.
	replyChunk = 256 << 10
)

// Output is answers on their way to a client: text, and large values that stand
// in it without having been copied.
type Output struct {
	Text []byte // appended to by Conn.Reply

	lent []lent // ascending by at
	size int    // of the values in lent, in bytes
}

// lent is a value whose place is in front of Text[at:]. Its bytes are those of
// the burst's results: valid until the burst is reset.
type lent struct {
	at    int
	value []byte
}

// AppendValue appends a value of the burst's results to text, which will be
// Text, or lends it to the output.
func (o *Output) AppendValue(text, value []byte) []byte {
	if len(value) < minLent {
		return append(text, value...)
	}
	o.lent = append(o.lent, lent{at: len(text), value: value})
	o.size += len(value)
	return text
}

// Lends reports whether the output refers to values in a burst.
func (o *Output) Lends() bool { return len(o.lent) > 0 }

// Enough reports whether the answers are worth sending before more of them are
// made, when text is to be Text.
func (o *Output) Enough(text []byte) bool { return len(text)+o.size >= replyChunk }

// Len returns the length of all answers in bytes.
func (o *Output) Len() int { return len(o.Text) + o.size }

// Bytes returns a copy of all answers in one piece.
func (o *Output) Bytes() []byte { return o.pieces().joined() }

// Reset empties o and keeps the memory for text.
func (o *Output) Reset() {
	clear(o.lent)
	o.Text, o.lent, o.size = o.Text[:0], o.lent[:0], 0
}

// pieces returns all of o. The pieces alias it.
func (o *Output) pieces() pieces {
	p := make(pieces, 0, 2*len(o.lent)+1)
	from := 0
	for _, l := range o.lent {
		p = append(p, o.Text[from:l.at], l.value)
		from = l.at
	}
	return append(p, o.Text[from:])
}

// rest returns what follows the first n bytes of o. It does not depend on o any
// more, but on the values that o was lent.
func (o *Output) rest(n int) pieces {
	if len(o.lent) == 0 {
		return pieces{bytes.Clone(o.Text[n:])}
	}
	own := Output{Text: bytes.Clone(o.Text), lent: o.lent}
	p := own.pieces()
	p.skip(n)
	return p
}

// pieces are bytes to be sent one piece after the other.
type pieces [][]byte

func (p pieces) len() (n int) {
	for _, piece := range p {
		n += len(piece)
	}
	return n
}

// joined returns a copy of the bytes as one slice.
func (p pieces) joined() []byte { return slices.Concat(p...) }

// first returns the first n bytes, n > 0, without a copy of them.
func (p pieces) first(n int) pieces {
	for i, piece := range p {
		if n < len(piece) {
			first := append(make(pieces, 0, i+1), p[:i]...)
			return append(first, piece[:n])
		}
		if n -= len(piece); n == 0 {
			return p[:i+1]
		}
	}
	return p
}

// skip takes the first n bytes away, and empty pieces behind them.
func (p *pieces) skip(n int) {
	for len(*p) > 0 && n >= len((*p)[0]) {
		n -= len((*p)[0])
		(*p)[0] = nil
		*p = (*p)[1:]
	}
	if n > 0 {
		(*p)[0] = (*p)[0][n:]
	}
}
