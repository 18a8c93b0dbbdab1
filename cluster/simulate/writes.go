package simulate

// Writes are those of all disks of a world, numbered from 1 on in the order in which they
// happen. At one of them its node may lose its power. A nil *Writes lets all of them happen.
type Writes struct {
	World *World
	All   []Write // so far

	// Lost is the write at which the node loses its power, 0: none does; and Parts how many
	// of the parts of that write are on the disk then, from its beginning on.
	Lost, Parts int
}

// Write is one write of a disk.
type Write struct {
	Node  uint64
	What  string
	Parts int // a power loss leaves the first of them, all, or none
	Step  int // the event in which it happens
}

// PowerLoss is what Do panics with. Nobody catches it but who lets the world's events
// happen, so that nothing else happens at the node.
type PowerLoss struct{ Node uint64 }

// do lets a write happen, or the power of its node be lost: then it panics with a PowerLoss.
// put puts the first parts of the write on the disk.
func (w *Writes) do(node uint64, what string, parts int, put func(parts int)) {
	if w == nil {
		put(parts)
		return
	}
	w.All = append(w.All, Write{node, what, parts, w.World.Steps})
	if len(w.All) != w.Lost {
		put(parts)
		return
	}
	if w.Parts > 0 {
		put(min(w.Parts, parts))
	}
	panic(PowerLoss{node})
}

// Do lets a write happen that is on the disk as a whole or not at all, or the power of its
// node be lost: then it panics with a PowerLoss.
func (w *Writes) Do(node uint64, what string, put func()) {
	w.do(node, what, 1, func(int) { put() })
}
