// Package cluster makes one session.Store of several nodes. Each node has a replica
// of every group, and answers every key: reads from its own replica, after a word
// with the group's leader; writes by way of the leader's log.
//
//	group/     one replicated log, and the engine that follows it
//	peer/      connections between nodes
//	simulate/  a virtual world for tests
//
// DESIGN.md says why it is built as it is.
package cluster

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cairn/cluster/group"
	"cairn/engine"
	"cairn/session"
	"cairn/session/codec"
)

// Replica is a group on this node: *group.Group, perhaps with something before it.
type Replica interface {
	Status() group.Status
	Clock() session.Time
	Write(w *group.Write)
	Read(r *group.Read)
}

// Reader is a Replica that is on another node and carries out reads there. Its Read is
// not called.
type Reader interface {
	// ReadBurst carries out a burst of reads, and calls done once, from any
	// goroutine. If err is nil, the burst has its results; session.ErrNeedsLog says
	// that it has to go through the log. It is tried until the deadline.
	ReadBurst(b *session.Burst, deadline time.Time, done func(err error))
}

// Caller asks other nodes: *peer.Peers.
type Caller interface {
	Call(to uint64, body []byte, deadline time.Time, done func(reply []byte, err error))
}

// StoreOptions say what a Store consists of.
type StoreOptions struct {
	Replicas []Replica                      // of all groups, by number
	Engine   func(number int) *engine.Store // which follows one of them; not called where Replicas are Readers
	Caller   Caller
	Clock    func() session.Time // this node's
	Logger   *slog.Logger

	// Patience is how long a burst waits for a leader before it fails. Default: 10 s.
	Patience time.Duration

	// MaxLag is how far the log's clock may be behind the instant of a read that is
	// not to go through the log. Default: 2 s. Negative: not at all.
	MaxLag time.Duration

	// Level is the form of bursts that all nodes know. Default: codec.Latest.
	Level codec.Level
}

const (
	defaultPatience = 10 * time.Second
	defaultMaxLag   = 2 * time.Second

	// maxAhead is how far ahead of the logs' clocks Now may be.
	maxAhead = time.Second
)

// Store is a session.Store over the groups of a cluster.
type Store struct {
	o      StoreOptions
	shards []*shard
	ctx    context.Context
	stop   context.CancelFunc
	counts storeCounts
	scans  scans

	running sync.WaitGroup
}

var (
	_ session.Store = (*Store)(nil)
	_ session.Clock = (*Store)(nil)
	_ session.Owned = (*Store)(nil)
)

type storeCounts struct {
	forwarded, again, unavailable, unknown atomic.Int64
}

// NewStore makes a Store. Changed is to be called from then on.
func NewStore(o StoreOptions) (*Store, error) {
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.MaxLag == 0 {
		o.MaxLag = defaultMaxLag
	}
	if o.Level == 0 {
		o.Level = codec.Latest
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Store{o: o}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for i, r := range o.Replicas {
		d := &shard{store: s, number: uint64(i), replica: r, engine: func() *engine.Store { return o.Engine(i) }}
		if _, err := rand.Read(d.origin[:]); err != nil {
			return nil, err
		}
		d.init()
		s.shards = append(s.shards, d)
	}
	s.running.Go(s.keepKnown)
	return s, nil
}

// keepKnown lets groups know the origins for longer.
func (s *Store) keepKnown() {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			for _, d := range s.shards {
				d.register()
			}
		}
	}
}

// Close lets what waits for a leader fail, and all that comes later. It is called
// before the groups are closed.
func (s *Store) Close() {
	s.stop()
	for _, d := range s.shards {
		d.close()
	}
	s.scans.close()
	s.running.Wait()
}

// Counts are what a Store has counted since it was made.
type Counts struct {
	Forwarded   int64 // bursts sent to another node
	Again       int64 // attempts that had to be repeated
	Unavailable int64 // bursts that failed without an effect, since nobody led for too long
	Unknown     int64 // ... with an outcome that is unknown
}

// Counts returns the present counts.
func (s *Store) Counts() Counts {
	c := &s.counts
	return Counts{c.forwarded.Load(), c.again.Load(), c.unavailable.Load(), c.unknown.Load()}
}

// Changed tells that a group has another leader.
func (s *Store) Changed(number int) { s.shards[number].changed() }

// Now is the clock by which sessions expire: this node's, as long as it is about
// that of the logs.
func (s *Store) Now() session.Time {
	latest := session.Time(0)
	for _, d := range s.shards {
		latest = max(latest, d.replica.Clock())
	}
	now := s.o.Clock()
	if latest == 0 {
		return now
	}
	return max(latest, min(now, latest.Add(maxAhead)))
}

// Try is session.Store's. To know that nobody else leads takes a word with others,
// so nothing can be answered at once.
func (s *Store) Try(*session.Burst) bool { return false }

// Apply is session.Store's. What is said there of crashes holds for the commands of
// one group: a burst is carried out group by group.
func (s *Store) Apply(b *session.Burst, to session.Completer) {
	b.SizeResults()
	if s.whole(b) {
		s.shardOf(b).carryOut(b, to)
		return
	}
	j := &job{b: b, to: to, begun: time.Now()}
	parts := j.split(s)
	j.left.Store(int32(len(parts)))
	if len(parts) == 0 {
		to.Complete([]*session.Burst{b})
		return
	}
	j.begin(parts)
}

// whole reports whether b can go to one group as it is.
func (s *Store) whole(b *session.Burst) bool {
	if len(b.Commands) == 0 || len(b.Commands) > session.MaxCommands || codec.Check(b, s.o.Level) != nil {
		return false
	}
	first, size := groupOf(b.Commands[0].Key, len(s.shards)), 0
	for i := range b.Commands {
		c := &b.Commands[i]
		size += len(c.Value) + len(c.Key)
		if c.Op == session.OpAdopt || len(s.shards) > 1 && (c.Op == session.OpFlush || groupOf(c.Key, len(s.shards)) != first) {
			return false
		}
	}
	return size <= maxPartSize || len(b.Commands) == 1
}

func (s *Store) shardOf(b *session.Burst) *shard {
	return s.shards[groupOf(b.Commands[0].Key, len(s.shards))]
}

// barrier waits until the local replicas have everything that was acknowledged
// anywhere before.
func (s *Store) barrier(ctx context.Context) error {
	errs := make(chan error, len(s.shards))
	for _, d := range s.shards {
		d.replica.Read(&group.Read{Ready: func(err error) { errs <- err }})
	}
	for range s.shards {
		select {
		case err := <-errs:
			if err != nil {
				return readError(err)
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return session.ErrClosed
		}
	}
	return nil
}

// readError is what a read's callers get to see.
func readError(err error) error {
	if err == group.ErrStopped {
		return session.ErrClosed
	}
	return session.ErrUnavailable
}
