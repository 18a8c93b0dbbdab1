package engine

import "sync/atomic"

// tickets are how far the batches have come; see commit. Neither ticket ever falls,
// except that those of a store which waits for no log are all durable.
type tickets struct {
	applied  atomic.Uint64 // batches up to this ticket are visible
	durable  atomic.Uint64 // batches up to this ticket are on the disk
	unsynced atomic.Bool   // batches were applied that nobody waits for
}

// isDurable reports whether nobody needs to wait for the ticket.
func (t *tickets) isDurable(ticket uint64) bool { return ticket <= t.durable.Load() }

// noteApplied notes that batches up to ticket can be seen.
func (t *tickets) noteApplied(ticket uint64) { raise(&t.applied, ticket) }

// noteDurable notes that batches up to ticket are on the disk.
func (t *tickets) noteDurable(ticket uint64) { raise(&t.durable, ticket) }

// neverWait says that no ticket is waited for.
func (t *tickets) neverWait() { t.durable.Store(1<<64 - 1) }

// raise makes the value at least n.
func raise(value *atomic.Uint64, n uint64) {
	for {
		old := value.Load()
		if n <= old || value.CompareAndSwap(old, n) {
			return
		}
	}
}
