package group

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/raft/v3"
)

// reads are on their way from coming to being carried out: each waits until a
// leader whom a quorum follows has told how far the log was committed after the
// read came, and until this replica has applied that much.
//
// Readers see the sessions as of the log's clock, which is a part of the state:
// were they ahead of it, an entry on its way, which is applied as of an earlier
// instant, could prolong what they have seen to have expired.
type reads struct {
	life  [8]byte // random: answers to what was asked before a restart are not for us
	last  uint64  // number of the last question
	asked []*questions
	told  []*questions // by the leader, up to which index
}

// questions are reads that ask together.
type questions struct {
	number uint64 // 0: not asked yet, since nobody leads who can tell
	index  uint64 // the answer
	age    int    // ticks since they came
	waits  int    // ticks since they asked
	reads  []*Read
}

// askAgainTicks is after how many ticks without an answer a question is taken to
// be lost.
const askAgainTicks = 2

// read lets reads begin.
func (c *core) read(batch []*Read) {
	q := &questions{reads: batch}
	c.reads.asked = append(c.reads.asked, q)
	c.ask(q)
}

func (c *core) ask(q *questions) {
	q.number, q.waits = 0, 0
	if c.lead == raft.None || c.unsettled() {
		return
	}
	c.reads.last++
	q.number = c.reads.last
	c.node.ReadIndex(binary.BigEndian.AppendUint64(bytes.Clone(c.reads.life[:]), q.number))
}

// unsettled reports whether this node leads and need not know yet all that was committed before
// its term: it was acknowledged, but after a crash the log does not say how far it was. With the
// first entry of the term all before is committed. Raft lets questions wait for that, unless the
// leader is the only voter.
func (c *core) unsettled() bool {
	if !c.leads || len(c.conf.GetVoters()) > 1 || joint(c.conf) {
		return false
	}
	term, err := c.o.Storage.Term(c.node.BasicStatus().GetCommit())
	return err != nil || term != c.term
}

// askLate asks what could not be asked when it came.
func (c *core) askLate() {
	for _, q := range c.reads.asked {
		if q.number == 0 {
			c.ask(q)
		}
	}
}

// askAgain asks another leader than before, or the same in another term.
func (c *core) askAgain() {
	for _, q := range c.reads.asked {
		c.ask(q)
	}
}

// ageReads lets a tick pass for reads.
func (c *core) ageReads() {
	var old []*questions
	keep := func(list []*questions) (kept []*questions) {
		for _, q := range list {
			q.age++
			q.waits++
			if q.age > c.o.PatientTicks {
				old = append(old, q)
			} else {
				kept = append(kept, q)
			}
		}
		return kept
	}
	c.reads.asked, c.reads.told = keep(c.reads.asked), keep(c.reads.told)
	for _, q := range c.reads.asked {
		if q.waits >= askAgainTicks {
			c.ask(q)
		}
	}
	end(old, ErrNoLeader)
}

// confirm takes the answer to a question.
func (r *reads) confirm(state raft.ReadState) {
	own, isOwn := bytes.CutPrefix(state.RequestCtx, r.life[:])
	if !isOwn || len(own) != 8 {
		return
	}
	number := binary.BigEndian.Uint64(own)
	for i, q := range r.asked {
		if q.number == number {
			q.index = state.Index
			r.asked = append(r.asked[:i:i], r.asked[i+1:]...)
			r.told = append(r.told, q)
			return
		}
	}
}

// serveReads lets reads be carried out that have all they wait for.
func (c *core) serveReads() {
	var served []*questions
	waiting := c.reads.told[:0]
	for _, q := range c.reads.told {
		if q.index <= c.applied {
			served = append(served, q)
		} else {
			waiting = append(waiting, q)
		}
	}
	c.reads.told = waiting
	end(served, nil)
}

// stop ends all reads.
func (r *reads) stop() {
	all := append(r.asked, r.told...)
	r.asked, r.told = nil, nil
	end(all, ErrStopped)
}

func end(list []*questions, err error) {
	for _, q := range list {
		for _, read := range q.reads {
			read.Ready(err)
		}
	}
}
