// Package hot is a cache in memory that the garbage collector need not search.
//
// A cache of a million objects makes the collector follow a million pointers in
// each of its cycles, and whoever is served meanwhile waits. Here, items are
// copied one behind the other into chunks without pointers, and found by a map
// without pointers. What the collector sees are the chunks.
//
// Chunks are only ever appended to. What Get has given stays unchanged as long as
// somebody refers to it, though the cache may have evicted it. An item that is
// replaced is written anew and leaves a gap. When there is no more room, the
// oldest chunk goes: of the items in it, those that were used since they were
// written move to the newest chunk, like all as long as there are gaps enough;
// the others are evicted. So evictions are those of the CLOCK algorithm (F. J.
// Corbató, A Paging Experiment with the Multics System, 1969).
package hot

import (
	"fmt"
	"iter"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// Cache holds items: a key, a value, and facts about it of a type F without
// pointers. It is safe for concurrent use.
type Cache[F any] struct {
	shards   []shard[F]
	capacity atomic.Int64 // bytes
}

const (
	maxShards = 64

	// minShardBytes is how small shards may become by being many.
	minShardBytes = 1 << 20
)

// New makes a cache that takes at most capacity bytes. It panics if F has
// pointers.
func New[F any](capacity int64) *Cache[F] {
	if t := reflect.TypeFor[F](); hasPointers(t) {
		panic(fmt.Sprintf("hot: %v has pointers", t))
	}
	n := min(max(capacity/minShardBytes, 1), maxShards)
	c := &Cache[F]{shards: make([]shard[F], n)}
	c.capacity.Store(capacity)
	for i := range c.shards {
		c.shards[i].capacity = capacity / n
		c.shards[i].clear()
	}
	return c
}

func hasPointers(t reflect.Type) bool {
	switch k := t.Kind(); k {
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Array:
		return hasPointers(t.Elem())
	default:
		return k > reflect.Complex128
	}
}

func (c *Cache[F]) shard(hash uint64) *shard[F] {
	return &c.shards[(hash>>32)*uint64(len(c.shards))>>32]
}

// Get looks for the item of a key. It fills in facts, and gives the value, which
// must not be changed, and the item's Mark. If there is no such item, mark is
// nil.
func (c *Cache[F]) Get(key []byte, facts *F) (value []byte, mark *Mark) {
	return c.get(key, facts, true)
}

// Peek is Get, but does not count as a use of the item.
func (c *Cache[F]) Peek(key []byte, facts *F) (value []byte, mark *Mark) {
	return c.get(key, facts, false)
}

func (c *Cache[F]) get(key []byte, facts *F, use bool) (value []byte, mark *Mark) {
	hash := xxh3.Hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.find(hash)
	if it == nil || string(it.key()) != string(key) {
		return nil, nil
	}
	it.used = it.used || use
	*facts = it.facts
	return it.value(), &it.mark
}

// Prefetch lets the processor load the beginning of a key's item, if there is one, for a
// Get to come. What a Get costs in a large cache is mostly the wait for that: who has
// many keys to look for prefetches all of them before the first Get.
func (c *Cache[F]) Prefetch(key []byte) {
	hash := xxh3.Hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	it := s.find(hash)
	s.mu.Unlock()
	if it != nil {
		prefetch(unsafe.Pointer(it))
	}
}

// Put makes copies of a key, a value and facts the item of the key, in place of
// the one before, and gives its Mark, which is nil if the item is too large for
// the cache.
func (c *Cache[F]) Put(key, value []byte, facts *F) *Mark { return c.PutParts(key, value, nil, facts) }

// PutParts is Put for the value that begins with one part and ends with the
// other.
func (c *Cache[F]) PutParts(key, begin, end []byte, facts *F) *Mark {
	hash := xxh3.Hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(hash)
	size := sizeOf[F](len(key), len(begin)+len(end))
	if size > s.capacity/2 {
		return nil
	}
	s.makeRoom(size)
	it := s.add(hash, size)
	it.keyLen, it.valueLen, it.facts = uint32(len(key)), uint32(len(begin)+len(end)), *facts
	copy(it.key(), key)
	copy(it.value()[copy(it.value(), begin):], end)
	return &it.mark
}

// Remove removes the item of a key, if there is one.
func (c *Cache[F]) Remove(key []byte) {
	hash := xxh3.Hash(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(hash)
}

// Clear removes all items.
func (c *Cache[F]) Clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.clear()
		s.mu.Unlock()
	}
}

// Capacity returns how many bytes the cache may take.
func (c *Cache[F]) Capacity() int64 { return c.capacity.Load() }

// Resize changes the capacity.
func (c *Cache[F]) Resize(capacity int64) {
	c.capacity.Store(capacity)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.capacity = capacity / int64(len(c.shards))
		s.makeRoom(0)
		s.mu.Unlock()
	}
}

// Stats describe a Cache.
type Stats struct {
	Items   int64
	Bytes   int64 // what the items take, without gaps
	Evicted int64 // items, ever
}

// Stats returns the present figures.
func (c *Cache[F]) Stats() (t Stats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		t.Items += int64(len(s.index))
		t.Bytes += s.live + placeBytes*int64(len(s.index))
		t.Evicted += s.evicted
		s.mu.Unlock()
	}
	return t
}

// All iterates over keys and facts. Who does must not use the cache meanwhile;
// others wait.
func (c *Cache[F]) All() iter.Seq2[string, Item[F]] {
	return func(yield func(string, Item[F]) bool) {
		for i := range c.shards {
			if !c.shards[i].each(yield) {
				return
			}
		}
	}
}

func (s *shard[F]) each(yield func(string, Item[F]) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for hash := range s.index {
		it := s.find(hash)
		if !yield(string(it.key()), Item[F]{it.facts, it.value()}) {
			return false
		}
	}
	return true
}

// Item is what a Cache has of a key.
type Item[F any] struct {
	Facts F
	Value []byte // must not be changed
}

// Mark is a number that belongs to an item for as long as that is neither
// replaced nor removed. It is 0 at first.
type Mark struct{ n atomic.Uint64 }

// Load returns the number.
func (m *Mark) Load() uint64 { return m.n.Load() }

// Store sets the number. One that is set at the moment at which the cache moves
// the item may be lost.
func (m *Mark) Store(n uint64) { m.n.Store(n) }

// item is the head of an item in a chunk. Key and value follow it.
type item[F any] struct {
	mark             Mark
	hash             uint64
	size             int64 // of all, in bytes
	keyLen, valueLen uint32
	used             bool // since it was written
	facts            F
}

// sizeOf returns what an item takes in a chunk: a multiple of the size of a word,
// so that all items are aligned.
func sizeOf[F any](keyLen, valueLen int) int64 {
	var head item[F]
	return (int64(unsafe.Sizeof(head)) + int64(keyLen) + int64(valueLen) + 7) &^ 7
}

func (it *item[F]) key() []byte { return it.bytes(0, it.keyLen) }

func (it *item[F]) value() []byte { return it.bytes(it.keyLen, it.valueLen) }

// bytes returns n of the bytes that follow the head, from the given one on.
func (it *item[F]) bytes(from, n uint32) []byte {
	if n == 0 {
		return nil // there may be nothing behind the item to point to
	}
	first := unsafe.Add(unsafe.Pointer(it), unsafe.Sizeof(*it)+uintptr(from))
	return unsafe.Slice((*byte)(first), n)
}
