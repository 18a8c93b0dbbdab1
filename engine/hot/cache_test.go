package hot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

type fact struct {
	n    uint64
	flag bool
}

// room is what the shards may take together.
func (c *Cache[F]) room() (bytes int64) {
	for i := range c.shards {
		bytes += c.shards[i].capacity
	}
	return bytes
}

func key(n int) []byte { return fmt.Appendf(nil, "key%d", n) }

// value makes one that tells which key and which version it belongs to.
func value(n, version, length int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d/%d ", n, version), (length+7)/8)
}

// Whatever is put and removed, the cache has the newest item of a key or none.
func TestAgreesWithMap(t *testing.T) {
	for _, capacity := range []int64{0, 100, 3000, 50_000, 3 << 20, 100 << 20} {
		r := rand.New(rand.NewPCG(uint64(capacity), 1))
		c := New[fact](capacity)
		type known struct {
			value []byte
			facts fact
			mark  uint64
		}
		want := map[int]*known{}
		hits := 0
		for version := range 40_000 {
			n := r.IntN(500)
			c.Prefetch(key(r.IntN(500))) // changes nothing, whether the key is there or not
			switch r.IntN(8) {
			case 0:
				c.Remove(key(n))
				delete(want, n)
			case 1:
				if r.IntN(10_000) == 0 {
					c.Clear()
					clear(want)
				}
			case 2:
				if r.IntN(5_000) == 0 {
					capacity = capacity/2 + r.Int64N(capacity+1)
					c.Resize(capacity)
				}
			case 3, 4:
				k := &known{value(n, version, max(r.IntN(220)-20, 0)), fact{uint64(version), version%2 == 0}, uint64(version)}
				if mark := c.Put(key(n), k.value, &k.facts); mark != nil {
					mark.Store(k.mark)
				}
				want[n] = k
			default:
				var f fact
				get := c.Get
				if version%2 == 0 {
					get = c.Peek
				}
				v, mark := get(key(n), &f)
				k := want[n]
				switch {
				case mark == nil:
				case k == nil:
					t.Fatalf("key %d has the value %q, but was removed", n, v)
				case !bytes.Equal(v, k.value) || f != k.facts || mark.Load() != k.mark:
					t.Fatalf("key %d has %q, %v, %d, not %q, %v, %d", n, v, f, mark.Load(), k.value, k.facts, k.mark)
				default:
					hits++
				}
			}
			if st := c.Stats(); st.Bytes > c.room() || int(st.Items) > len(want) {
				t.Fatalf("%+v with %d keys", st, len(want))
			}
		}
		for k, item := range c.All() {
			var n int
			fmt.Sscanf(k, "key%d", &n)
			if want[n] == nil || !bytes.Equal(item.Value, want[n].value) || item.Facts != want[n].facts {
				t.Errorf("key %q holds %q", k, item.Value)
			}
		}
		if capacity >= 3<<20 && (int(c.Stats().Items) != len(want) || c.Stats().Evicted > 0) {
			t.Errorf("%d keys, in %d bytes: %+v", len(want), capacity, c.Stats())
		}
		if capacity > 10_000 && hits == 0 {
			t.Errorf("no hits in %d bytes", capacity)
		}
	}
}

func TestFactsHaveNoPointers(t *testing.T) {
	New[struct {
		a [2]struct{ b bool }
		c complex128
	}](0)
	defer func() {
		if recover() == nil {
			t.Error("facts with a string in them were accepted")
		}
	}()
	New[[1]struct {
		a int
		b string
	}](0)
}

// Gaps take no more memory than what fills the cache does, about.
func TestGapsAreTidied(t *testing.T) {
	c := New[fact](minShardBytes)
	var f fact
	const items, length = 200, 500
	for i := range 100_000 {
		c.Put(key(i%items), make([]byte, length), &f)
	}
	s := &c.shards[0]
	if most := wellFilled*s.live + 3*minShardBytes/chunksPerShard; s.total > most || s.evicted > 0 {
		t.Errorf("%d bytes for %d, more than %d, %d items evicted", s.total, s.live, most, s.evicted)
	}
}

// What fits stays, though parts of it are written over and over.
func TestRewritingEvictsNobody(t *testing.T) {
	c := New[fact](1 << 20)
	const resting, busy = 2000, 50
	var f fact
	for n := range resting {
		c.Put(key(n), make([]byte, 200), &f)
	}
	for i := range 200_000 {
		c.Put(key(resting+i%busy), make([]byte, 200), &f)
	}
	if st := c.Stats(); st.Evicted > 0 || st.Items != resting+busy {
		t.Errorf("%+v", st)
	}
}

// When there is not enough room, what is used stays and the rest goes.
func TestUsedItemsStay(t *testing.T) {
	c := New[fact](1 << 20)
	var f fact
	const used = 500
	for n := range used {
		c.Put(key(n), make([]byte, 200), &f)
	}
	for n := used; n < 50_000; n++ {
		c.Put(key(n), make([]byte, 200), &f)
		c.Get(key(n%used), &f)
		c.Peek(key(n-1000), &f) // does not help
	}
	for n := range used {
		if _, mark := c.Get(key(n), &f); mark == nil {
			t.Fatalf("key %d was evicted", n)
		}
	}
	if _, mark := c.Get(key(50_000-20_000), &f); mark != nil {
		t.Error("an item that was not used is still there")
	}
}

// What somebody still refers to does not change when its item goes.
func TestValuesOutliveTheirItems(t *testing.T) {
	c := New[fact](100 << 10)
	var f fact
	var kept [][]byte
	for n := range 5000 {
		c.Put(key(n), value(n, 1, 100), &f)
		v, mark := c.Get(key(n), &f)
		if mark == nil {
			t.Fatal("not there")
		}
		mark.Store(uint64(n))
		kept = append(kept, v)
	}
	for n, v := range kept {
		if !bytes.Equal(v, value(n, 1, 100)) {
			t.Fatalf("the value of key %d has become %q", n, v)
		}
		if len(v) != cap(v) {
			t.Fatal("who appends to a value overwrites what is behind it")
		}
	}
}

// An item without a value that ends where its chunk ends has nothing behind its
// key to point to.
func TestEmptyValueAtTheEnd(t *testing.T) {
	c := New[fact](1000) // chunks as small as items
	for n := range 1000 {
		k := fmt.Appendf(nil, "key%05d", n)
		f := fact{n: uint64(n)}
		c.Put(k, nil, &f)
		if v, mark := c.Get(k, &f); mark == nil || len(v) != 0 || f.n != uint64(n) {
			t.Fatalf("key %q: %q, %v, %v", k, v, f, mark)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := New[fact](2 << 20)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			var f fact
			for i := range 20_000 {
				n := r.IntN(5000)
				switch {
				case i%1000 == 0 && w == 0:
					c.Clear()
				case i%3 == 0:
					f = fact{n: uint64(n)}
					c.Put(key(n), value(n, 0, 1+r.IntN(1000)), &f)
				case i%100 == 1:
					c.Remove(key(n))
				default:
					v, mark := c.Get(key(n), &f)
					if mark == nil {
						continue
					}
					mark.Store(mark.Load() + 1)
					if f.n != uint64(n) || !bytes.HasPrefix(v, fmt.Appendf(nil, "%d/0 ", n)) {
						t.Errorf("key %d holds %q, %v", n, v, f)
					}
				}
			}
		})
	}
	workers.Wait()
}

// The collector must have next to nothing to look at.
func TestFewObjects(t *testing.T) {
	objects := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapObjects
	}
	before := objects()
	c := New[fact](64 << 20)
	var f fact
	for n := range 100_000 {
		c.Put(key(n), make([]byte, 300), &f)
	}
	if more := objects() - before; more > 5000 {
		t.Errorf("%d objects for %d items", more, c.Stats().Items)
	}
	runtime.KeepAlive(c)
}

// placeBytes is about what an item costs in the index.
func TestIndexSize(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var most float64
	for _, items := range []int{100_000, 110_000, 150_000, 200_000} {
		before := heap()
		index := make(map[uint64]place)
		for n := range items {
			index[rand.Uint64()] = place{uint32(n), 0}
		}
		most = max(most, float64(heap()-before)/float64(items))
		runtime.KeepAlive(index)
	}
	if most > placeBytes*5/4 || most < placeBytes/2 {
		t.Errorf("an item takes %.0f bytes in the index", most)
	}
	if unsafe.Sizeof(place{}) != 8 {
		t.Error("a place takes more than a word")
	}
}

func BenchmarkGet(b *testing.B) {
	c, keys := filled()
	var f fact
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, mark := c.Get(keys[i*7919%len(keys)], &f); mark == nil {
			b.Fatal("not there")
		}
	}
}

// BenchmarkPrefetchedGets counts 16 Gets whose keys were prefetched before the first.
func BenchmarkPrefetchedGets(b *testing.B) {
	c, keys := filled()
	var f fact
	b.ReportAllocs()
	for i := 0; b.Loop(); i += 16 {
		for n := i; n < i+16; n++ {
			c.Prefetch(keys[n*7919%len(keys)])
		}
		for n := i; n < i+16; n++ {
			if _, mark := c.Get(keys[n*7919%len(keys)], &f); mark == nil {
				b.Fatal("not there")
			}
		}
	}
}

func BenchmarkPut(b *testing.B) {
	c, keys := filled()
	v := make([]byte, 1800)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Put(keys[i*7919%len(keys)], v, new(fact))
	}
}

// filled is a cache of more than a processor's cache has room for, and its keys.
func filled() (*Cache[fact], [][]byte) {
	c, keys := New[fact](256<<20), make([][]byte, 100_000)
	v := make([]byte, 1800)
	for n := range keys {
		keys[n] = key(n)
		c.Put(keys[n], v, new(fact))
	}
	return c, keys
}
