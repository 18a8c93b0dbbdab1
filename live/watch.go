package live

import (
	"bytes"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// backlog is how many commands wait for one who watches and reads slowly.
const backlog = 4096

// Watch is told of single commands.
type Watch struct {
	feed     *Feed
	wanted   Filter
	limit    *rate.Limiter
	commands chan Command
	skipped  atomic.Uint64
}

// Watch begins to be told of the commands that a filter chooses, at most perSecond a
// second. Whoever begins closes it.
func (f *Feed) Watch(wanted Filter, perSecond int) (*Watch, error) {
	w := &Watch{
		feed: f, wanted: wanted,
		limit:    rate.NewLimiter(rate.Limit(perSecond), perSecond),
		commands: make(chan Command, min(backlog, 2*perSecond)),
	}
	return w, f.add(w)
}

// Close ends it.
func (w *Watch) Close() { w.feed.remove(w) }

// Commands are those that were carried out. The channel is never closed.
func (w *Watch) Commands() <-chan Command { return w.commands }

// Skipped returns how many commands were left out since it was last asked.
func (w *Watch) Skipped() uint64 { return w.skipped.Swap(0) }

func (w *Watch) filter() *Filter { return &w.wanted }

func (w *Watch) take(c *Command) {
	if !w.limit.AllowN(c.At, 1) {
		w.skipped.Add(1)
		return
	}
	own := *c
	own.Key = bytes.Clone(c.Key)
	select {
	case w.commands <- own:
	default:
		w.skipped.Add(1)
	}
}
