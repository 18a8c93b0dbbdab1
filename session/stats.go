package session

import "time"

// Stats are a store's figures at one moment. Counters count from the store's
// opening; gauges describe the moment.
type Stats struct {
	// Items and Bytes count what is live: items, and the bytes of their keys
	// and uncompressed values. They are exact except that an item which
	// expires within the present minute still counts until the minute ends.
	Items int64
	Bytes int64

	TotalItems int64 // counter: items stored

	// Hot is the cache of decoded items in front of the disk.
	Hot HotStats

	// Expired counts items whose expiry passed (to the minute), Dropped the
	// buckets removed whole, Evicted the live items that the disk budget
	// forced out.
	Expired int64
	Dropped int64
	Evicted int64
	Flushes int64 // flush commands carried out

	Commits      int64 // batches committed
	CommitErrors int64 // batches that failed to commit

	// CommitTimes are those of batches, from when the log gets one until it is
	// durable, or applied where nobody waits for that. SyncTimes are those of
	// the log's fsyncs.
	CommitTimes Histogram
	SyncTimes   Histogram

	Disk    DiskStats
	Buckets []BucketStats // ascending by deadline

	Stalled     bool // writes wait for flushes or compactions
	OutOfSpace  bool // writes are refused, see ErrNoSpace
	ReadErrors  int64
	Corruptions int64
}

// Histogram counts how long something took.
type Histogram struct {
	Count uint64
	Sum   time.Duration

	// Bounds are upper bounds, ascending; Counts[i] is how often it took at
	// most Bounds[i] and more than the bound before. What took longer than the
	// last bound is only in Count.
	Bounds []time.Duration
	Counts []uint64
}

// HotStats describe the cache of hot sessions. Hits and misses are those of
// gets, but for ones that only peek.
type HotStats struct {
	Items    int64
	Bytes    int64
	Capacity int64 // bytes
	Hits     int64
	Misses   int64
	Evicted  int64 // entries; the sessions stay on disk
}

// DiskStats describe the files of the store.
type DiskStats struct {
	Bytes         int64 // tables, logs and manifests
	WALBytes      int64 // live write-ahead logs
	MemtableBytes int64
	CacheBytes    int64 // block cache in memory
	CacheHits     int64
	CacheMisses   int64

	// Written since opening, in bytes, by purpose.
	WALWritten        int64
	FlushWritten      int64
	CompactionWritten int64
	UserWritten       int64 // keys and uncompressed values as clients sent them

	Compactions        int64
	CompactionsRunning int64
	CompactionDebt     int64 // bytes
	ReadAmplification  int64 // tables a read may have to look into
	Free, Total        int64 // of the file system, bytes; 0 if unknown
	SlowOperations     int64 // disk operations that took seconds
	WriteStalls        int64
	WriteStallTime     time.Duration
	DictionaryBytes    int64
	Dictionaries       int64
	CompressedIn       int64 // bytes given to the value codec
	CompressedOut      int64 // bytes it produced
	TablesTotal        int64
	ZombieTables       int64 // obsolete, not yet deleted
}

// BucketStats describe one deadline bucket: the records that leave the disk
// together.
type BucketStats struct {
	Deadline  Time // no record in it lives at or after this instant
	DiskBytes int64
}

// ForecastSlot says how much expires in the minute that begins at From.
type ForecastSlot struct {
	From  Time
	Items int64
	Bytes int64
}
