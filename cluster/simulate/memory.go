package simulate

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Memory is the log of a replica that runs in real time, on a disk that is as fast
// as memory. It outlives the replica, as a disk does.
type Memory struct {
	*raft.MemoryStorage
	confs confs
}

// NewMemory makes the log of a replica that knows its voters and nothing else.
func NewMemory(voters []uint64) *Memory {
	m := &Memory{raft.NewMemoryStorage(), confs{{1, &raftpb.ConfState{Voters: voters}}}}
	err := m.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: new(uint64(1)), Term: new(uint64(1)), ConfState: &raftpb.ConfState{Voters: voters},
	}})
	if err != nil {
		panic(err)
	}
	return m
}

// Append is group.Storage's.
func (m *Memory) Append(message *raftpb.Message, _ bool, done func(error)) {
	err := m.MemoryStorage.Append(message.GetEntries())
	if err == nil && (message.Term != nil || message.Vote != nil || message.Commit != nil) {
		err = m.SetHardState(&raftpb.HardState{Term: message.Term, Vote: message.Vote, Commit: message.Commit})
	}
	done(err)
}

// ConfState is group.Storage's.
func (m *Memory) ConfState(index uint64) *raftpb.ConfState { return m.confs.at(index) }

// SetConf is group.Storage's.
func (m *Memory) SetConf(index uint64, state *raftpb.ConfState) error {
	m.confs = m.confs.set(index, state)
	return nil
}

// Compact is group.Storage's.
func (m *Memory) Compact(index uint64) error {
	if last, err := m.LastIndex(); err != nil || index > last {
		return err
	}
	if err := m.MemoryStorage.Compact(index); err != nil && err != raft.ErrCompacted {
		return err
	}
	return nil
}
