package serve

import "sync"

const (
	// arenaSize is the size of an arena in bytes, and minSlot what a connection
	// finds there at least.
	arenaSize = 256 << 10
	minSlot   = 16 << 10
)

// arena is memory that input is read into, one connection's behind the other's.
// It is used again when no turn needs the input any more.
type arena struct {
	buf   []byte
	used  int
	users int // turns, and the loop that reads into it
}

var arenas = sync.Pool{New: func() any { return &arena{buf: make([]byte, arenaSize)} }}

func newArena() *arena {
	a := arenas.Get().(*arena)
	a.users = 1
	return a
}

// letGo says that one user needs the arena no more. It reports whether that was
// the last.
func (a *arena) letGo() bool {
	if a.users--; a.users > 0 {
		return false
	}
	a.used = 0
	arenas.Put(a)
	return true
}

// rewind makes room again if the loop alone uses the arena.
func (a *arena) rewind() {
	if a.users == 1 {
		a.used = 0
	}
}

// slot returns the memory that the next input can be read into.
func (a *arena) slot() []byte { return a.buf[a.used:] }

// full reports whether there is too little room for another connection.
func (a *arena) full() bool { return len(a.buf)-a.used < minSlot }
