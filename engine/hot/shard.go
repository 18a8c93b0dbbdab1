package hot

import (
	"sync"
	"unsafe"
)

// shard holds the items of a part of the keys.
type shard[F any] struct {
	mu       sync.Mutex
	index    map[uint64]place // by the hash of the key
	chunks   []chunk          // the oldest first; the newest is being filled
	first    uint32           // number of the oldest chunk
	capacity int64            // in bytes
	total    int64            // bytes of the chunks
	live     int64            // bytes of the items that are in the index
	evicted  int64

	_ [24]byte // keeps the locks of neighbours on cache lines of their own
}

// place is where an item begins: in which chunk, and at which word of it.
type place struct{ chunk, word uint32 }

// chunk is memory for items, in words, so that it is aligned.
type chunk struct {
	words []uint64
	used  uint32 // words
}

const (
	wordBytes = 8

	// placeBytes is what the index takes for an item.
	placeBytes = 32

	// chunksPerShard is how many chunks there are about.
	chunksPerShard = 16

	// Items are not evicted before this part of the capacity is in use.
	fullNumerator, fullDenominator = 3, 4

	// wellFilled is how often the items may fit into the chunks, besides two
	// chunks, before gaps are done away with: that of tidyChunks chunks for each
	// new one.
	wellFilled = 2
	tidyChunks = 2
)

func (s *shard[F]) clear() {
	s.first += uint32(len(s.chunks))
	s.index, s.chunks = make(map[uint64]place), nil
	s.total, s.live = 0, 0
}

// memory returns the bytes that the shard takes.
func (s *shard[F]) memory() int64 { return s.total + placeBytes*int64(len(s.index)) }

// find returns the item with that hash, or nil.
func (s *shard[F]) find(hash uint64) *item[F] {
	p, ok := s.index[hash]
	if !ok {
		return nil
	}
	return itemAt[F](&s.chunks[p.chunk-s.first], p.word)
}

func (s *shard[F]) remove(hash uint64) {
	if it := s.find(hash); it != nil {
		s.live -= it.size
		delete(s.index, hash)
	}
}

// makeRoom sees to it that an item of that size fits.
func (s *shard[F]) makeRoom(size int64) {
	kept := int64(0)
	for len(s.chunks) > 0 && s.memory()+s.needed(size) > s.capacity {
		// Not more than once around: then there are no gaps worth the effort.
		kept += s.dropOldest(kept < s.capacity)
	}
	for range tidyChunks {
		if s.hasRoom(size) || s.total <= wellFilled*s.live+2*s.chunkBytes(size) {
			return
		}
		s.dropOldest(true)
	}
}

// needed returns by how many bytes an item of that size makes the shard grow.
func (s *shard[F]) needed(size int64) int64 {
	if s.hasRoom(size) {
		return placeBytes
	}
	return placeBytes + s.chunkBytes(size)
}

func (s *shard[F]) hasRoom(size int64) bool {
	n := len(s.chunks)
	return n > 0 && size <= wordBytes*int64(len(s.chunks[n-1].words)-int(s.chunks[n-1].used))
}

// chunkBytes returns the size of a new chunk that begins with an item of that size.
func (s *shard[F]) chunkBytes(size int64) int64 {
	return max(s.capacity/chunksPerShard, size) &^ (wordBytes - 1)
}

// add returns the place for a new item of that size, with nothing but size and
// hash filled in.
func (s *shard[F]) add(hash uint64, size int64) *item[F] {
	if !s.hasRoom(size) {
		bytes := s.chunkBytes(size)
		s.chunks = append(s.chunks, chunk{words: make([]uint64, bytes/wordBytes)})
		s.total += bytes
	}
	newest := len(s.chunks) - 1
	c := &s.chunks[newest]
	s.index[hash] = place{s.first + uint32(newest), c.used}
	it := itemAt[F](c, c.used)
	it.hash, it.size = hash, size
	c.used += uint32(size / wordBytes)
	s.live += size
	return it
}

// dropOldest evicts the oldest chunk. If keep is set, it moves the items that
// are worth it to the newest, and gives how many bytes it has moved.
func (s *shard[F]) dropOldest(keep bool) (moved int64) {
	old, number := s.chunks[0], s.first
	s.chunks[0] = chunk{}
	s.chunks = s.chunks[1:]
	s.first++
	s.total -= wordBytes * int64(len(old.words))
	for word := uint32(0); word < old.used; {
		it := itemAt[F](&old, word)
		if p, ok := s.index[it.hash]; ok && p == (place{number, word}) {
			s.live -= it.size
			if keep && (it.used || s.live < s.capacity*fullNumerator/fullDenominator) {
				s.move(it, old.words[word:])
				moved += it.size
			} else {
				delete(s.index, it.hash)
				s.evicted++
			}
		}
		word += uint32(it.size / wordBytes)
	}
	return moved
}

// move copies an item, which begins with words, to the newest chunk.
func (s *shard[F]) move(it *item[F], words []uint64) {
	to := s.add(it.hash, it.size)
	newest := &s.chunks[len(s.chunks)-1]
	n := uint32(it.size / wordBytes)
	// All but the mark, the first word, which somebody may be about to set.
	copy(newest.words[newest.used-n+1:newest.used], words[1:n])
	to.mark.Store(it.mark.Load())
	to.used = false
}

func itemAt[F any](c *chunk, word uint32) *item[F] {
	return (*item[F])(unsafe.Pointer(&c.words[word]))
}
