package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"

	"cairn/session"
)

// commit is requests whose results wait for the disk together. Batches reach the
// log in the order of their sequence numbers, which serve as tickets: when a
// batch is durable, so are all with lower tickets.
type commit struct {
	store    *Store
	requests []*request
	batch    *pebble.Batch // nil: they only read
	ticket   uint64        // what must be durable
	begun    time.Time     // when the log got the batch

	bursts []*session.Burst // for complete
}

var commitPool = sync.Pool{New: func() any { return new(commit) }}

func (s *Store) newCommit(ticket uint64, requests ...*request) *commit {
	c := commitPool.Get().(*commit)
	c.store, c.ticket = s, ticket
	c.requests = append(c.requests, requests...)
	return c
}

// promise completes requests, of which the log got batch at begun (nil: they
// changed nothing), when what they show is durable: batches up to ticket.
func (s *Store) promise(requests []*request, batch *pebble.Batch, ticket uint64, begun time.Time) {
	c := s.newCommit(ticket, requests...)
	if !s.awaitsLog() && batch != nil {
		s.counts.commitTimes.Observe(time.Since(begun))
		s.closeBatch(batch)
		batch = nil
	}
	if batch == nil && s.tickets.isDurable(ticket) {
		c.complete()
		return
	}
	c.batch, c.begun = batch, begun
	s.stations.commits.add(c)
}

// promiseReads completes a request of reads when what it shows is durable:
// batches up to ticket.
func (s *Store) promiseReads(r *request, ticket uint64) {
	if s.tickets.isDurable(ticket) {
		r.complete()
		return
	}
	s.stations.commits.add(s.newCommit(ticket, r))
}

// awaitsLog reports whether batches are waited for until the log has them.
func (s *Store) awaitsLog() bool {
	return s.options.Durability.Interval == 0 && !s.options.ExternalLog && !s.options.ReadOnly
}

// await waits until the commit's batch is durable.
func (c *commit) await() {
	s := c.store
	if err := c.batch.SyncWait(); err != nil {
		c.fail(err)
		return
	}
	s.counts.commitTimes.Observe(time.Since(c.begun))
	s.closeBatch(c.batch)
	s.tickets.noteDurable(c.ticket)
}

// fail gives up: the log does not take what was promised. The process must
// end, because only a restart can tell what is on the disk.
func (c *commit) fail(err error) {
	err = fmt.Errorf("engine: sync of the log: %w", err)
	c.store.counts.commitErrors.Add(1)
	for _, r := range c.requests {
		for i := range r.in.Results {
			fail(&r.in.Results[i], err)
		}
	}
	c.store.fatal(err)
}

// refuse completes a commit that came after the store was closed.
func (c *commit) refuse() {
	for _, r := range c.requests {
		r.in.FailAll(session.ErrClosed)
	}
	c.complete()
}

// complete tells the Completers of the requests, each once, and releases the
// commit.
func (c *commit) complete() {
	for requests := c.requests; len(requests) > 0; {
		to, others := requests[0].to, requests[:0]
		for _, r := range requests {
			if r.to == to {
				c.bursts = append(c.bursts, r.in)
				r.release()
			} else {
				others = append(others, r)
			}
		}
		requests = others
		to.Complete(c.bursts)
		clear(c.bursts)
		c.bursts = c.bursts[:0]
	}
	clear(c.requests)
	*c = commit{requests: c.requests[:0], bursts: c.bursts}
	commitPool.Put(c)
}

// syncUpTo makes all batches up to ticket durable.
func (s *Store) syncUpTo(ticket uint64) error {
	if s.tickets.isDurable(ticket) {
		return nil
	}
	return s.syncLog()
}

// settleLog makes all batches that can be seen durable. Their tickets need not
// be known yet: a batch is seen before apply returns.
func (s *Store) settleLog() error {
	if !s.awaitsLog() {
		return nil
	}
	return s.syncLog()
}

// syncLog makes all batches durable that have been applied.
func (s *Store) syncLog() error {
	if !s.doors.enter() {
		return nil // Close has synced everything
	}
	defer s.doors.leave()
	return s.files.log.sync()
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
	err := s.files.log.append(batch, wait)
	if !wait {
		s.tickets.unsynced.Store(true)
	}
	s.counts.commits.Add(1)
	if err != nil {
		s.counts.commitErrors.Add(1)
		s.fatal(fmt.Errorf("engine: commit: %w", err))
	}
	ticket = uint64(batchrepr.ReadSeqNum(header))
	s.tickets.noteApplied(ticket)
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
	if !s.tickets.unsynced.Swap(false) {
		return
	}
	if err := s.files.log.sync(); err != nil {
		s.fatal(fmt.Errorf("engine: sync of the log: %w", err))
	}
}
