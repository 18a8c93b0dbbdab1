package group

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Storage is the log of one group on this node. The methods of raft.Storage,
// Append and Compact are called by the group's goroutine only.
type Storage interface {
	raft.Storage

	// Append writes the entries, the hard state and the snapshot of a
	// MsgStorageAppend, as far as it has them. They show in the other methods when
	// it returns. It waits for no disk. done is called once, from any goroutine:
	// when all of it, and of what was appended before, is durable, or with an error
	// when the log has failed for good. Unless sync is set, done may be called at
	// once: only the commit index has moved.
	Append(m *raftpb.Message, sync bool, done func(error))

	// ConfState returns the configuration that held when the entry at index had been
	// applied.
	ConfState(index uint64) *raftpb.ConfState

	// SetConf notes the configuration that holds from an entry on. It is durable when
	// SetConf returns.
	SetConf(index uint64, state *raftpb.ConfState) error

	// Compact drops the entries up to and including index. The term of that
	// one is still known.
	Compact(index uint64) error
}
