package engine

import "cairn/engine/compress"

// compression is how values are kept short. With an external log, dictionaries is
// used under replayed.mu.
type compression struct {
	values       *compress.Values
	dictionaries *compress.Dictionaries
}
