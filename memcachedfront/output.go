package memcachedfront

import (
	"bytes"
	"slices"
)

// minLent is the length in bytes from which on a value is sent from where it
// lies. Copying a shorter one costs less than sending it as a piece of its own.
const minLent = 64 << 10

// output is answers on their way to a client: text, and large values that stand
// in it without having been copied.
type output struct {
	text []byte
	lent []lent // ascending by at
	size int    // of the values in lent, in bytes
}

// lent is a value whose place is in front of text[at:]. Its bytes are those of
// the burst's results: valid until the burst is reset.
type lent struct {
	at    int
	value []byte
}

// reset empties o and keeps the memory for text.
func (o *output) reset() {
	clear(o.lent)
	o.text, o.lent, o.size = o.text[:0], o.lent[:0], 0
}

func (o *output) len() int { return len(o.text) + o.size }

// pieces gives all of o. The pieces alias it.
func (o *output) pieces() pieces {
	p := make(pieces, 0, 2*len(o.lent)+1)
	from := 0
	for _, l := range o.lent {
		p = append(p, o.text[from:l.at], l.value)
		from = l.at
	}
	return append(p, o.text[from:])
}

// rest gives what follows the first n bytes of o. It does not depend on o any
// more, but on the values that o was lent.
func (o *output) rest(n int) pieces {
	if len(o.lent) == 0 {
		return pieces{bytes.Clone(o.text[n:])}
	}
	own := output{text: bytes.Clone(o.text), lent: o.lent}
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

// joined gives a copy of the bytes as one slice.
func (p pieces) joined() []byte { return slices.Concat(p...) }

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
