package simulate

import "go.etcd.io/raft/v3/raftpb"

// confs are the configurations that a log has had, each from an index on, ascending.
type confs []conf

type conf struct {
	index uint64
	state *raftpb.ConfState
}

// set returns c with what holds from an index on.
func (c confs) set(index uint64, state *raftpb.ConfState) confs {
	for len(c) > 0 && c[len(c)-1].index >= index {
		c = c[:len(c)-1]
	}
	return append(c[:len(c):len(c)], conf{index, state})
}

// at is the one that holds behind the entry at an index.
func (c confs) at(index uint64) *raftpb.ConfState {
	state := new(raftpb.ConfState)
	for _, x := range c {
		if x.index <= index {
			state = x.state
		}
	}
	return state
}
