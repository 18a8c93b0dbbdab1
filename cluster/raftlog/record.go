package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A record of the log is of one group:
//
//	form   u8       1
//	kind   u8
//	group  uvarint
//	...             by kind
//
// An append has a hard state, perhaps, and entries with consecutive indices. A state
// has all that a group has besides its entries. A reset is a state too; no entry
// before it counts. A removal has nothing.
const recordForm = 1

const (
	kindAppend = iota + 1
	kindState
	kindReset
	kindRemove
)

// errRecord is the error of a record that this version cannot read.
var errRecord = errors.New("the record has an unknown form")

// compacted is the last entry that is not there: its term is still known.
type compacted struct{ index, term uint64 }

// conf is a configuration, from an index on.
type conf struct {
	index uint64
	state *raftpb.ConfState
}

// hardState is a raftpb.HardState; set is whether there is one.
type hardState struct {
	set                bool
	term, vote, commit uint64
}

func (h *hardState) proto() *raftpb.HardState {
	if !h.set {
		return nil
	}
	return &raftpb.HardState{Term: new(h.term), Vote: new(h.vote), Commit: new(h.commit)}
}

// record is a record that was decoded. Its bytes are the log's.
type record struct {
	kind  byte
	group uint64
	hard  hardState
	base  compacted // of a state or reset
	confs []conf    // of a state or reset
	first uint64    // index of the first entry
	rest  []byte    // the encoded entries
	n     uint64    // of entries
}

func appendHead(b []byte, kind byte, group uint64) []byte {
	return binary.AppendUvarint(append(b, recordForm, kind), group)
}

func appendHard(b []byte, h hardState) []byte {
	if !h.set {
		return append(b, 0)
	}
	b = append(b, 1)
	for _, n := range []uint64{h.term, h.vote, h.commit} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// appendEntries adds the record of an append. The entries have consecutive indices.
func appendEntries(b []byte, group uint64, h hardState, entries []*raftpb.Entry) []byte {
	b = appendHard(appendHead(b, kindAppend, group), h)
	b = binary.AppendUvarint(b, uint64(len(entries)))
	if len(entries) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, entries[0].GetIndex())
	for _, e := range entries {
		b = binary.AppendUvarint(b, e.GetTerm())
		b = append(b, byte(e.GetType()))
		if e.GetData() == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(e.GetData()))+1)
		b = append(b, e.GetData()...)
	}
	return b
}

// appendState adds the record of a state or reset.
func appendState(b []byte, kind byte, group uint64, h hardState, base compacted, confs []conf) ([]byte, error) {
	b = appendHard(appendHead(b, kind, group), h)
	b = binary.AppendUvarint(b, base.index)
	b = binary.AppendUvarint(b, base.term)
	b = binary.AppendUvarint(b, uint64(len(confs)))
	for _, c := range confs {
		state, err := proto.Marshal(c.state)
		if err != nil {
			return nil, err
		}
		b = binary.AppendUvarint(b, c.index)
		b = binary.AppendUvarint(b, uint64(len(state)))
		b = append(b, state...)
	}
	return b, nil
}

// decoder reads a record. Its error stays.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) fail() {
	d.b = nil
	if d.err == nil {
		d.err = errRecord
	}
}

func (d *decoder) hard() (h hardState) {
	switch d.byte() {
	case 0:
	case 1:
		h = hardState{true, d.uvarint(), d.uvarint(), d.uvarint()}
	default:
		d.fail()
	}
	return h
}

// decode reads a record, but for its entries.
func decode(b []byte) (r record, err error) {
	d := decoder{b: b}
	if d.byte() != recordForm {
		return r, errRecord
	}
	r.kind, r.group = d.byte(), d.uvarint()
	switch r.kind {
	case kindAppend:
		r.hard = d.hard()
		if r.n = d.uvarint(); r.n > 0 {
			r.first = d.uvarint()
			r.rest = d.b
		}
		if r.n > uint64(len(d.b)) || r.n > 0 && (r.first == 0 || r.first+r.n < r.first) {
			d.fail() // an entry has a byte at least
		}
	case kindState, kindReset:
		r.hard = d.hard()
		r.base = compacted{d.uvarint(), d.uvarint()}
		for range min(d.uvarint(), uint64(len(d.b))) {
			c := conf{d.uvarint(), new(raftpb.ConfState)}
			if err := proto.Unmarshal(d.bytes(d.uvarint()), c.state); err != nil {
				return r, fmt.Errorf("%w: %w", errRecord, err)
			}
			r.confs = append(r.confs, c)
		}
	case kindRemove:
	default:
		d.fail()
	}
	return r, d.err
}

// entries calls visit with the record's entries, in order, until it returns false.
// The data is the record's.
func (r *record) entries(visit func(index, term uint64, kind raftpb.EntryType, data []byte) bool) error {
	d := decoder{b: r.rest}
	for i := range r.n {
		term, kind := d.uvarint(), raftpb.EntryType(d.byte())
		var data []byte
		if size := d.uvarint(); size > 0 {
			data = d.bytes(size - 1)
		}
		if d.err != nil {
			return d.err
		}
		if !visit(r.first+i, term, kind, data) {
			return nil
		}
	}
	return nil
}

// newEntry makes an entry; data is its own from then on.
func newEntry(index, term uint64, kind raftpb.EntryType, data []byte) *raftpb.Entry {
	return &raftpb.Entry{Index: new(index), Term: new(term), Type: kind.Enum(), Data: data}
}
