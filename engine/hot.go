package engine

import (
	"errors"
	"sync/atomic"

	"cairn/engine/hot"
	"cairn/session"
)

// hotEntries is the cache of entries in front of Pebble. It is coherent because
// an entry is put in only under the lock of its key's stripe: by the writer,
// after its batch was applied, or by a reader that finds that no batch has
// touched the stripe since before it looked. The methods of a nil hotEntries are
// those of an empty cache.
type hotEntries struct {
	cache *hot.Cache[facts]
	large int // Options.largeValue

	// Gets, counted here because writes look into the cache too, and a get
	// that it cannot answer looks twice.
	hits, misses atomic.Int64
}

var errNoHotCache = errors.New("engine: the store was opened without a cache of hot sessions")

func newHotEntries(capacity int64, large int) *hotEntries {
	if capacity < 0 {
		return nil
	}
	return &hotEntries{cache: hot.New[facts](capacity), large: large}
}

// get makes e the entry of a key, or reports false. The entry refers to key.
func (h *hotEntries) get(e *entry, key []byte, epoch uint32) bool {
	if h == nil {
		return false
	}
	e.value, e.mark = h.cache.Get(key, &e.facts)
	return e.found(key, epoch)
}

// prefetch begins to bring a key's entry into the processor's cache.
func (h *hotEntries) prefetch(key []byte) {
	if h != nil {
		h.cache.Prefetch(key)
	}
}

// peek is get without counting as a use.
func (h *hotEntries) peek(e *entry, key []byte, epoch uint32) bool {
	if h == nil {
		return false
	}
	e.value, e.mark = h.cache.Peek(key, &e.facts)
	return e.found(key, epoch)
}

// found completes an entry from the cache, unless there is none, or a flush has
// made it void.
func (e *entry) found(key []byte, epoch uint32) bool {
	if e.mark == nil || e.epoch != epoch {
		return false
	}
	e.key = key
	e.access = e.mark.Load()
	e.part()
	return true
}

// part takes apart what the cache has in one piece, ext and the value. Ext comes first:
// every get reads it, and there it is in the same line of memory as the key or the next.
func (e *entry) part() {
	e.ext = nil
	if n := int(e.extLen); n > 0 {
		e.ext, e.value = e.value[:n:n], e.value[n:]
	}
}

// put shares an entry, or lets the disk answer for its key if the cache does not
// take it. The stripe of its key must be locked.
func (h *hotEntries) put(e *entry) {
	if h == nil {
		return
	}
	if e.unread > 0 || !h.keeps(len(e.value)) {
		h.cache.Remove(e.key)
		return
	}
	e.extLen = uint8(len(e.ext))
	if e.mark = h.cache.PutParts(e.key, e.ext, e.value, &e.facts); e.mark != nil {
		e.mark.Store(e.access)
	}
}

// count adds gets that the cache answered and gets that it could not.
func (h *hotEntries) count(hits, misses int64) {
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
func (h *hotEntries) resize(capacity int64) error {
	if h == nil || capacity < 0 {
		return errNoHotCache
	}
	h.cache.Resize(capacity)
	return nil
}

func (h *hotEntries) clear() {
	if h != nil {
		h.cache.Clear()
	}
}

func (h *hotEntries) stats() session.HotStats {
	if h == nil {
		return session.HotStats{}
	}
	c := h.cache.Stats()
	return session.HotStats{
		Items:    c.Items,
		Bytes:    c.Bytes,
		Capacity: h.cache.Capacity(),
		Hits:     h.hits.Load(),
		Misses:   h.misses.Load(),
		Evicted:  c.Evicted,
	}
}
