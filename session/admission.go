package session

// MaxCommands is the most commands of a Burst that goes through a log. The
// store numbers the versions of a burst by the place of the command in it.
const MaxCommands = 1 << 12

// Admission is what a Burst carries of the place and the moment at which it was
// admitted, besides Now: facts that its commands' results depend on. Applying
// the burst asks nobody else for them, so that it does the same everywhere. The
// zero Admission leaves all of them to the store that applies.
type Admission struct {
	// MaxValue is the largest value, in bytes, that a command may store; 0: the
	// store's own limit.
	MaxValue uint32

	// Full says that the disk's reserve was touched: commands that store values
	// fail with ErrNoSpace.
	Full bool

	// Frames has one element per command, or none at all: the values in the
	// form in which they are to be kept.
	Frames []Frame
}

// Frame is a Command's Value in the form in which a store keeps it. A command
// whose Frame is not empty may have come without its Value.
type Frame struct {
	Codec      uint8  // what the store calls the form; 0: there is no frame
	Dictionary uint32 // what Data was encoded with; 0: none
	RawLen     uint32 // bytes of the Value
	Data       []byte
}

// SizeFrames makes room for the frames of n commands: empty ones, if there are
// none yet.
func (a *Admission) SizeFrames(n int) {
	if len(a.Frames) == n {
		return
	}
	if cap(a.Frames) < n {
		a.Frames = make([]Frame, n)
		return
	}
	a.Frames = a.Frames[:n]
	clear(a.Frames)
}
