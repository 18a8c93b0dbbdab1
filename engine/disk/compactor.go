package disk

import (
	"context"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// compactor is the pebble.CompactionScheduler of a store: it lets as many
// compactions run as Pebble asks for, and none while the store is to be calm.
// Pebble calls TrySchedule with its own lock held, so nothing of Pebble's but
// GetAllowedWithoutPermission is called under mu.
type compactor struct {
	db     pebble.DBForCompaction
	poke   chan struct{} // there may be more to grant
	ended  context.Context
	end    context.CancelFunc
	grants sync.Mutex // held while Pebble is asked what it would compact

	mu      sync.Mutex
	changed *sync.Cond // on mu: running
	running int
	calm    bool
}

// regrantEvery bounds how long a compaction waits that Pebble came to want
// without telling.
const regrantEvery = 100 * time.Millisecond

// newCompactor returns one that is calm until resume: Pebble's Open would wait for a
// compaction that it begins.
func newCompactor() *compactor {
	c := &compactor{poke: make(chan struct{}, 1), calm: true}
	c.changed = sync.NewCond(&c.mu)
	c.ended, c.end = context.WithCancel(context.Background())
	return c
}

func (c *compactor) Register(_ int, db pebble.DBForCompaction) {
	c.db = db
	go c.regrant()
}

func (c *compactor) regrant() {
	ticker := time.NewTicker(regrantEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-c.poke:
		case <-c.ended.Done():
			return
		}
		c.grant()
	}
}

// Unregister returns when no grant is under way any more.
func (c *compactor) Unregister() {
	c.end()
	c.grants.Lock()
	defer c.grants.Unlock()
}

func (c *compactor) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !c.begin() {
		return false, nil
	}
	return true, c
}

func (c *compactor) UpdateGetAllowedWithoutPermission() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// begin counts one more compaction if that may run.
func (c *compactor) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm || c.ended.Err() != nil || c.running >= c.db.GetAllowedWithoutPermission() {
		return false
	}
	c.running++
	return true
}

func (c *compactor) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	c.changed.Broadcast()
}

// grant starts what waits, as far as it may run.
func (c *compactor) grant() {
	c.grants.Lock()
	defer c.grants.Unlock()
	for c.begin() {
		if waiting, _ := c.db.GetWaitingCompaction(); !waiting || !c.db.Schedule(c) {
			c.finish()
			return
		}
	}
}

// Started, MeasureCPU, CumulativeStats and Done make it the
// pebble.CompactionGrantHandle of each compaction.
func (c *compactor) Started()                                                {}
func (c *compactor) MeasureCPU(pebble.CompactionGoroutineKind)               {}
func (c *compactor) CumulativeStats(stats pebble.CompactionGrantHandleStats) {}

func (c *compactor) Done() {
	c.finish()
	c.grant()
}

// quiet lets no compaction begin, and returns when none is running, or ctx
// ends.
func (c *compactor) quiet(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = true
	defer context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})()
	for c.running > 0 && ctx.Err() == nil {
		c.changed.Wait()
	}
	return ctx.Err()
}

func (c *compactor) resume() {
	c.mu.Lock()
	c.calm = false
	c.mu.Unlock()
	c.UpdateGetAllowedWithoutPermission()
}
