package serve

import (
	"sync"

	"cairn/session"
)

// round is the memory that one turn of serving a connection needs: a burst and
// the answers to it. It is borrowed only while there is something to do.
type round struct {
	burst session.Burst
	out   Output
}

// maxKeptOut is the largest buffer in bytes that is kept for later rounds, and
// maxKeptCommands the largest burst.
const (
	maxKeptOut      = 2 * replyChunk
	maxKeptCommands = 2048
)

var rounds = sync.Pool{New: func() any { return &round{out: Output{Text: make([]byte, 0, 4<<10)}} }}

func newRound() *round { return rounds.Get().(*round) }

// release gives the round back. It keeps neither values nor large buffers
// alive.
func (r *round) release() {
	r.burst.Reset(0)
	r.burst.Room = nil
	r.out.Reset()
	if cap(r.out.Text) <= maxKeptOut && cap(r.burst.Commands) <= maxKeptCommands {
		rounds.Put(r)
	}
}
