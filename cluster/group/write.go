package group

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/session"
	"cairn/session/codec"
)

// Write is a burst that goes through the log.
type Write struct {
	Origin Origin
	Seq    Sequence
	Mark   Sequence // all bursts of Origin below have been answered
	Burst  *session.Burst

	// Register makes Origin known instead of carrying out a burst.
	Register bool

	// Done is called once, from any goroutine. Results are those of the burst, in
	// the form of package codec; err is one of this package's. It returns quickly.
	Done func(results []byte, err error)

	data   []byte // of the entry
	term   uint64 // in which it was proposed
	number uint64 // among those that wait
}

// maxAhead is how far ahead of the leader's clock the clock of a node may be
// that a burst comes from, before the burst's instants are brought back.
const maxAhead = time.Second

func (c *core) propose(data ...[]byte) error {
	entries := make([]*raftpb.Entry, len(data))
	for i := range data {
		entries[i] = &raftpb.Entry{Data: data[i]}
	}
	return c.node.Step(&raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &c.o.Node, Entries: entries})
}

// prepare makes the entry of a write. It may be called by anybody, before write.
func (c *core) prepare(w *Write) error {
	if w.Register {
		w.data = appendRegister(nil, w.Origin)
		return nil
	}
	c.stamp(w.Burst)
	level := c.machine.level().Codec()
	if err := c.o.Engine.Admit(w.Burst, level); err != nil {
		return err
	}
	data, err := codec.AppendBurst(appendBurstHeader(nil, w.Origin, w.Seq, w.Mark), w.Burst, level)
	w.data = data
	return err
}

// stamp makes the instant of a burst, which may come from another node, that of
// this node's clock, or a little later. What had its effect at once as of the
// former instant has it as of the new one.
func (c *core) stamp(b *session.Burst) {
	came := b.Now
	now := c.o.Clock()
	b.Now = max(now, min(came, now.Add(maxAhead)))
	if b.Now >= came {
		return
	}
	for i := range b.Commands {
		k := &b.Commands[i]
		for _, instant := range []*session.Time{&k.Expiry, &k.FlushAt, &k.VivifyExpiry} {
			if *instant > b.Now && *instant <= came {
				*instant = b.Now
			}
		}
	}
}

// write proposes writes, in their order. Those that this node cannot propose are
// done when it returns.
func (c *core) write(writes []*Write) {
	var data [][]byte
	leads := c.leads && c.unfit != never
	if leads {
		// The log's clock may have stood still for longer than an origin lives, and
		// stands at 0 when the log is new: an origin that registers as of then would be
		// forgotten as soon as the clock moves.
		if tick := c.clockEntry(); tick != nil {
			data = append(data, tick)
		}
	}
	for _, w := range writes {
		if !leads {
			w.Done(nil, ErrNotLeader)
			continue
		}
		w.term = c.term
		c.waiting.add(w)
		data = append(data, w.data)
	}
	if len(data) == 0 {
		return
	}
	if err := c.propose(data...); err != nil {
		c.ticked = 0
		for _, w := range writes {
			c.waiting.fail(w, ErrLost)
		}
	}
}
