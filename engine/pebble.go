package engine

import (
	"bytes"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"cairn/engine/record"
	"cairn/processors"
)

const blockBytes = 16 << 10

// pebbleOptions are what makes buckets cheap to probe and to drop; DESIGN.md
// has the measurements.
func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		Lock:                  s.files.lock,
		Cache:                 s.files.blocks,
		DisableWAL:            s.options.ExternalLog,
		FormatMajorVersion:    pebble.FormatValueSeparation,
		Merger:                merger,
		FlushDelayDeleteRange: time.Second,
		L0StopWritesThreshold: 1000,
		LBaseMaxBytes:         64 << 20,
	}
	s.files.disk.Configure(o)
	o.DisableConsistencyCheck = s.options.JustClosed && !s.options.ReadOnly // it looks at each table
	o.CompactionConcurrencyRange = func() (int, int) { return 1, max(1, runtime.NumCPU()/2) }
	o.Experimental.SpanPolicyFunc = s.endAtBuckets
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockBytes
		o.Levels[i].FilterPolicy = newFilters()
	}
	s.options.Compression.configure(o, s.options.MemoryBytes)
	return o
}

// newBlockCache makes the cache of table blocks. Pebble books memtables on the
// same account: one that is filled and one that is flushed.
func newBlockCache(o *Options) *pebble.Cache {
	return pebble.NewCache(o.BlockCacheBytes + 2*o.MemtableBytes)
}

// endAtBuckets is a pebble.SpanPolicyFunc. It makes tables end where buckets
// begin and end, so that a bucket leaves the disk as whole tables. Only buckets
// in the list count: a range deletion spans all possible ones.
func (s *Store) endAtBuckets(start []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	for i := range record.Spaces {
		space := &record.Spaces[i]
		if first, behind := space.Bounds(); bytes.Compare(start, first) < 0 {
			return policy, first, nil
		} else if bytes.Compare(start, behind) < 0 {
			return policy, s.endIn(space, start), nil
		}
	}
	return policy, nil, nil
}

// endIn returns where the first table that begins at start ends, within the
// space of start.
func (s *Store) endIn(space *record.Space, start []byte) []byte {
	_, behind := space.Bounds()
	if !space.Bucketed {
		return behind
	}
	list := s.memory.buckets.all() // descending
	for i := len(list) - 1; i >= 0; i-- {
		if first := space.AppendBucket(nil, list[i]); bytes.Compare(start, first) < 0 {
			return first
		}
		if next := space.AppendBucketEnd(nil, list[i]); bytes.Compare(start, next) < 0 {
			return next
		}
	}
	return behind
}

// zstdBytes is what zstd in Go takes for each processor while a table is written that has
// a block of more than 128 KiB, which a large value makes.
const zstdBytes = 8 << 20

// affordsZstd reports whether that is a sixth of memory, in bytes, at most. 0: there is
// no end of it.
func affordsZstd(memory int64) bool {
	return memory == 0 || int64(processors.Most())*zstdBytes <= memory/6
}

func (c Compression) configure(o *pebble.Options, memory int64) {
	settings := pebble.DBCompressionBalanced
	if !affordsZstd(memory) {
		settings = pebble.DBCompressionFastest
	}
	switch c {
	case CompressionOff:
		settings = pebble.UniformDBCompressionSettings(sstable.NoCompression)
	case CompressionDict:
		// What stands in the upper levels is small already, and soon rewritten.
		for i := range len(settings.Levels) - 1 {
			settings.Levels[i] = sstable.NoCompression
		}
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return settings })
}
