package raftlog

import (
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/log"
)

// Entries is raft.Storage's. Old entries are read from the disk.
func (g *Group) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	q := query{g: g, next: lo, hi: hi, left: maxSize}
	for q.next < hi && !q.full {
		at, err := q.look()
		if err == nil && at.position > 0 {
			err = q.read(at)
		}
		if err != nil {
			return nil, err
		}
	}
	return q.found, nil
}

// query collects entries.
type query struct {
	g     *Group
	next  uint64 // the index of the next one
	hi    uint64
	left  uint64 // bytes
	full  bool
	found []*raftpb.Entry
}

// take adds an entry, if there is room.
func (q *query) take(e *raftpb.Entry) {
	size := uint64(proto.Size(e))
	if size > q.left && len(q.found) > 0 {
		q.full = true
		return
	}
	q.left -= min(size, q.left)
	q.found = append(q.found, e)
	q.next++
}

// span is entries in one record: those before end. What is behind has been
// overwritten since.
type span struct {
	position log.Position
	end      uint64
}

// span returns where the next entry is. g.mu is held.
func (q *query) span() span {
	i := holder(q.g.runs, q.next)
	end := q.hi
	if i+1 < len(q.g.runs) {
		end = min(end, q.g.runs[i+1].index)
	}
	return span{q.g.runs[i].position, end}
}

// look takes what the cache has, or returns what to read next.
func (q *query) look() (at span, err error) {
	g := q.g
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case q.next <= g.base.index:
		return at, raft.ErrCompacted
	case q.hi > g.last+1:
		return at, raft.ErrUnavailable
	}
	cached := g.cache.from(q.next, q.hi)
	if len(cached) == 0 {
		return q.span(), nil
	}
	for _, e := range cached {
		if q.take(e); q.full {
			break
		}
	}
	return at, nil
}

// readAhead is how many records of others are read over for the next one of this
// group, at most.
const readAhead = 64

// errEnough ends a replay.
var errEnough = errors.New("enough")

// read takes entries from the log, from a span on, as long as they follow closely.
func (q *query) read(at span) error {
	err := q.g.store.log.Replay(at.position, func(p log.Position, b []byte) error {
		if p != at.position {
			return nil
		}
		if err := q.decode(b, at.end); err != nil {
			return err
		}
		next, ok := q.after()
		if !ok || next.position <= p || next.position > p+readAhead {
			return errEnough
		}
		at = next
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case errors.Is(err, log.ErrTruncated): // it was compacted meanwhile
		return raft.ErrCompacted
	}
	return err
}

// decode takes the entries of a record that are next, those before end.
func (q *query) decode(b []byte, end uint64) error {
	r, err := decode(b)
	if err != nil {
		return err
	}
	before := q.next
	err = r.entries(func(index, term uint64, kind raftpb.EntryType, data []byte) bool {
		if index == q.next && index < end {
			if data != nil {
				data = append([]byte{}, data...)
			}
			q.take(newEntry(index, term, kind, data))
		}
		return !q.full
	})
	if err == nil && q.next == before && !q.full {
		err = &MissingError{q.g.number, q.next, q.next}
	}
	return err
}

// after returns where the next entry is, if it is to be read from the log.
func (q *query) after() (next span, ok bool) {
	if q.full || q.next >= q.hi {
		return next, false
	}
	g := q.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.next <= g.base.index || q.next > g.last || len(g.cache.from(q.next, q.hi)) > 0 {
		return next, false
	}
	return q.span(), true
}
