package adminapi

import "time"

// Stats are all figures at one moment. Counters count from the start of the
// server and only grow; take differences for rates. The tag metric names the
// figure that a member shows, by which the server fills it in; see
// figures.Samples.
type Stats struct {
	At        time.Time         `json:"at"`
	Uptime    float64           `json:"uptime_seconds"`
	Sessions  SessionStats      `json:"sessions"`
	Cache     CacheStats        `json:"cache"`
	Commits   CommitStats       `json:"commits"`
	Disk      DiskStats         `json:"disk"`
	Codec     CodecStats        `json:"compression"`
	Clients   ClientStats       `json:"connections"`
	Buckets   []BucketStats     `json:"buckets" nullable:"false" doc:"Deadline buckets, ascending: the records in one leave the disk together."`
	Latencies []LatencyStats    `json:"latencies" nullable:"false" doc:"By verb of the memcached protocols."`
	Memcached map[string]string `json:"memcached" doc:"What memcached's command stats answers."`
	Process   ProcessStats      `json:"process"`
}

// SessionStats count sessions.
type SessionStats struct {
	Items   int64 `json:"items" metric:"cairn_sessions" doc:"Live sessions; one that expires within this minute counts until it ends."`
	Bytes   int64 `json:"bytes" metric:"cairn_session_bytes" doc:"Of their keys and uncompressed values."`
	Stored  int64 `json:"stored_total" metric:"cairn_sessions_stored_total" doc:"Counter: stores."`
	Expired int64 `json:"expired_total" metric:"cairn_sessions_expired_total" doc:"Counter: sessions whose time was over."`
	Flushes int64 `json:"flushes_total" metric:"cairn_flushes_total" doc:"Counter: flush commands."`
}

// CacheStats describe the cache of hot sessions in memory.
type CacheStats struct {
	Items    int64 `json:"items" metric:"cairn_hot_cache_sessions"`
	Bytes    int64 `json:"bytes" metric:"cairn_hot_cache_bytes"`
	Capacity int64 `json:"capacity_bytes" metric:"cairn_hot_cache_capacity_bytes"`
	Hits     int64 `json:"hits_total" metric:"cairn_hot_cache_hits_total"`
	Misses   int64 `json:"misses_total" metric:"cairn_hot_cache_misses_total"`
	Evicted  int64 `json:"evicted_total" metric:"cairn_hot_cache_evictions_total" doc:"Entries; their sessions stay on disk."`
}

// CommitStats describe how writes become durable.
type CommitStats struct {
	Commits     int64   `json:"commits_total" metric:"cairn_commits_total"`
	Errors      int64   `json:"errors_total" metric:"cairn_commit_errors_total"`
	P50         float64 `json:"p50_seconds" metric:"cairn_commit_duration_seconds 0.5" doc:"From when the log got a batch until it was durable; since the start, like the other quantiles."`
	P99         float64 `json:"p99_seconds" metric:"cairn_commit_duration_seconds 0.99"`
	Syncs       int64   `json:"syncs_total" metric:"cairn_wal_fsync_duration_seconds count" doc:"Fsyncs of the log."`
	SyncSeconds float64 `json:"sync_seconds_total" metric:"cairn_wal_fsync_duration_seconds sum"`
	SyncP50     float64 `json:"sync_p50_seconds" metric:"cairn_wal_fsync_duration_seconds 0.5"`
	SyncP99     float64 `json:"sync_p99_seconds" metric:"cairn_wal_fsync_duration_seconds 0.99"`
}

// DiskStats describe the store's files and the work on them.
type DiskStats struct {
	Bytes              int64   `json:"bytes" metric:"cairn_disk_bytes" doc:"Tables, logs and manifests."`
	WALBytes           int64   `json:"wal_bytes" metric:"cairn_wal_bytes"`
	MemtableBytes      int64   `json:"memtable_bytes" metric:"cairn_memtable_bytes"`
	ExpiredBytes       int64   `json:"expired_bucket_bytes" metric:"cairn_expired_bucket_bytes" doc:"In buckets whose deadline has passed, not yet dropped."`
	BucketsDropped     int64   `json:"buckets_dropped_total" metric:"cairn_buckets_dropped_total"`
	BlockCacheBytes    int64   `json:"block_cache_bytes" metric:"cairn_block_cache_bytes"`
	BlockCacheHits     int64   `json:"block_cache_hits_total" metric:"cairn_block_cache_hits_total"`
	BlockCacheMisses   int64   `json:"block_cache_misses_total" metric:"cairn_block_cache_misses_total"`
	UserWritten        int64   `json:"user_written_bytes_total" metric:"cairn_user_written_bytes_total" doc:"As clients sent it."`
	WALWritten         int64   `json:"wal_written_bytes_total" metric:"cairn_disk_written_bytes_total{purpose=wal}"`
	FlushWritten       int64   `json:"flush_written_bytes_total" metric:"cairn_disk_written_bytes_total{purpose=flush}"`
	CompactionWritten  int64   `json:"compaction_written_bytes_total" metric:"cairn_disk_written_bytes_total{purpose=compaction}"`
	WriteAmplification float64 `json:"write_amplification" doc:"All bytes written by bytes that clients sent, since the start."`
	Compactions        int64   `json:"compactions_total" metric:"cairn_compactions_total"`
	CompactionsRunning int64   `json:"compactions_running" metric:"cairn_compactions_running"`
	CompactionDebt     int64   `json:"compaction_debt_bytes" metric:"cairn_compaction_debt_bytes"`
	ReadAmplification  int64   `json:"read_amplification" metric:"cairn_read_amplification" doc:"Tables that a read may have to look into."`
	Tables             int64   `json:"tables" metric:"cairn_tables"`
	ZombieTables       int64   `json:"zombie_tables" metric:"cairn_zombie_tables" doc:"Obsolete, not yet deleted."`
	FreeBytes          int64   `json:"free_bytes" metric:"cairn_filesystem_free_bytes" doc:"Of the file system; 0 if unknown."`
	TotalBytes         int64   `json:"total_bytes" metric:"cairn_filesystem_size_bytes" doc:"Of the file system; 0 if unknown."`
	SlowOperations     int64   `json:"slow_operations_total" metric:"cairn_disk_slow_operations_total" doc:"Disk operations that took seconds."`
	WriteStalls        int64   `json:"write_stalls_total" metric:"cairn_write_stalls_total"`
	WriteStallSeconds  float64 `json:"write_stall_seconds_total" metric:"cairn_write_stall_seconds_total"`
	Stalled            bool    `json:"stalled" metric:"cairn_write_stalled" doc:"Writes wait for flushes or compactions now."`
	OutOfSpace         bool    `json:"out_of_space" metric:"cairn_out_of_space" doc:"What stores values is refused now."`
	ReadOnly           bool    `json:"read_only" metric:"cairn_read_only" doc:"Nothing can be written now, not even deletes and touches."`
	ReadErrors         int64   `json:"read_errors_total" metric:"cairn_read_errors_total"`
	Corruptions        int64   `json:"corruptions_total" metric:"cairn_corruptions_total"`
}

// CodecStats describe the compression of values.
type CodecStats struct {
	Dictionaries    int64 `json:"dictionaries" metric:"cairn_dictionaries"`
	DictionaryBytes int64 `json:"dictionary_bytes" metric:"cairn_dictionary_bytes"`
	In              int64 `json:"in_bytes_total" metric:"cairn_compression_in_bytes_total" doc:"Given to the codec."`
	Out             int64 `json:"out_bytes_total" metric:"cairn_compression_out_bytes_total" doc:"What it made of them."`
}

// BucketStats describe one deadline bucket.
type BucketStats struct {
	Deadline *time.Time `json:"deadline,omitempty" doc:"Nothing in it lives at or after this instant; absent for what never expires."`
	Bytes    int64      `json:"disk_bytes"`
}

// ProcessStats describe the process.
type ProcessStats struct {
	Goroutines int    `json:"goroutines"`
	HeapBytes  uint64 `json:"heap_bytes" doc:"Of live and not yet collected objects."`
	SysBytes   uint64 `json:"sys_bytes" doc:"Taken from the system by the Go runtime."`
	Processors int    `json:"processors"`

	ResidentBytes int64   `json:"resident_bytes" metric:"process_resident_memory_bytes" doc:"Memory that the process has; 0 if unknown."`
	MemoryTotal   int64   `json:"memory_total_bytes" metric:"cairn_memory_plan_bytes{part=total}" doc:"What --memory-total allows; 0 if unknown."`
	CPUSeconds    float64 `json:"cpu_seconds_total" metric:"process_cpu_seconds_total" doc:"Counter: time of processors."`
}

// ClientStats count the connections of memcached's clients.
type ClientStats struct {
	Open     int64 `json:"open" metric:"cairn_connections"`
	Limit    int64 `json:"limit" metric:"cairn_connections_limit" doc:"Most that may be open at once; 0 if unknown."`
	Opened   int64 `json:"opened_total" metric:"cairn_connections_opened_total"`
	Rejected int64 `json:"rejected_total" metric:"cairn_connections_rejected_total" doc:"Counter: refused because too many were open."`
}

// LatencyStats describe how long one verb took, from the arrival of a request
// to its reply.
type LatencyStats struct {
	Verb    string          `json:"verb"`
	Count   uint64          `json:"count_total"`
	Seconds float64         `json:"seconds_total"`
	P50     float64         `json:"p50_seconds" doc:"Since the start, like the other quantiles; for those of an interval take differences of the buckets."`
	P90     float64         `json:"p90_seconds"`
	P99     float64         `json:"p99_seconds"`
	P999    float64         `json:"p999_seconds"`
	Buckets []LatencyBucket `json:"buckets" nullable:"false" doc:"Cumulative, ascending; requests slower than the last are only in count_total."`
}

// LatencyBucket counts requests that took at most so long.
type LatencyBucket struct {
	LE    float64 `json:"le_seconds"`
	Count uint64  `json:"count_total"`
}
