package group

import (
	"sync/atomic"
	"time"

	"cairn/figures"
)

const (
	maintainEvery = 2 * time.Second

	// maxUndurable is how many bytes of entries may be in the log alone before the
	// engine is asked to make them durable itself: it bounds what a start has to
	// apply again.
	maxUndurable = 256 << 20
)

// counts are a replica's since it was opened.
type counts struct {
	changes     atomic.Int64 // of the leader
	writes      atomic.Int64 // proposed here
	appliedSize atomic.Int64 // bytes of entries applied
	appendTimes figures.Histogram
}

// maintain lets the log go of what is of no use any more.
func (g *Group) maintain() {
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	flushed := int64(0) // appliedSize when all of that was made durable
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-ticker.C:
		}
		if applied := g.counts.appliedSize.Load(); applied-flushed > maxUndurable {
			if _, err := g.options.Engine.MakeDurable(g.ctx); err == nil {
				flushed = applied
			}
		}
		index, err := g.core.compactable()
		if err != nil {
			continue
		}
		g.call(func(c *core) {
			if err := c.o.Storage.Compact(index); err != nil {
				g.fail(err)
			}
		})
	}
}

// Figures are what a replica has counted since it was opened.
type Figures struct {
	Differences  int64 // entries at which this replica or another was found to be wrong
	Changes      int64 // of the leader, as it knows
	Writes       int64 // proposed
	AppliedBytes int64
	AppendTimes  figures.Times // from when the log got entries until they were durable
}

// Figures returns the present figures.
func (g *Group) Figures() Figures {
	return Figures{
		Differences: g.core.differences.Load(),
		Changes:     g.counts.changes.Load(), Writes: g.counts.writes.Load(),
		AppliedBytes: g.counts.appliedSize.Load(), AppendTimes: g.counts.appendTimes.Times(),
	}
}

// Plus returns the sums.
func (f Figures) Plus(o Figures) Figures {
	return Figures{f.Differences + o.Differences, f.Changes + o.Changes, f.Writes + o.Writes, f.AppliedBytes + o.AppliedBytes, f.AppendTimes.Plus(o.AppendTimes)}
}
