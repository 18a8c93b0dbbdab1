package framing

import "io"

// State is how a file of records was found.
type State uint8

const (
	Ended   State = iota // everything was readable, to the end
	Torn                 // the end is missing, as after a crash
	Damaged              // something that had been written whole is unreadable
)

// LogRecords calls fn for each record of the write-ahead log with the given number
// that can be read, also for those behind damage. lost says that something is
// missing between the record and the one before. The record is valid during the
// call. The file is read into memory.
func LogRecords(r io.Reader, number uint64, fn func(record []byte, lost bool) error) (State, error) {
	return readRecords(r, logRules(number), fn)
}

// ManifestRecords is LogRecords for a manifest.
func ManifestRecords(r io.Reader, fn func(record []byte, lost bool) error) (State, error) {
	return readRecords(r, manifestRules, fn)
}

// recordReader puts records together from chunks.
type recordReader struct {
	rules  rules
	data   []byte
	at     int
	record []byte // the pieces so far; nil: the first is still to come
	lost   bool   // since the last record
	state  State
	fn     func(record []byte, lost bool) error
}

func readRecords(r io.Reader, rules rules, fn func([]byte, bool) error) (State, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Damaged, err
	}
	reader := &recordReader{rules: rules, data: data, fn: fn}
	for reader.at < len(data) {
		if more, err := reader.step(); err != nil || !more {
			return reader.state, err
		}
	}
	if reader.record != nil {
		reader.state = max(reader.state, Torn)
	}
	return reader.state, nil
}

// step reads a chunk, or passes over what is none; more is false at the end.
func (r *recordReader) step() (more bool, err error) {
	rest := r.block()
	c, ok := parse(rest)
	switch {
	case ok && r.rules.ends(&c):
		return false, nil
	case ok && r.rules.belongs(&c):
		r.at += c.size
		return true, r.take(&c, rest)
	case len(rest) < syncHeader && (r.at+len(rest))%blockSize == 0 && zero(rest):
		r.at += len(rest)
		return true, nil
	}
	return r.resume(), nil
}

// block is the rest of the block at the present place.
func (r *recordReader) block() []byte {
	end := min(len(r.data), (r.at/blockSize+1)*blockSize)
	return r.data[r.at:end]
}

// take adds a readable chunk, at the start of b, to its record.
func (r *recordReader) take(c *chunk, b []byte) error {
	payload := b[c.size-c.payload : c.size]
	const first, middle, last = 1, 2, 3
	switch piece := (c.kind - 1) % 4; {
	case piece == middle || piece == last:
		if r.record == nil {
			r.damage() // its beginning is gone
			return nil
		}
		r.record = append(r.record, payload...)
		if piece == middle {
			return nil
		}
	default:
		if r.record != nil {
			r.damage()
		}
		r.record = append(make([]byte, 0, len(payload)), payload...)
		if piece == first {
			return nil
		}
	}
	record, lost := r.record, r.lost
	r.record, r.lost = nil, false
	return r.fn(record, lost)
}

func (r *recordReader) damage() { r.lost, r.record, r.state = true, nil, Damaged }

// resume goes on behind what is not readable, unless that is the torn end of the
// file.
func (r *recordReader) resume() bool {
	if !r.proved() {
		r.state = max(r.state, Torn)
		return false
	}
	r.damage()
	r.at = r.next()
	return true
}

// proved reports whether something behind shows that what stands at the present
// place had been written whole.
func (r *recordReader) proved() bool {
	torn, from := int64(r.at), r.at+1
	for start := r.at / blockSize * blockSize; start < len(r.data); start += blockSize {
		block := r.data[start:min(len(r.data), start+blockSize)]
		if r.rules.search(block, max(0, from-start), torn) >= 0 {
			return true
		}
	}
	return false
}

// next is where the next chunk begins: behind the damaged one, as far as that
// says, or at the start of a block. It is never looked for elsewhere, for values
// of clients may hold bytes that look like a chunk.
func (r *recordReader) next() int {
	rest := r.block()
	if c, ok := parseHeader(rest); ok && r.begins(r.at+c.size) {
		return r.at + c.size
	}
	for at := r.at + len(rest); at < len(r.data); at += blockSize {
		if r.begins(at) {
			return at
		}
	}
	return len(r.data)
}

// begins reports whether a readable chunk of the file stands at at.
func (r *recordReader) begins(at int) bool {
	if at >= len(r.data) {
		return false
	}
	c, ok := parse(r.data[at:min(len(r.data), (at/blockSize+1)*blockSize)])
	return ok && (r.rules.belongs(&c) || r.rules.ends(&c))
}
