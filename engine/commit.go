package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"

	"cairn/session"
)

// commit is a burst whose results wait for the disk. Batches reach the log in
// the order of their sequence numbers, which serve as tickets: when a batch is
// durable, so are all with lower tickets.
type commit struct {
	store  *Store
	in     *session.Burst
	batch  *pebble.Batch // nil: the burst only read
	ticket uint64        // what must be durable
	begun  time.Time     // when the log got the batch
}

var commits = sync.Pool{New: func() any { return new(commit) }}

// promise gives the Commit for a burst of which the log got batch at begun. It
// shows the effects of batches up to ticket.
func (s *Store) promise(in *session.Burst, batch *pebble.Batch, ticket uint64, begun time.Time) session.Commit {
	if s.options.Durability.Interval > 0 {
		s.counts.commitTimes.observe(time.Since(begun))
		s.closeBatch(batch)
		return nil
	}
	c := commits.Get().(*commit)
	*c = commit{store: s, in: in, batch: batch, ticket: ticket, begun: begun}
	return c
}

// promiseReads gives the Commit for a burst that wrote nothing and shows the
// effects of batches up to ticket; nil if there is nothing to wait for.
func (s *Store) promiseReads(in *session.Burst, ticket uint64) session.Commit {
	if s.options.Durability.Interval > 0 || ticket <= s.durable.Load() {
		return nil
	}
	c := commits.Get().(*commit)
	*c = commit{store: s, in: in, ticket: ticket}
	return c
}

// Wait is session.Commit's.
func (c *commit) Wait() {
	s := c.store
	var err error
	if c.batch != nil {
		if err = c.batch.SyncWait(); err == nil {
			s.counts.commitTimes.observe(time.Since(c.begun))
			s.closeBatch(c.batch)
		}
	} else {
		err = s.syncUpTo(c.ticket)
	}
	if err == nil {
		raise(&s.durable, c.ticket)
	} else {
		c.fail(err)
	}
	*c = commit{}
	commits.Put(c)
}

// fail gives up: the log does not take what was promised. The process must
// end, because only a restart can tell what is on the disk.
func (c *commit) fail(err error) {
	err = fmt.Errorf("engine: sync of the log: %w", err)
	c.store.counts.commitErrors.Add(1)
	for i := range c.in.Results {
		fail(&c.in.Results[i], err)
	}
	c.store.fatal(err)
}

// syncUpTo makes all batches up to ticket durable.
func (s *Store) syncUpTo(ticket uint64) error {
	if s.durable.Load() >= ticket {
		return nil
	}
	return s.syncLog()
}

// settleLog makes all batches that can be seen durable. Their tickets need not
// be known yet: a batch is seen before apply returns.
func (s *Store) settleLog() error {
	if s.options.Durability.Interval > 0 {
		return nil
	}
	return s.syncLog()
}

// syncLog makes all batches durable that have been applied.
func (s *Store) syncLog() error {
	if !s.enter() {
		return nil // Close has synced everything
	}
	defer s.leave()
	return s.db.LogData(nil, pebble.Sync)
}

// raise makes the value at least n.
func raise(value *atomic.Uint64, n uint64) {
	for {
		old := value.Load()
		if n <= old || value.CompareAndSwap(old, n) {
			return
		}
	}
}

// apply applies a batch and gives its ticket. When apply returns, the batch is
// visible and on its way to the log; if wait is set, Batch.SyncWait waits until
// it is durable.
func (s *Store) apply(batch *pebble.Batch, wait bool) (ticket uint64) {
	// Where the ticket will stand. Afterwards a batch that is too large for a
	// memtable does not tell it any more: Pebble has taken its bytes.
	header := batch.Repr()[:batchrepr.HeaderLen]
	// Pebble panics if the log has failed before.
	defer func() {
		if r := recover(); r != nil {
			s.fatal(fmt.Errorf("engine: commit: %v", r))
		}
	}()
	var err error
	if wait {
		err = s.db.ApplyNoSyncWait(batch, pebble.Sync)
	} else {
		err = s.db.Apply(batch, pebble.NoSync)
		s.unsynced.Store(true)
	}
	s.counts.commits.Add(1)
	if err != nil {
		s.counts.commitErrors.Add(1)
		s.fatal(fmt.Errorf("engine: commit: %w", err))
	}
	ticket = uint64(batchrepr.ReadSeqNum(header))
	raise(&s.applied, ticket)
	s.trimBatch(batch)
	return ticket
}

func (s *Store) closeBatch(batch *pebble.Batch) {
	if batch == nil {
		return
	}
	if err := batch.Close(); err != nil {
		s.options.Logger.Error("close a batch", "error", err)
	}
}

// sync makes the log durable, in the background of Durability.Interval.
func (s *Store) sync() {
	if !s.unsynced.Swap(false) {
		return
	}
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		s.fatal(fmt.Errorf("engine: sync of the log: %w", err))
	}
}
