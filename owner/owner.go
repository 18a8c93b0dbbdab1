// Package owner finds whose a session is: it reads the user's id from the value
// that an application's session library stored, at a path that a rule names.
//
// It skips over values and builds no trees: a session is looked at each time it is
// stored. Package decode reads the same formats as a whole; what both can read,
// both read alike.
package owner

// Limits of what is looked at. What lies beyond is not found.
const (
	MaxInput = 64 << 10 // bytes of a value, also after decompression
	MaxID    = 1 << 10  // bytes of an id
	maxDepth = 64       // levels of nesting
	maxSteps = 1 << 17  // values passed, again where ** comes back to them
)

// Find returns the owner's id, of at most MaxID bytes, that the first of the paths
// to lead to one finds in a stored value; flags are the client's, in which libraries
// mark compression. An id is text, as it is, or an integer, in decimal.
//
// The id may be a part of value. It is copied, and memory allocated, only where it
// does not stand there as it is: see Append.
func Find(value []byte, flags uint32, paths []Path) (id []byte, ok bool) {
	s := scratches.Get().(*scratch)
	id, inValue := s.find(value, flags, paths)
	if !inValue && id != nil {
		id = append([]byte(nil), id...)
	}
	s.release()
	return id, id != nil
}

// Append is Find that appends a copy of the id to dst: it allocates nothing if dst
// has room for it. Without an id it returns dst as it is.
func Append(dst, value []byte, flags uint32, paths []Path) (extended []byte, ok bool) {
	s := scratches.Get().(*scratch)
	id, _ := s.find(value, flags, paths)
	dst = append(dst, id...)
	s.release()
	return dst, id != nil
}

// find returns an id, nil if there is none, and whether it is a part of value; else
// it is valid until s is used again.
func (s *scratch) find(value []byte, flags uint32, paths []Path) (id []byte, inValue bool) {
	if len(paths) == 0 {
		return nil, false
	}
	data, unwrapped := s.unwrap(value, flags)
	data = data[:min(len(data), MaxInput)]
	s.steps = maxSteps
	for i := range paths {
		if id, copied := s.findPath(data, &paths[i]); id != nil {
			return id, !copied && !unwrapped
		}
	}
	return nil, false
}

// findPath returns what one path finds in data, nil for nothing, and whether that is
// a copy.
func (s *scratch) findPath(data []byte, path *Path) (id []byte, copied bool) {
	format := path.format.in(data)
	if format == unknown {
		return nil, false
	}
	c := cursor{data: data, scratch: s, steps: path.steps, format: format}
	if !c.root() {
		return nil, false
	}
	return c.id, c.copied
}
