package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// stripes order the writers of each key. A stripe stands for all keys that hash
// to it.
type stripes struct {
	table [stripeCount]stripe
}

const stripeCount = 1 << 14

type stripe struct {
	// mu is held from before a writer reads its keys until their new state is
	// in Pebble and in the cache; never while waiting for a sync. Several
	// stripes are locked in ascending order.
	mu sync.Mutex

	// ticket is the latest batch that changed a key of the stripe. It is
	// written under mu.
	ticket atomic.Uint64

	_ [48]byte // keeps neighbours on cache lines of their own
}

func stripeOf(key []byte) uint32 { return uint32(xxh3.Hash(key)) % stripeCount }

// lock locks the stripes with the given numbers. It sorts the numbers and takes
// repeated ones out; the result is what unlock wants.
func (s *stripes) lock(numbers []uint32) []uint32 {
	if len(numbers) > 1 {
		slices.Sort(numbers)
		numbers = slices.Compact(numbers)
	}
	for _, n := range numbers {
		s.table[n].mu.Lock()
	}
	return numbers
}

func (s *stripes) unlock(numbers []uint32) {
	for _, n := range numbers {
		s.table[n].mu.Unlock()
	}
}

// of returns the stripe of that number.
func (s *stripes) of(number uint32) *stripe { return &s.table[number] }

// stamp notes that batch ticket changed a key of the stripe, which is locked.
func (s *stripes) stamp(number uint32, ticket uint64) { s.table[number].ticket.Store(ticket) }

// borrow views b as a string that is valid as long as b is unchanged.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
