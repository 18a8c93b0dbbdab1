package httpapi

import "cairn/session"

type st = session.Stats

// storeFigures are the metrics of the store that have no labels.
var storeFigures = []figure{
	gauge("cairn_sessions", "Live sessions; one that expires within the present minute counts until it ends.", func(s *st) float64 { return float64(s.Items) }),
	gauge("cairn_session_bytes", "Bytes of the keys and uncompressed values of live sessions.", func(s *st) float64 { return float64(s.Bytes) }),
	counter("cairn_sessions_stored_total", "Sessions stored.", func(s *st) float64 { return float64(s.TotalItems) }),
	counter("cairn_sessions_expired_total", "Sessions whose time was over.", func(s *st) float64 { return float64(s.Expired) }),
	counter("cairn_sessions_evicted_total", "Live sessions that the disk budget forced out.", func(s *st) float64 { return float64(s.Evicted) }),
	counter("cairn_flushes_total", "Flush commands carried out.", func(s *st) float64 { return float64(s.Flushes) }),

	gauge("cairn_hot_cache_sessions", "Sessions in the cache of hot sessions.", func(s *st) float64 { return float64(s.Hot.Items) }),
	gauge("cairn_hot_cache_bytes", "Bytes in the cache of hot sessions.", func(s *st) float64 { return float64(s.Hot.Bytes) }),
	gauge("cairn_hot_cache_capacity_bytes", "Bytes that the cache of hot sessions may have.", func(s *st) float64 { return float64(s.Hot.Capacity) }),
	counter("cairn_hot_cache_hits_total", "Gets that the cache answered.", func(s *st) float64 { return float64(s.Hot.Hits) }),
	counter("cairn_hot_cache_misses_total", "Gets that had to look on disk.", func(s *st) float64 { return float64(s.Hot.Misses) }),
	counter("cairn_hot_cache_evictions_total", "Entries that left the cache; their sessions stay on disk.", func(s *st) float64 { return float64(s.Hot.Evicted) }),

	counter("cairn_commits_total", "Batches committed.", func(s *st) float64 { return float64(s.Commits) }),
	counter("cairn_commit_errors_total", "Batches that failed to commit.", func(s *st) float64 { return float64(s.CommitErrors) }),

	gauge("cairn_disk_bytes", "Bytes of tables, logs and manifests.", func(s *st) float64 { return float64(s.Disk.Bytes) }),
	gauge("cairn_wal_bytes", "Bytes of live write-ahead logs.", func(s *st) float64 { return float64(s.Disk.WALBytes) }),
	gauge("cairn_memtable_bytes", "Bytes of memtables.", func(s *st) float64 { return float64(s.Disk.MemtableBytes) }),
	gauge("cairn_filesystem_free_bytes", "Free bytes of the store's file system; 0 if unknown.", func(s *st) float64 { return float64(s.Disk.Free) }),
	gauge("cairn_filesystem_size_bytes", "Size of the store's file system; 0 if unknown.", func(s *st) float64 { return float64(s.Disk.Total) }),
	gauge("cairn_out_of_space", "1 while writes are refused because disk space is below the reserve.", func(s *st) float64 { return asFloat(s.OutOfSpace) }),
	counter("cairn_user_written_bytes_total", "Bytes of keys and uncompressed values as clients sent them.", func(s *st) float64 { return float64(s.Disk.UserWritten) }),
	counter("cairn_buckets_dropped_total", "Deadline buckets dropped whole.", func(s *st) float64 { return float64(s.Dropped) }),
	gauge("cairn_buckets", "Deadline buckets on disk.", func(s *st) float64 { return float64(len(s.Buckets)) }),

	gauge("cairn_block_cache_bytes", "Bytes in the cache of disk blocks.", func(s *st) float64 { return float64(s.Disk.CacheBytes) }),
	counter("cairn_block_cache_hits_total", "Blocks found in the cache.", func(s *st) float64 { return float64(s.Disk.CacheHits) }),
	counter("cairn_block_cache_misses_total", "Blocks read from disk.", func(s *st) float64 { return float64(s.Disk.CacheMisses) }),

	counter("cairn_compactions_total", "Compactions finished.", func(s *st) float64 { return float64(s.Disk.Compactions) }),
	gauge("cairn_compactions_running", "Compactions in progress.", func(s *st) float64 { return float64(s.Disk.CompactionsRunning) }),
	gauge("cairn_compaction_debt_bytes", "Estimated bytes still to be compacted.", func(s *st) float64 { return float64(s.Disk.CompactionDebt) }),
	gauge("cairn_read_amplification", "Tables that a read may have to look into.", func(s *st) float64 { return float64(s.Disk.ReadAmplification) }),
	gauge("cairn_tables", "Tables on disk.", func(s *st) float64 { return float64(s.Disk.TablesTotal) }),
	gauge("cairn_zombie_tables", "Obsolete tables not yet deleted.", func(s *st) float64 { return float64(s.Disk.ZombieTables) }),

	gauge("cairn_write_stalled", "1 while writes wait for flushes or compactions.", func(s *st) float64 { return asFloat(s.Stalled) }),
	counter("cairn_write_stalls_total", "Times that writes had to wait for flushes or compactions.", func(s *st) float64 { return float64(s.Disk.WriteStalls) }),
	counter("cairn_write_stall_seconds_total", "Time that writes waited for flushes or compactions.", func(s *st) float64 { return s.Disk.WriteStallTime.Seconds() }),
	counter("cairn_disk_slow_operations_total", "Disk operations that took seconds.", func(s *st) float64 { return float64(s.Disk.SlowOperations) }),
	counter("cairn_read_errors_total", "Reads from disk that failed.", func(s *st) float64 { return float64(s.ReadErrors) }),
	counter("cairn_corruptions_total", "Times that damaged data was found on disk.", func(s *st) float64 { return float64(s.Corruptions) }),

	gauge("cairn_dictionaries", "Compression dictionaries in use.", func(s *st) float64 { return float64(s.Disk.Dictionaries) }),
	gauge("cairn_dictionary_bytes", "Bytes of compression dictionaries.", func(s *st) float64 { return float64(s.Disk.DictionaryBytes) }),
	counter("cairn_compression_in_bytes_total", "Bytes given to the value codec.", func(s *st) float64 { return float64(s.Disk.CompressedIn) }),
	counter("cairn_compression_out_bytes_total", "Bytes that the value codec produced.", func(s *st) float64 { return float64(s.Disk.CompressedOut) }),
}
