// Package group keeps one replicated log of bursts and lets an engine follow it.
//
// A Group is one replica. Its leader stamps bursts, encodes their values, and
// proposes them; when a quorum of replicas has them on disk, each replica carries
// them out, in the log's order, with the same results. The log is the engine's
// write-ahead log: the engine writes none. DESIGN.md says why it is built as it is.
package group

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"cairn/session"
)

// TickEvery is the time between two ticks: ten without a word from the leader
// lead to an election.
const TickEvery = 75 * time.Millisecond

// Group is one replica of a log, and the engine that follows it. All methods may
// be called by anybody at any time.
type Group struct {
	core    *core
	options Options
	hooks   Hooks

	mu    sync.Mutex // guards the mailbox
	mail  mailbox
	wake  chan struct{}
	apply chan []*raftpb.Message // to the applier; see applyLoop

	status  atomic.Pointer[Status]
	ctx     context.Context // done when the replica stops
	stop    context.CancelFunc
	running sync.WaitGroup
	failed  bool // or closed; guarded by mu
	counts  counts
	appends appends
	ticks   int // of the loop
}

// Hooks are what a Group needs of others. They return quickly.
type Hooks struct {
	// Send sends messages to other nodes, as far as it can.
	Send func(messages []*raftpb.Message)

	// Configured is told who the replicas are from an index on: by Open, of what it
	// begins with, and then by the goroutine that carries out entries, before that entry
	// counts as applied. After a restart it hears of some changes again. Optional.
	Configured func(index uint64, conf *raftpb.ConfState)

	// Changed is told when another node leads, or none.
	Changed func(s Status)

	// Behind is told, by a leader, of a node that needs a copy of the engine: the log
	// begins behind what it has.
	Behind func(node uint64)

	// Sick is told, by a leader, of a node whose replica has something else at an entry
	// than most have: it needs a copy of the engine. It is told again until that node is
	// heard to be without a replica. Optional.
	Sick func(node uint64, most Sum)

	// Failed is told why the replica has stopped: what it would do from here on is
	// not what the others do.
	Failed func(err error)
}

// Status says how a replica is at one moment.
type Status struct {
	Term   uint64
	Leader uint64 // 0: unknown
	Leads  bool   // this node is the leader

	Committed uint64 // index of the log
	Applied   uint64

	Level Level // of the log

	Agreed  uint64 // the latest index at which all replicas were the same, as far as is known; 0: none
	Suspect bool   // this replica differs from most
}

// mailbox is what has come for the core since it was last looked at.
type mailbox struct {
	ticks     int
	messages  []*raftpb.Message
	responses []*raftpb.Message // to the core itself
	writes    []*Write
	reads     []*Read
	applied   uint64
	calls     []func(c *core)
}

func (m *mailbox) empty() bool {
	return m.ticks == 0 && m.messages == nil && m.responses == nil && m.writes == nil && m.reads == nil &&
		m.applied == 0 && m.calls == nil
}

// maxMessages bounds how many messages of others wait: raft sends again what is
// dropped.
const maxMessages = 4096

// Open begins with what storage and engine have. They are used until Close has
// returned, and left open.
func Open(o Options, h Hooks) (*Group, error) {
	c, err := newCore(o)
	if err != nil {
		return nil, err
	}
	g := &Group{
		core: c, options: c.o, hooks: h,
		wake: make(chan struct{}, 1), apply: make(chan []*raftpb.Message, 1),
	}
	g.status.Store(&Status{Term: c.term, Applied: c.applied, Level: c.machine.level()})
	g.ctx, g.stop = context.WithCancel(context.Background())
	c.configure = g.configure
	if h.Configured != nil {
		h.Configured(c.applied, c.conf)
	}
	g.running.Go(g.loop)
	g.running.Go(g.applyLoop)
	g.running.Go(g.maintain)
	return g, nil
}

// Close stops the replica. What waits fails with ErrStopped.
func (g *Group) Close() {
	g.end()
	g.running.Wait()
}

// end lets the replica stop, once. It reports whether it was this call.
func (g *Group) end() bool {
	g.mu.Lock()
	already := g.failed
	g.failed = true
	mail := g.mail
	g.mail = mailbox{}
	g.mu.Unlock()
	g.stop()
	refuse(&mail)
	return !already
}

// refuse fails what nobody will look at.
func refuse(m *mailbox) {
	for _, w := range m.writes {
		w.Done(nil, ErrStopped)
	}
	for _, r := range m.reads {
		r.Ready(ErrStopped)
	}
}

// Status returns how the replica is.
func (g *Group) Status() Status { return *g.status.Load() }

// Clock is the time of the log, which readers of the engine are to use.
func (g *Group) Clock() session.Time { return g.core.machine.clock() }

// Write lets a burst go through the log, if this node leads.
func (g *Group) Write(w *Write) {
	if !g.Status().Leads {
		w.Done(nil, ErrNotLeader)
		return
	}
	if err := g.core.prepare(w); err != nil {
		w.Done(nil, err)
		return
	}
	if w.Burst != nil && w.Burst.Full && g.core.spare.Load() {
		// It would be refused. Another node can take it, as soon as it leads.
		g.SetUnfit(Full, true)
		w.Done(nil, ErrNotLeader)
		return
	}
	if !g.put(func(m *mailbox) { m.writes = append(m.writes, w) }) {
		w.Done(nil, ErrStopped)
	}
}

// Read calls r.Ready when a read may be carried out here.
func (g *Group) Read(r *Read) {
	if !g.put(func(m *mailbox) { m.reads = append(m.reads, r) }) {
		r.Ready(ErrStopped)
	}
}

// Step takes messages of other nodes. They are the group's from now on.
func (g *Group) Step(messages []*raftpb.Message) {
	g.put(func(m *mailbox) {
		if room := maxMessages - len(m.messages); len(messages) > room {
			messages = messages[:max(room, 0)]
		}
		m.messages = append(m.messages, messages...)
	})
}

// Attest lets the replica tell the leader that it has the log up to an index, at which
// the leader has the same entry, and drop what is before.
func (g *Group) Attest(index uint64) {
	g.call(func(c *core) { c.attested = max(c.attested, index) })
}

// Sums are the latest hashes of what this replica had come to, for Hear of the others.
func (g *Group) Sums() []Sum {
	latest, _ := g.core.machine.sums.last(toldSums)
	return latest
}

// Hear takes what another node says of its replica: its Sums, or that it is not there,
// but getting a copy.
func (g *Group) Hear(node uint64, latest []Sum, there bool) {
	g.call(func(c *core) { c.hear(node, latest, there) })
}

// Differs reports whether this replica is known to have had something else at an entry.
func (g *Group) Differs(most Sum) bool {
	latest, _ := g.core.machine.sums.last(keptSums)
	return differs(latest, most)
}

// Transfer asks another node to lead, if this one does.
func (g *Group) Transfer(to uint64) { g.call(func(c *core) { c.transfer(to) }) }

// SetUnfit says whether there is a reason why this node should not lead. Then another
// leads, if one can that should.
func (g *Group) SetUnfit(r Reason, holds bool) {
	g.call(func(c *core) { c.setReason(r, holds) })
}

// Campaign begins an election, if nobody leads and this node has begun none.
func (g *Group) Campaign() { g.call(func(c *core) { c.campaign() }) }

// TransferAny asks whoever has the most of the log to lead instead of this node.
// It returns false if this node does not lead, or nobody else could.
func (g *Group) TransferAny() bool {
	found := make(chan bool, 1)
	g.call(func(c *core) {
		to, _ := c.successor()
		if to != 0 {
			c.transfer(to)
		}
		found <- to != 0
	})
	select {
	case ok := <-found:
		return ok
	case <-g.ctx.Done():
		return false
	}
}

// ask lets f look at the core, and returns what it does.
func (g *Group) ask(f func(c *core) error) error {
	done := make(chan error, 1)
	if !g.call(func(c *core) { done <- f(c) }) {
		return ErrStopped
	}
	select {
	case err := <-done:
		return err
	case <-g.ctx.Done():
		return ErrStopped
	}
}

// Check returns when the replica has answered, whether anybody leads or not.
func (g *Group) Check() error { return g.ask(func(*core) error { return nil }) }

// configure lets the loop apply a change of the configuration.
func (g *Group) configure(e *raftpb.Entry) error {
	var conf *raftpb.ConfState
	err := g.ask(func(c *core) error {
		err := c.applyConf(e)
		conf = c.conf
		return err
	})
	if err == nil && g.hooks.Configured != nil {
		g.hooks.Configured(e.GetIndex(), conf)
	}
	return err
}

// Roster is the one that holds. It is not to be changed.
func (g *Group) Roster() *Roster { return g.core.machine.Roster() }

// ProposeRoster asks the log for another roster, which has the number after that of
// the present one. The log may take it, or not: Roster tells.
func (g *Group) ProposeRoster(next *Roster) error {
	return g.ask(func(c *core) error { return c.proposeRoster(next) })
}

// Replicas are those of the present configuration, and joint says that it is between
// two. There are none if this node does not lead.
func (g *Group) Replicas() (all []Replica, joint_ bool) {
	_ = g.ask(func(c *core) error {
		all, joint_ = c.replicas(), joint(c.conf)
		return nil
	})
	return all, joint_
}

// Change asks the log for another configuration. The log may take it, or not:
// Replicas tell.
func (g *Group) Change(changes []*raftpb.ConfChangeSingle) error {
	return g.ask(func(c *core) error { return c.change(changes) })
}

// Gone says that a node is known not to run any more, and how many nodes are to
// campaign before this one, at the distance of pause, if it led.
func (g *Group) Gone(node uint64, before int, pause time.Duration) {
	g.call(func(c *core) {
		if !c.gone(node, before) {
			return
		}
		time.AfterFunc(time.Duration(before)*pause, func() {
			g.call(func(c *core) {
				if c.dead.node == node && c.dead.term == c.term { // else there is an election, or there was
					c.campaign()
				}
			})
		})
	})
}

// Unreachable says that messages to a node are lost at present.
func (g *Group) Unreachable(node uint64) {
	g.call(func(c *core) { c.node.ReportUnreachable(node) })
}

func (g *Group) call(f func(c *core)) bool {
	return g.put(func(m *mailbox) { m.calls = append(m.calls, f) })
}

// put adds to the mailbox, unless the group has stopped.
func (g *Group) put(add func(m *mailbox)) bool {
	g.mu.Lock()
	if g.failed {
		g.mu.Unlock()
		return false
	}
	add(&g.mail)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return true
}

// loop owns the core.
func (g *Group) loop() {
	defer g.core.stop()
	ticker := time.NewTicker(TickEvery)
	defer ticker.Stop()
	g.round(&mailbox{})
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-ticker.C: // one that is late is one
			g.put(func(m *mailbox) { m.ticks = 1 })
		case <-g.wake:
		}
		g.mu.Lock()
		mail := g.mail
		g.mail = mailbox{}
		g.mu.Unlock()
		if !mail.empty() {
			g.round(&mail)
		}
	}
}

// round lets the core have what has come, and does what it wants.
func (g *Group) round(mail *mailbox) {
	c := g.core
	for _, m := range mail.responses {
		c.step(m)
	}
	if mail.applied > 0 {
		c.done(mail.applied)
	}
	for _, m := range mail.messages {
		c.step(m)
	}
	for range mail.ticks {
		g.tick()
	}
	for _, f := range mail.calls {
		f(c)
	}
	if len(mail.writes) > 0 {
		g.counts.writes.Add(int64(len(mail.writes)))
		c.write(mail.writes)
	}
	if len(mail.reads) > 0 {
		c.read(mail.reads)
	}
	var todo work
	c.take(&todo)
	if len(todo.send) > 0 {
		g.hooks.Send(todo.send)
	}
	for _, m := range todo.append {
		g.append(m)
	}
	if len(todo.apply) > 0 {
		g.handOver(todo.apply)
	}
	g.share()
}

func (g *Group) tick() {
	c := g.core
	c.pass(g.appends.longest(time.Now()))
	if g.ticks++; g.ticks%behindTicks != 0 {
		return
	}
	if g.hooks.Behind != nil {
		for _, node := range c.behind() {
			g.hooks.Behind(node)
		}
	}
	if node, most := c.sick(); node != 0 && g.hooks.Sick != nil {
		g.hooks.Sick(node, most)
	}
}

// behindTicks is how many ticks there are between two looks for replicas that need a
// copy.
const behindTicks = 13

// append lets the log have a message, and sends its responses when it is durable.
func (g *Group) append(m *raftpb.Message) {
	responses := m.GetResponses()
	begun, sync := time.Now(), promises(responses)
	if sync {
		g.appends.begin(begun)
	}
	g.options.Storage.Append(m, sync, func(err error) {
		if err != nil {
			g.fail(err)
			return
		}
		if sync {
			g.appends.end()
			g.counts.appendTimes.Observe(time.Since(begun))
		}
		g.respond(responses)
	})
}

// respond delivers responses of the log and of the machine.
func (g *Group) respond(responses []*raftpb.Message) {
	var own, others []*raftpb.Message
	for _, m := range responses {
		if m.GetTo() == g.options.Node {
			own = append(own, m)
		} else {
			others = append(others, m)
		}
	}
	if len(others) > 0 {
		g.hooks.Send(others)
	}
	if len(own) > 0 {
		g.put(func(m *mailbox) { m.responses = append(m.responses, own...) })
	}
}

// handOver gives messages to the applier, behind those that wait for it.
func (g *Group) handOver(messages []*raftpb.Message) {
	for {
		select {
		case g.apply <- messages:
			return
		case earlier := <-g.apply:
			messages = append(earlier, messages...)
		}
	}
}

// applyLoop carries out what is committed.
func (g *Group) applyLoop() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case messages := <-g.apply:
			for _, m := range messages {
				for _, e := range m.GetEntries() {
					g.counts.appliedSize.Add(int64(len(e.GetData())))
				}
				last, err := g.core.carryOut(m)
				if err != nil {
					g.fail(err)
					return
				}
				g.put(func(mail *mailbox) { mail.applied = max(mail.applied, last) })
				g.respond(m.GetResponses())
			}
		}
	}
}

// fail stops the replica: it answers nothing from now on.
func (g *Group) fail(err error) {
	if g.end() {
		g.hooks.Failed(err)
	}
}

// share lets others know how the replica is.
func (g *Group) share() {
	basic := g.core.node.BasicStatus()
	s := Status{Term: g.core.term, Leader: g.core.lead, Leads: g.core.leads, Committed: basic.GetCommit(), Applied: g.core.applied, Level: g.core.machine.level(), Agreed: g.core.agreed, Suspect: g.core.suspect}
	old := *g.status.Load()
	if s == old {
		return
	}
	g.status.Store(&s)
	if s.Leader != old.Leader || s.Leads != old.Leads {
		g.counts.changes.Add(1)
		g.log(s)
		g.hooks.Changed(s)
	}
}

func (g *Group) log(s Status) {
	l := g.options.Logger
	switch {
	case s.Leads:
		l.Info("this node is the leader", "term", s.Term)
	case s.Leader == 0:
		l.Info("no node is the leader", "term", s.Term)
	default:
		l.Info("another node is the leader", "node", FormatNode(s.Leader), "term", s.Term)
	}
}

// FormatNode is a node's number as people see it.
func FormatNode(id uint64) string { return fmt.Sprintf("%016x", id) }
