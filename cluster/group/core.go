package group

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"cairn/engine"
	"cairn/session"
)

// Outcomes of a burst that was not carried out, or of which that is not known.
var (
	// ErrNotLeader: nothing has happened here. Another node may lead.
	ErrNotLeader = errors.New("group: this node is not the leader")

	// ErrLost: this node has lost the lead, or the log did not take the burst. A
	// write may be carried out all the same; to send it again, with the same
	// origin and sequence, is safe.
	ErrLost = errors.New("group: leadership was lost")

	// ErrNoLeader: there was no leader for too long.
	ErrNoLeader = errors.New("group: no leader")

	// ErrStranger: the origin has to register first. Nothing has happened.
	ErrStranger = errors.New("group: unknown origin")

	// ErrForgotten: the burst is below its origin's mark.
	ErrForgotten = errors.New("group: the burst is too old")

	// ErrStopped: this replica has stopped.
	ErrStopped = errors.New("group: the replica has stopped")
)

// Read is a burst of reads, which any replica may carry out.
type Read struct {
	// Ready is called once, from the group's goroutine. If err is nil, the engine
	// of this replica has everything that was acknowledged anywhere before the read
	// came; otherwise err is one of this package's. It returns quickly.
	Ready func(err error)
}

// Options of a replica.
type Options struct {
	Node    uint64 // this node, as the log's configuration names it
	Storage Storage
	Engine  Engine
	Logger  *slog.Logger

	// Number is the group's, from 0 on, of Groups. Default: 1 group. It is never
	// changed.
	Number, Groups uint64

	// Clock is this node's own clock, which the log does not move.
	Clock func() session.Time

	// Latest is the highest level that this node knows. Default: Latest.
	Latest Level

	// ElectionTicks is how many ticks without a leader lead to an election, at
	// least. Default: 10.
	ElectionTicks int

	// ClockEvery is the time between two entries that only move the log's clock.
	// Default: 1 s.
	ClockEvery time.Duration

	// CheckTicks is the number of ticks between two entries that let the replicas be
	// compared. Default: 133, which are 10 s.
	CheckTicks int

	// PatientTicks is for how many ticks a read waits. Default: 133.
	PatientTicks int

	// Unfit tells of another node that it should not lead, if that is known. It returns
	// quickly. Default: of none.
	Unfit func(node uint64) bool

	// LogSize tells how long the node's log is, in bytes. Once that is more than
	// MaxLog, replicas that are away hold the log of the others back no longer:
	// they need a copy of the engine when they are back. Default: it never is.
	LogSize func() int64
	MaxLog  int64
}

func (o *Options) complete() {
	o.Groups = max(o.Groups, 1)
	o.Engine = stride{o.Engine, o.Groups, o.Number}
	if o.Latest == 0 {
		o.Latest = Latest
	}
	if o.ElectionTicks == 0 {
		o.ElectionTicks = 10
	}
	if o.ClockEvery == 0 {
		o.ClockEvery = time.Second
	}
	if o.CheckTicks == 0 {
		o.CheckTicks = 133
	}
	if o.PatientTicks == 0 {
		o.PatientTicks = 133
	}
	if o.Unfit == nil {
		o.Unfit = func(uint64) bool { return false }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

const (
	maxMessageBytes     = 1 << 20
	maxApplyingBytes    = 16 << 20
	maxUncommittedBytes = 64 << 20
	maxInflightMessages = 256
)

// core drives one raft.RawNode. It starts nothing and waits for nothing, so that a
// simulation can do with it what it likes. Its methods must not be called at the
// same time, but for what says so.
type core struct {
	o       Options
	node    *raft.RawNode
	machine *machine
	waiting waiting
	holds   holds

	term    uint64
	lead    uint64
	leads   bool
	applied uint64 // what readers see

	conf      *raftpb.ConfState // who the replicas are
	configure func(e *raftpb.Entry) error
	reasons   Reason // of unfit
	unfit     fitness
	spare     atomic.Bool // this node leads, and another that should may be able to
	alone     int         // for how many ticks there was none

	ticks int            // so far
	heard map[uint64]int // at which tick raft had last heard of each replica, while this node leads

	dead   dead   // the leader that is gone, until there is an election
	former uint64 // who leads, or led last
	silent int    // ticks since a leader was heard, or the term began

	checked     int              // ticks since the last entry that this node proposed to compare the replicas
	told        map[uint64]*told // by the others
	found       finding
	suspect     bool         // this replica differs from most
	agreed      uint64       // the latest index at which all were the same, as far as is known
	reported    uint64       // the latest index of which it was reported that replicas differ
	differences atomic.Int64 // that were reported

	ticked session.Time // the instant of the last tick that was proposed here
	reads  reads

	// attested is the index up to which this replica tells each leader that it has
	// the log, until it is sent entries: a leader whose log begins later than what it
	// believes this replica to have would never find out. 0: no more.
	attested uint64
	extra    []*raftpb.Message // to be sent
}

func newCore(o Options) (*core, error) {
	o.complete()
	m, err := newMachine(o.Engine, o.Latest)
	if err != nil {
		return nil, err
	}
	c := &core{o: o, machine: m, applied: o.Engine.Applied().Index, heard: map[uint64]int{}}
	c.waiting.init()
	m.from = c.waiting.from
	first, err := o.Storage.FirstIndex()
	if err != nil {
		return nil, err
	}
	c.applied = max(c.applied, first-1) // what is before the log's begin has no commands
	c.attested = c.applied
	c.conf, c.configure = o.Storage.ConfState(c.applied), c.applyConf
	if _, err := rand.Read(c.reads.life[:]); err != nil {
		return nil, err
	}
	c.node, err = raft.NewRawNode(&raft.Config{
		ID:                        o.Node,
		ElectionTick:              o.ElectionTicks,
		HeartbeatTick:             1,
		Storage:                   raised{o.Storage, c.applied, c.conf},
		Applied:                   c.applied,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             maxMessageBytes,
		MaxCommittedSizePerReady:  maxApplyingBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes,
		MaxInflightMsgs:           maxInflightMessages,
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    raftLogger{o.Logger},
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// raised makes the commit index of a storage at least what the engine has applied:
// it was committed then, though the storage need not have heard of it. The
// configuration is the one that held then: later ones are applied again.
type raised struct {
	raft.Storage
	applied uint64
	conf    *raftpb.ConfState
}

func (r raised) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	hard, _, err := r.Storage.InitialState()
	if err != nil || raft.IsEmptyHardState(hard) || hard.GetCommit() >= r.applied {
		return hard, r.conf, err
	}
	return &raftpb.HardState{Term: hard.Term, Vote: hard.Vote, Commit: &r.applied}, r.conf, nil
}

// tick lets a tick of time pass.
func (c *core) tick() {
	c.noteHeard()
	c.node.Tick()
	c.observe()
	c.mourn()
	c.seek()
	c.ageReads()
	c.check()
	if c.yield() {
		c.alone = 0
	} else {
		c.alone++
	}
	c.spare.Store(c.leads && c.alone < c.o.ElectionTicks) // who is there is heard by then
	if !c.leads {
		return
	}
	if c.unfit == never {
		return
	}
	if data := c.clockEntry(); data != nil {
		_ = c.propose(data) // or the next tick will
	}
}

// noteHeard notes which replicas raft has heard of, before it forgets that at a tick.
func (c *core) noteHeard() {
	c.ticks++
	if !c.leads {
		return
	}
	c.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if p.RecentActive {
			c.heard[id] = c.ticks
		}
	})
}

// isThere reports whether a replica was heard of since raft last forgot of whom it has
// heard, or until then.
func (c *core) isThere(id uint64, p *tracker.Progress) bool {
	at, heard := c.heard[id]
	return p.RecentActive || id == c.o.Node || heard && c.ticks-at < c.o.ElectionTicks
}

// clockEntry is the entry that moves the log's clock to this node's, if it is time for
// one; nil: it is not.
func (c *core) clockEntry() []byte {
	now := c.o.Clock()
	if now.Sub(c.ticked).Abs() < c.o.ClockEvery {
		return nil
	}
	c.ticked = now
	return appendTick(nil, now, c.held())
}

// held is up to where all replicas have the log on their disks, as far as a leader
// knows; those that are away do not count if the log is too long.
func (c *core) held() uint64 {
	long := c.o.LogSize != nil && c.o.LogSize() > c.o.MaxLog
	held := c.holds.least()
	c.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if !long || c.isThere(id, &p) {
			held = min(held, p.Match)
		}
	})
	return held
}

// behind are the replicas that are there and need a copy of the engine, since the log
// does not have what they lack.
func (c *core) behind() (nodes []uint64) {
	first, err := c.o.Storage.FirstIndex()
	if err != nil || !c.leads {
		return nil
	}
	c.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if id != c.o.Node && p.RecentActive && p.Match+1 < first {
			nodes = append(nodes, id)
		}
	})
	return nodes
}

// compactable is up to where the log is of no use any more: it is in the engine for
// good, and no replica will ask for it.
func (c *core) compactable() (uint64, error) {
	durable, err := c.o.Engine.DurablePosition()
	return min(durable.Index, c.machine.held.Load()), err
}

// step takes a message from another node or from this node's disk.
func (c *core) step(m *raftpb.Message) {
	if c.dead.led(m) || m.GetType() == raftpb.MsgReadIndex && c.unsettled() { // that is asked again
		return
	}
	defer c.attest(m)
	if err := c.node.Step(m); err != nil {
		c.o.Logger.Debug("raft refuses a message", "type", m.GetType().String(), "error", err)
	}
	c.observe()
	c.listen(m)
	c.learn(m)
	switch {
	case m.GetType() == raftpb.MsgPreVote && (c.dead.node != raft.None || c.leaderless()) && c.compare(m) > 0:
		c.campaignAgain()
	case m.GetType() == raftpb.MsgVote && m.GetTerm() == c.term:
		c.decide(m)
	}
}

// attest tells a leader up to where this replica has the log: what it has applied was
// committed, so every leader has the same.
func (c *core) attest(m *raftpb.Message) {
	switch {
	case c.attested == 0:
	case m.GetType() == raftpb.MsgApp:
		c.attested = 0
	case m.GetType() == raftpb.MsgHeartbeat && c.lead == m.GetFrom() && c.term == m.GetTerm():
		c.extra = append(c.extra, &raftpb.Message{
			Type: raftpb.MsgAppResp.Enum(), From: &c.o.Node, To: new(m.GetFrom()), Term: new(c.term), Index: new(c.attested),
		})
	}
}

// observe notes what has become of the lead.
func (c *core) observe() {
	status := c.node.BasicStatus()
	leads, term := status.RaftState == raft.StateLeader, status.GetTerm()
	if leads == c.leads && term == c.term && status.Lead == c.lead {
		return
	}
	if c.leads && (!leads || term != c.term) {
		c.waiting.lose(c.term)
	}
	if leads || term != c.term {
		c.silent = 0
	}
	c.leads, c.term, c.lead = leads, term, status.Lead
	if c.lead != raft.None {
		c.dead, c.former = dead{}, c.lead
	}
	c.ticked, c.alone, c.checked = 0, 0, 0
	clear(c.heard)
	c.spare.Store(leads)
	c.askAgain()
}

// work is what a core wants to have done.
type work struct {
	send   []*raftpb.Message // to other nodes, in any order, or never
	append []*raftpb.Message // to the log, one after the other
	apply  []*raftpb.Message // to the machine, one after the other
}

// take returns what is to be done. It is called again after anything else was.
func (c *core) take(w *work) {
	w.send = append(w.send, c.extra...)
	c.extra = nil
	for c.node.HasReady() {
		ready := c.node.Ready()
		for _, state := range ready.ReadStates {
			c.reads.confirm(state)
		}
		for _, m := range ready.Messages {
			c.vouch(m)
			switch m.GetTo() {
			case raft.LocalAppendThread:
				w.append = append(w.append, m)
			case raft.LocalApplyThread:
				w.apply = append(w.apply, m)
			default:
				w.send = append(w.send, m)
			}
		}
	}
	c.serveReads()
}

// carryOut applies the entries of a message that take returned for the machine,
// and completes what this node has proposed of them. It may be called at the same
// time as other methods, by one goroutine. Unless there is an error, done is to be
// called after it, with the last index, and the responses of m to be stepped.
func (c *core) carryOut(m *raftpb.Message) (last uint64, err error) {
	for _, e := range m.GetEntries() {
		at := engine.Position{Index: e.GetIndex(), Term: e.GetTerm()}
		if e.GetType() != raftpb.EntryNormal {
			if err := c.configure(e); err != nil {
				return last, err
			}
			if err := c.machine.replayEmpty(at, c.machine.now, nil); err != nil {
				return last, err
			}
			last = at.Index
			continue
		}
		o, err := c.machine.apply(at, e.GetData())
		if err != nil {
			return last, err
		}
		last = at.Index
		c.waiting.complete(&o)
	}
	return last, nil
}

// done notes that the machine has come to an index.
func (c *core) done(index uint64) {
	c.applied = max(c.applied, index)
	c.askLate()
	c.serveReads()
}

// stop fails what waits.
func (c *core) stop() {
	c.reads.stop()
	c.waiting.stop()
}
