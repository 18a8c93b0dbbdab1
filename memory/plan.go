// Package memory says how much memory the process may use, and divides it among
// those who need some.
package memory

import (
	"fmt"
)

// Wishes are what an operator has asked for, in bytes.
type Wishes struct {
	Limit   int64 // what the machine or the control group has; see Limit
	Total   int64 // what the process is to use; 0: a share of Limit
	Cache   int64 // for hot sessions; Unset: what fits, up to DefaultCache
	Buffers int64 // for values on their way in and out; 0: a share of the total

	// Manual says that memtables and the block cache do not lie in Go's heap.
	Manual bool
}

// Plan is how the memory of a process is divided, in bytes. What is left of Total
// is for garbage and for what grows with connections, tables and values in
// flight.
type Plan struct {
	Total      int64
	Cache      int64 // hot sessions; 0: none
	MaxCache   int64 // what Cache may be changed to
	Buffers    int64 // large values on their way in and out
	Memtable   int64 // one of MemtableCount
	BlockCache int64
	GoLimit    int64 // for runtime/debug.SetMemoryLimit

	// Garbage is how much garbage there may be in Go's heap, in percent of what is
	// in use there, for runtime/debug.SetGCPercent.
	Garbage int

	// Warnings say in which way the plan is not what was asked for.
	Warnings []string
}

// Unset is the Wishes.Cache of who has none.
const Unset = -1

const (
	mebibyte = 1 << 20

	// DefaultCache is the memory for hot sessions where there is plenty.
	DefaultCache = 256 * mebibyte

	// MemtableCount is how many memtables there are at most before writes wait.
	MemtableCount = 4

	// MinTotal is the least total that a plan is made for.
	MinTotal = 32 * mebibyte

	// defaultShare and maxShare are the parts of the limit, in tenths, that a
	// process takes by default and at most. The kernel needs some for sockets and
	// for pages of files, and the runtime keeps to its limit only roughly.
	defaultShare, maxShare = 6, 9

	// DefaultShare is the part of the limit that a process takes by default.
	DefaultShare = defaultShare / 10.

	// liveShare is the part of the total, in sixteenths, that may be in use at
	// the same time. The rest is garbage that has not been collected: with less of
	// it the collector would run all the time.
	liveShare = 12

	// buffersShare and tightBuffersShare are one over the part of the total that
	// is for buffers, the latter if the cache needs the rest.
	buffersShare, tightBuffersShare = 5, 16
	minBuffers                      = 4 * mebibyte

	// tablesShare is one over the part of the total that a memtable and the block
	// cache take each, as long as it is less than maxTables.
	tablesShare          = 32
	minTables, maxTables = mebibyte, 32 * mebibyte

	// Who asks for little memory for hot sessions, and says nothing of the total,
	// means the process to be small. tablesOfCache is one over the part of that
	// memory that a memtable and the block cache take each then, but minFollowing
	// at least: small memtables cost writes.
	tablesOfCache = 16
	minFollowing  = 4 * mebibyte

	// garbage is half of Go's own value, which saves memory and costs little, since
	// the collector need not look at sessions. Where the cache is smaller than
	// littleCache there is little to look at, and littleGarbage does.
	garbage, littleGarbage = 50, 25
	littleCache            = 128 * mebibyte

	baseShare, maxBase = 16, 16 * mebibyte // for code, stacks and small things
	minCache           = mebibyte
)

// NewPlan divides the memory. Whatever is wished for, the parts fit into the
// total, and that into the limit: what does not is cut, with a warning.
func NewPlan(w Wishes) *Plan {
	p := new(Plan)
	p.setTotal(&w)
	live := p.Total / 16 * liveShare
	p.Memtable = roundDown(within(p.Total/tablesShare, minTables, w.mostTables()))
	p.BlockCache = p.Memtable
	rest := live - min(p.Total/baseShare, maxBase) - MemtableCount*p.Memtable - p.BlockCache
	p.MaxCache = max(rest-p.leastBuffers(&w), minCache)
	p.setCache(&w, rest)
	p.setBuffers(&w, rest)
	p.Garbage = garbage
	if w.isSmall() {
		p.Garbage = littleGarbage
	}
	p.GoLimit = p.Total
	if w.Manual {
		p.GoLimit -= MemtableCount*p.Memtable + p.BlockCache
	}
	return p
}

// mostTables is what a memtable and the block cache may take at most each.
func (w *Wishes) mostTables() int64 {
	if w.Cache <= 0 || w.Total > 0 {
		return maxTables
	}
	return within(w.Cache/tablesOfCache, minFollowing, maxTables)
}

// isSmall reports whether the process is meant to be small.
func (w *Wishes) isSmall() bool { return w.Cache > 0 && w.Total == 0 && w.Cache < littleCache }

func (p *Plan) setTotal(w *Wishes) {
	most := max(w.Limit/10*maxShare, MinTotal)
	switch p.Total = w.Total; {
	case w.Total == 0:
		p.Total = max(w.Limit/10*defaultShare, MinTotal)
	case w.Total > most:
		p.Total = most
		p.warn("memory-total of %s is cut to %s: the machine or its control group has %s", w.Total, most, w.Limit)
	case w.Total < MinTotal:
		p.Total = MinTotal
		p.warn("memory-total of %s is raised to %s, the least that the server can do with", w.Total, MinTotal)
	}
	if w.Total == 0 && w.Limit < MinTotal {
		p.warn("the machine or its control group has %s of memory, which is less than the %s that the server needs", w.Limit, MinTotal)
	}
}

// leastBuffers returns what buffers keep if the cache takes all else.
func (p *Plan) leastBuffers(w *Wishes) int64 {
	if w.Buffers > 0 {
		return min(w.Buffers, p.Total/buffersShare)
	}
	return max(p.Total/tightBuffersShare, minBuffers)
}

func (p *Plan) setCache(w *Wishes, rest int64) {
	if w.Cache >= 0 {
		p.Cache = min(w.Cache, p.MaxCache)
		if p.Cache < w.Cache {
			p.warn("memory for hot sessions of %s is cut to %s, which is what fits into memory-total of %s; other sessions are read from disk",
				w.Cache, p.Cache, p.Total)
		}
		return
	}
	p.Cache = within(rest-p.Total/buffersShare, minCache, DefaultCache)
}

func (p *Plan) setBuffers(w *Wishes, rest int64) {
	if w.Buffers == 0 {
		p.Buffers = within(rest-p.Cache, p.leastBuffers(w), p.Total/buffersShare)
		return
	}
	p.Buffers = min(w.Buffers, max(rest-p.Cache, p.leastBuffers(w)))
	if p.Buffers < w.Buffers {
		p.warn("buffer-memory of %s is cut to %s, which is what fits into memory-total of %s", w.Buffers, p.Buffers, p.Total)
	}
}

func (p *Plan) warn(format string, sizes ...int64) {
	texts := make([]any, len(sizes))
	for i, n := range sizes {
		texts[i] = Size(n)
	}
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, texts...))
}

func within(n, least, most int64) int64 { return max(min(n, most), least) }

func roundDown(n int64) int64 { return n / mebibyte * mebibyte }
