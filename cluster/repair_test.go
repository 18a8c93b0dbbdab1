package cluster

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/cluster/raftlog"
	"cairn/cluster/snapshot"
	"cairn/log"
)

// A copy may go beyond changes of the configuration that this replica has not carried
// out. It brings the configuration, whether the log has the copy's last entry or not.
func TestCopyBringsConfiguration(t *testing.T) {
	l, err := log.Open(log.Options{Dir: "log", FS: vfs.NewMem(), SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	store, err := raftlog.Open(l, raftlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	g := store.Group(0)
	if err := g.Bootstrap(1, 1, &raftpb.ConfState{Voters: []uint64{1, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	var entries []*raftpb.Entry
	for index := uint64(2); index <= 10; index++ {
		entries = append(entries, &raftpb.Entry{Index: &index, Term: new(uint64(1))})
	}
	durable := make(chan error, 1)
	g.Append(&raftpb.Message{Entries: entries}, true, func(err error) { durable <- err })
	if err := <-durable; err != nil {
		t.Fatal(err)
	}

	for _, copied := range []struct {
		index, term uint64
		voters      []uint64
		last        uint64 // of the log afterwards
	}{
		{5, 1, []uint64{1, 2, 4}, 10},
		{20, 2, []uint64{1, 4, 5}, 20},
	} {
		conf, err := proto.Marshal(&raftpb.ConfState{Voters: copied.voters})
		if err != nil {
			t.Fatal(err)
		}
		if err := beginBehind(g, copied.index, &snapshot.Manifest{Index: copied.index, Term: copied.term, Conf: conf}); err != nil {
			t.Fatal(err)
		}
		if got := g.ConfState(copied.index).GetVoters(); !slices.Equal(got, copied.voters) {
			t.Errorf("the voters behind a copy up to %d are %v, want %v", copied.index, got, copied.voters)
		}
		if last, err := g.LastIndex(); err != nil || last != copied.last {
			t.Errorf("the log ends at %d after a copy up to %d, want %d: %v", last, copied.index, copied.last, err)
		}
	}
}
