package group

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"cairn/engine"
)

// Roster is what a log says of who its replicas are to be. Who they are at present is
// the log's configuration; a leader brings that to the roster step by step.
type Roster struct {
	Number  uint64   `json:"number"`            // of changes so far
	Level   Level    `json:"level"`             // that all nodes know
	Program string   `json:"program,omitempty"` // the version that has raised the level, for people; "": not known
	Size    int      `json:"size"`              // how many voters there are to be
	Leaving []uint64 `json:"leaving,omitempty"` // nodes that are to be none any more
	Joining []uint64 `json:"joining,omitempty"` // nodes that are to be preferred among new ones
}

// ErrChanged is the error of a change of a roster that is another by now, and of one
// whose fate is not known.
var ErrChanged = errors.New("group: the roster may have changed meanwhile")

// LevelError is the error of a node that does not know the level of a log.
type LevelError struct {
	Level   Level  // of the log
	Knows   Level  // the highest that the node knows
	Program string // a version that knows the log's, for people; "": not known
}

func (e *LevelError) Error() string {
	remedy := "a later one"
	if e.Program != "" {
		remedy = fmt.Sprintf("version %s or a later one", e.Program)
	}
	return fmt.Sprintf("the cluster has come to level %d, and this version knows levels up to %d: start %s", e.Level, e.Knows, remedy)
}

func appendRoster(dst []byte, r *Roster) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // it has numbers
	}
	return append(append(dst, formRoster), text...)
}

func decodeRoster(text []byte) (*Roster, error) {
	r := new(Roster)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%w: %v", errEntry, err)
	}
	return r, nil
}

// takeRoster makes r the roster, if it follows the present one.
func (m *machine) takeRoster(at engine.Position, r *Roster) error {
	if r.Number != m.Roster().Number+1 {
		return m.replayEmpty(at, m.now, nil)
	}
	if r.Level > m.latest {
		return &LevelError{r.Level, m.latest, r.Program}
	}
	return m.replayEmpty(at, m.now, func() []engine.Note {
		m.roster.Store(r)
		return []engine.Note{{Key: []byte{noteRoster}, Value: appendRoster(nil, r)[1:]}}
	})
}

// loadRoster takes over a noted roster.
func (m *machine) loadRoster(text []byte) error {
	r, err := decodeRoster(text)
	switch {
	case err != nil:
		return err
	case r.Level > m.latest:
		return &LevelError{r.Level, m.latest, r.Program}
	}
	m.roster.Store(r)
	return nil
}

// Roster is the one as of what is applied. It may be called by anybody, and is not to
// be changed.
func (m *machine) Roster() *Roster { return m.roster.Load() }

// level is that of the log.
func (m *machine) level() Level { return m.Roster().Level }

// proposeRoster lets the roster become next, which was made from the present one.
func (c *core) proposeRoster(next *Roster) error {
	switch {
	case !c.leads || c.unfit == never:
		return ErrNotLeader
	case next.Level < LevelRoster:
		return fmt.Errorf("group: level %d has no rosters", next.Level)
	case next.Number != c.machine.Roster().Number+1:
		return ErrChanged
	}
	if err := c.propose(appendRoster(nil, next)); err != nil {
		return ErrNotLeader
	}
	return nil
}

// Replica is what a leader knows of one.
type Replica struct {
	Node    uint64
	Learner bool
	Active  bool   // heard of lately
	Match   uint64 // up to which index it has the log
}

// replicas are those of the present configuration, if this node leads.
func (c *core) replicas() (all []Replica) {
	if !c.leads {
		return nil
	}
	c.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		all = append(all, Replica{Node: id, Learner: kind == raft.ProgressTypeLearner, Active: p.RecentActive || id == c.o.Node, Match: p.Match})
	})
	return all
}

// joint reports whether a configuration is between two.
func joint(conf *raftpb.ConfState) bool { return len(conf.GetVotersOutgoing()) > 0 }

// change proposes another configuration. Raft makes nothing of it if one is on its way.
func (c *core) change(changes []*raftpb.ConfChangeSingle) error {
	switch {
	case !c.leads:
		return ErrNotLeader
	case joint(c.conf):
		return ErrChanged
	case len(changes) == 0:
		return nil
	}
	if err := c.node.ProposeConfChange(&raftpb.ConfChangeV2{Changes: changes}); err != nil {
		return ErrNotLeader
	}
	return nil
}

// applyConf lets a change of the configuration count from its entry on. It is called
// when what is before that has been carried out, and no other method is running.
func (c *core) applyConf(e *raftpb.Entry) error {
	cc, err := decodeChange(e)
	if err != nil {
		return err
	}
	conf := c.node.ApplyConfChange(cc)
	if err := c.o.Storage.SetConf(e.GetIndex(), conf); err != nil {
		return err
	}
	c.conf = conf
	c.observe()
	return nil
}

func decodeChange(e *raftpb.Entry) (raftpb.ConfChangeI, error) {
	var cc interface {
		raftpb.ConfChangeI
		proto.Message
	} = new(raftpb.ConfChangeV2)
	if e.GetType() == raftpb.EntryConfChange {
		cc = new(raftpb.ConfChange)
	}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return nil, errEntry
	}
	return cc, nil
}

// Contains reports whether a node is a voter or a learner of a configuration.
func Contains(conf *raftpb.ConfState, node uint64) bool {
	return slices.Contains(conf.GetVoters(), node) || slices.Contains(conf.GetVotersOutgoing(), node) ||
		slices.Contains(conf.GetLearners(), node) || slices.Contains(conf.GetLearnersNext(), node)
}
