package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"cairn/cluster/group"
	"cairn/cluster/peer"
	"cairn/cluster/raftlog"
	"cairn/cluster/snapshot"
	"cairn/engine"
)

// A replica that cannot go on from the log, because the log begins behind what it has
// or because something on its disk cannot be read, or that differs from most others, is
// replaced by a copy of the leader's engine. Meanwhile the node lets others answer for it.

// streamSnapshot is the purpose of connections that bring copies; the group follows.
const streamSnapshot = "snapshot/"

const repairPause = time.Second // between two attempts

// failed is told why a group's replica has stopped.
func (n *Node) failed(i int, err error) {
	var replay *engine.ReplayError
	if !errors.As(err, &replay) {
		n.o.Fatal(fmt.Errorf("the replica of group %d: %w", i, err))
		return
	}
	n.logger.Error("a replica cannot apply the log, and is replaced by a copy of another node's", "group", i, "error", err)
	n.beginRepair(i)
}

// tellBehind tells another node that its replica needs a copy.
func (n *Node) tellBehind(i int, node uint64) {
	log := n.logs.Group(uint64(i))
	first, err := log.FirstIndex()
	if err != nil {
		return
	}
	term, err := log.Term(first - 1)
	if err != nil {
		return // it begins later by now
	}
	body := binary.AppendUvarint([]byte{forwardBehind}, uint64(i))
	n.peers.Call(node, binary.AppendUvarint(binary.AppendUvarint(body, first), term), time.Now().Add(attemptTime), func([]byte, error) {})
}

// isBehind is told by a leader that the replica here needs a copy. It may not: after a
// crash a replica says only up to where it has carried out the log, and has more of it,
// which the leader has dropped for that reason. If the entry before the leader's
// first is the same here, so are all before it, and they were committed.
func (n *Node) isBehind(body []byte) {
	number, rest := cutNumber(body[1:])
	first, rest := cutNumber(rest)
	term, _ := cutNumber(rest)
	g := n.group(number)
	if g == nil || g.Status().Leads || first == 0 {
		return
	}
	log := n.logs.Group(number)
	last, err := log.LastIndex()
	if err != nil {
		return
	}
	if last+1 >= first {
		switch own, err := log.Term(first - 1); {
		case err != nil:
			return // it has got there meanwhile
		case own == term:
			g.Attest(first - 1)
			return
		}
	}
	n.logger.Info("this node was away for too long for the log, and gets a copy of the sessions", "group", number)
	n.beginRepair(int(number))
}

// beginRepair replaces a replica, unless that is under way.
func (n *Node) beginRepair(i int) {
	n.repairs.Lock()
	defer n.repairs.Unlock()
	if n.closing || n.repairing[i] {
		return
	}
	n.repairing[i] = true
	n.running.Go(func() {
		n.repair(i)
		n.repairs.Lock()
		defer n.repairs.Unlock()
		delete(n.repairing, i)
	})
}

// repair replaces a replica. It goes on until that has been done, or the node closes.
func (n *Node) repair(i int) {
	place := (*n.slots.Load())[i]
	if g := place.empty(); g != nil {
		g.Close()
	}
	if e := place.presentEngine(); e != nil {
		if err := e.Close(); err != nil {
			n.logger.Debug("close an engine that is replaced", "error", err)
		}
	}
	begun := time.Now()
	for n.ctx.Err() == nil {
		err := n.fetch(i)
		if err == nil {
			if err = n.openGroup(i); err != nil {
				n.o.Fatal(fmt.Errorf("open the copy of group %d: %w", i, err))
				return
			}
			if n.removed() { // meanwhile: leave has found no replica
				place.retire()
			}
			n.repaired.Add(1)
			n.logger.Info("the sessions of a group are a copy of another node's now", "group", i, "took", time.Since(begun).Round(time.Millisecond))
			return
		}
		n.logger.Debug("no copy of the sessions yet", "group", i, "error", err)
		select {
		case <-n.ctx.Done():
		case <-time.After(repairPause):
		}
	}
}

var errNoLeaderYet = errors.New("cluster: no node that leads can be reached")

// fetch gets a copy from the leader and installs it.
func (n *Node) fetch(i int) error {
	err := errNoLeaderYet
	for _, p := range n.membership.Peers() {
		if !p.Member {
			continue
		}
		err = n.peers.Stream(n.ctx, p.Address, fmt.Sprint(streamSnapshot, i), func(_ peer.Hello, rw io.ReadWriter) error {
			_, err := snapshot.Receive(n.ctx, rw, snapshot.ReceiveOptions{
				FS: vfs.Default, Dir: n.engineOptions(i).Dir, Reserve: max(n.o.Engine.DiskReserve, 0),
			})
			return err
		})
		if err == nil {
			_, err = snapshot.Install(vfs.Default, n.engineOptions(i).Dir, func(m *snapshot.Manifest) error { return n.beginBehind(i, m) })
			return err
		}
	}
	return err
}

// finishInstall does what a crash has interrupted.
func (n *Node) finishInstall(i int, dir string) error {
	_, err := snapshot.Recover(vfs.Default, dir, func(m *snapshot.Manifest) error { return n.beginBehind(i, m) })
	return err
}

// beginBehind lets the log of a group begin behind a copy.
func (n *Node) beginBehind(i int, m *snapshot.Manifest) error {
	return beginBehind(n.logs.Group(uint64(i)), m.Index/uint64(n.membership.Identity().Groups), m)
}

// beginBehind lets a log begin behind a copy, which goes up to index, unless it has that
// entry: then what follows it has been promised to the leader, and stays. The replicas are
// those of the copy in both cases, since the changes before are not carried out here.
func beginBehind(storage *raftlog.Group, index uint64, m *snapshot.Manifest) error {
	conf := new(raftpb.ConfState)
	if err := proto.Unmarshal(m.Conf, conf); err != nil {
		return err
	}
	if term, err := storage.Term(index); err == nil && term == m.Term {
		return storage.SetConf(index, conf)
	}
	durable := make(chan error, 1)
	storage.Append(&raftpb.Message{Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: &index, Term: &m.Term, ConfState: conf,
	}}}, true, func(err error) { durable <- err })
	return <-durable
}

// Stream sends a copy of a group that this node leads.
func (h handler) Stream(from peer.Hello, rw io.ReadWriter) {
	text, ok := strings.CutPrefix(from.Stream, streamSnapshot)
	number, err := strconv.ParseUint(text, 10, 32)
	if !ok || err != nil {
		return
	}
	g := h.group(number)
	if g == nil {
		return
	}
	if s := g.Status(); !s.Leads || s.Suspect {
		return
	}
	if err := h.sendCopy(g, int(number), from.Node, rw); err != nil {
		h.logger.Warn("a copy of the sessions could not be sent to another node", "node", group.FormatNode(from.Node), "error", err)
	}
}

// scratchDir holds checkpoints while they are sent.
const scratchDir = "copies"

// holdAfter is for how long the log stays, after a copy was sent, as the node needs it
// that has got that.
const holdAfter = 30 * time.Second

func (n *Node) sendCopy(g *group.Group, i int, node uint64, rw io.ReadWriter) (err error) {
	fs, scratch := vfs.Default, filepath.Join(n.o.Engine.Dir, scratchDir)
	if err := fs.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	dir := filepath.Join(scratch, fmt.Sprintf("%d-%s", i, group.FormatNode(node)))
	if err := fs.RemoveAll(dir); err != nil {
		return err
	}
	e := (*n.slots.Load())[i].presentEngine()
	conf := func(index uint64) ([]byte, error) {
		return proto.Marshal(n.logs.Group(uint64(i)).ConfState(index / uint64(n.membership.Identity().Groups)))
	}
	release := g.Hold()
	defer time.AfterFunc(holdAfter, release) // the other node has yet to install it
	source, err := snapshot.Take(e, fs, dir, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return snapshot.Send(n.ctx, rw, source, snapshot.SendOptions{})
}
