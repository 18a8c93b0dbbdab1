package live

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"

	"cairn/session"
)

// maxCounted is how many keys are counted at once. Every key with more than a
// maxCounted-th of all uses is among them.
const maxCounted = 1000

// Counter counts how often keys are used. It keeps a bounded number of them by the
// Space-Saving method (Metwally, Agrawal, El Abbadi 2005): a key that is not counted
// yet takes the place of the one with the fewest uses, and its count.
type Counter struct {
	feed   *Feed
	wanted Filter

	mu    sync.Mutex
	total uint64
	keys  map[string]*counted
	least leastFirst
}

// Use says how often a key was used.
type Use struct {
	Key string

	// Uses is at most Error too high.
	Uses, Error uint64

	// Reads and Writes are those since the key is counted. They add up to Uses less
	// Error.
	Reads, Writes uint64
}

type counted struct {
	Use
	place int // in leastFirst
}

// Count begins to count the keys of commands that a filter chooses. Whoever begins
// closes it.
func (f *Feed) Count(wanted Filter) (*Counter, error) {
	c := &Counter{feed: f, wanted: wanted, keys: make(map[string]*counted)}
	return c, f.add(c)
}

// Close ends counting. What was counted stays.
func (c *Counter) Close() { c.feed.remove(c) }

// Top returns the keys that were used most, those first, and the number of uses of
// all keys.
func (c *Counter) Top(limit int) (top []Use, total uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.least {
		top = append(top, k.Use)
	}
	slices.SortFunc(top, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Uses, a.Uses), cmp.Compare(a.Key, b.Key))
	})
	return top[:min(limit, len(top))], c.total
}

func (c *Counter) filter() *Filter { return &c.wanted }

func (c *Counter) take(cmd *Command) {
	if len(cmd.Key) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	k := c.keys[string(cmd.Key)]
	if k == nil {
		k = c.begin(string(cmd.Key))
	}
	k.Uses++
	if cmd.Op == session.OpGet {
		k.Reads++
	} else {
		k.Writes++
	}
	heap.Fix(&c.least, k.place)
}

// begin makes room for a key that is not counted yet. c.mu is held.
func (c *Counter) begin(key string) *counted {
	if len(c.least) < maxCounted {
		k := &counted{Use: Use{Key: key}}
		c.keys[key] = k
		heap.Push(&c.least, k)
		return k
	}
	k := c.least[0]
	delete(c.keys, k.Key)
	k.Use = Use{Key: key, Uses: k.Uses, Error: k.Uses}
	c.keys[key] = k
	return k
}

// leastFirst is a heap.
type leastFirst []*counted

func (h leastFirst) Len() int           { return len(h) }
func (h leastFirst) Less(i, j int) bool { return h[i].Uses < h[j].Uses }
func (h leastFirst) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *leastFirst) Push(x any) {
	k := x.(*counted)
	k.place = len(*h)
	*h = append(*h, k)
}

// Pop is heap.Interface's. Nothing is removed.
func (h *leastFirst) Pop() any { panic("live: a key cannot be removed") }
