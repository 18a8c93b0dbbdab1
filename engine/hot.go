package engine

import (
	"errors"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"

	"cairn/session"
)

// hot is the cache of entries in front of Pebble. It is coherent because an
// entry is put in only under the lock of its key's stripe: by the writer, after
// its batch was applied, or by a reader that finds that no batch has touched
// the stripe since before it looked. The methods of a nil hot are those of an
// empty cache.
type hot struct {
	cache   *otter.Cache[string, *entry]
	counter *stats.Counter // of what left the cache
	large   int            // Options.largeValue

	// Gets, counted here because writes look into the cache too, and a get
	// that it cannot answer looks twice.
	hits, misses atomic.Int64
}

var errNoHotCache = errors.New("engine: the store was opened without a cache of hot sessions")

// entryOverhead is what an entry costs in memory besides its key and value, in
// bytes: 183 were measured for the entry, the cache's node and its place in the
// hash table; the rest is for what the allocator rounds up.
const entryOverhead = 256

func newHot(capacity int64, large int) (*hot, error) {
	if capacity < 0 {
		return nil, nil
	}
	counter := stats.NewCounter()
	cache, err := otter.New(&otter.Options[string, *entry]{
		MaximumWeight: uint64(capacity),
		StatsRecorder: counter,
		Weigher: func(key string, e *entry) uint32 {
			return uint32(len(key) + len(e.value) + entryOverhead)
		},
	})
	if err != nil {
		return nil, err
	}
	return &hot{cache: cache, counter: counter, large: large}, nil
}

// get gives the entry of a key, or nil.
func (h *hot) get(key []byte, epoch uint32) *entry {
	if h == nil {
		return nil
	}
	e, ok := h.cache.GetIfPresent(borrow(key))
	if !ok || e.epoch != epoch {
		return nil
	}
	return e
}

// peek is get without counting as a use.
func (h *hot) peek(key []byte, epoch uint32) *entry {
	if h == nil {
		return nil
	}
	e, ok := h.cache.GetEntryQuietly(borrow(key))
	if !ok || e.Value.epoch != epoch {
		return nil
	}
	return e.Value
}

// put shares an entry, or lets the disk answer for its key if the cache does not
// take it. The stripe of its key must be locked.
func (h *hot) put(e *entry) {
	switch {
	case h == nil:
	case e.borrowed || e.unread > 0 || !h.keeps(len(e.value)):
		h.cache.Invalidate(e.key)
	default:
		h.cache.Set(e.key, e)
	}
}

// count adds gets that the cache answered and gets that it could not.
func (h *hot) count(hits, misses int64) {
	if h == nil {
		return
	}
	if hits > 0 {
		h.hits.Add(hits)
	}
	if misses > 0 {
		h.misses.Add(misses)
	}
}

// resize changes the memory for the cache of hot sessions to capacity bytes.
func (h *hot) resize(capacity int64) error {
	if h == nil || capacity < 0 {
		return errNoHotCache
	}
	h.cache.SetMaximum(uint64(capacity))
	return nil
}

func (h *hot) clear() {
	if h != nil {
		h.cache.InvalidateAll()
	}
}

func (h *hot) close() {
	if h != nil {
		h.cache.StopAllGoroutines()
	}
}

func (h *hot) stats() session.HotStats {
	if h == nil {
		return session.HotStats{}
	}
	c := h.counter.Snapshot()
	return session.HotStats{
		Items:    int64(h.cache.EstimatedSize()),
		Bytes:    int64(h.cache.WeightedSize()),
		Capacity: int64(h.cache.GetMaximum()),
		Hits:     h.hits.Load(),
		Misses:   h.misses.Load(),
		Evicted:  int64(c.Evictions),
	}
}
