package httpapi

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cairn/adminapi"
	"cairn/session"
)

// sampleStats has a different number in every field that becomes a metric.
func sampleStats() *session.Stats {
	return &session.Stats{
		TotalItems: 3, Expired: 4, Dropped: 5, Evicted: 6, Flushes: 7,
		Hot:     session.HotStats{Items: 8, Bytes: 9, Capacity: 10, Hits: 11, Misses: 12, Evicted: 13},
		Commits: 14, CommitErrors: 15,
		CommitTimes: session.Histogram{Count: 14, Sum: 3 * time.Second, Bounds: []time.Duration{time.Millisecond, time.Second}, Counts: []uint64{7, 6}},
		SyncTimes:   session.Histogram{Count: 16, Sum: 17 * time.Second, Bounds: []time.Duration{time.Second, 2 * time.Second}, Counts: []uint64{8, 8}},
		Disk: session.DiskStats{
			Bytes: 18, WALBytes: 19, MemtableBytes: 20, CacheBytes: 21, CacheHits: 22, CacheMisses: 23,
			WALWritten: 24, FlushWritten: 25, CompactionWritten: 26, UserWritten: 27,
			Compactions: 28, CompactionsRunning: 29, CompactionDebt: 30, ReadAmplification: 31,
			Free: 32, Total: 33, SlowOperations: 34, WriteStalls: 35, WriteStallTime: 36 * time.Second,
			DictionaryBytes: 37, Dictionaries: 38, CompressedIn: 39, CompressedOut: 40,
			TablesTotal: 41, ZombieTables: 42,
		},
		Buckets: []session.BucketStats{
			{Deadline: testStart - minute, DiskBytes: 43},
			{Deadline: testStart + minute, DiskBytes: 44},
			{Deadline: session.Never, DiskBytes: 45},
		},
		Stalled: true, OutOfSpace: true, ReadErrors: 46, Corruptions: 47,
	}
}

func TestMetrics(t *testing.T) {
	h := start(t, Options{Memcached: &fakeFront{}, Version: "1.2.3"})
	h.engine.stats.Store(sampleStats())
	h.engine.put("key", "value", session.Never)
	h.do("GET", "/v1/sessions/missing", nil).want(t, 404)
	text := string(h.do("GET", "/metrics", nil).want(t, 200).body)
	for _, line := range []string{
		"cairn_sessions 1", "cairn_session_bytes 8", "cairn_sessions_stored_total 3", "cairn_sessions_expired_total 4",
		"cairn_buckets_dropped_total 5", "cairn_sessions_evicted_total 6", "cairn_flushes_total 7",
		"cairn_hot_cache_sessions 8", "cairn_hot_cache_bytes 9", "cairn_hot_cache_capacity_bytes 10",
		"cairn_hot_cache_hits_total 11", "cairn_hot_cache_misses_total 12", "cairn_hot_cache_evictions_total 13",
		"cairn_commits_total 14", "cairn_commit_errors_total 15",
		`cairn_commit_duration_seconds_bucket{le="0.001"} 7`, `cairn_commit_duration_seconds_bucket{le="1"} 13`,
		`cairn_commit_duration_seconds_bucket{le="+Inf"} 14`, "cairn_commit_duration_seconds_sum 3", "cairn_commit_duration_seconds_count 14",
		`cairn_wal_fsync_duration_seconds_bucket{le="1"} 8`, "cairn_wal_fsync_duration_seconds_sum 17", "cairn_wal_fsync_duration_seconds_count 16",
		"cairn_disk_bytes 18", "cairn_wal_bytes 19", "cairn_memtable_bytes 20",
		"cairn_block_cache_bytes 21", "cairn_block_cache_hits_total 22", "cairn_block_cache_misses_total 23",
		`cairn_disk_written_bytes_total{purpose="wal"} 24`, `cairn_disk_written_bytes_total{purpose="flush"} 25`,
		`cairn_disk_written_bytes_total{purpose="compaction"} 26`, "cairn_user_written_bytes_total 27",
		"cairn_compactions_total 28", "cairn_compactions_running 29", "cairn_compaction_debt_bytes 30", "cairn_read_amplification 31",
		"cairn_filesystem_free_bytes 32", "cairn_filesystem_size_bytes 33", "cairn_disk_slow_operations_total 34",
		"cairn_write_stalls_total 35", "cairn_write_stall_seconds_total 36",
		"cairn_dictionary_bytes 37", "cairn_dictionaries 38", "cairn_compression_in_bytes_total 39", "cairn_compression_out_bytes_total 40",
		"cairn_tables 41", "cairn_zombie_tables 42", "cairn_expired_bucket_bytes 43",
		`cairn_bucket_disk_bytes{deadline="1799999940"} 43`, `cairn_bucket_disk_bytes{deadline="1800000060"} 44`, `cairn_bucket_disk_bytes{deadline="never"} 45`,
		"cairn_buckets 3", "cairn_write_stalled 1", "cairn_out_of_space 1", "cairn_read_errors_total 46", "cairn_corruptions_total 47",
		"cairn_ready 0", `cairn_build_info{goversion="go1.`,
		"cairn_connections 2", `cairn_commands_total{command="get",outcome="hit"} 90`, `cairn_commands_total{command="get",outcome="miss"} 10`,
		`cairn_request_duration_seconds_bucket{verb="get",le="0.001"} 90`, `cairn_request_duration_seconds_bucket{verb="get",le="0.01"} 99`,
		`cairn_request_duration_seconds_bucket{verb="get",le="+Inf"} 100`, `cairn_request_duration_seconds_sum{verb="get"} 0.05`,
		`cairn_http_requests_total{code="404",operation="get-session"} 1`,
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no line %s", line)
		}
	}
}

// TestStatsAgreeWithTheStore compares the JSON statistics with the same
// sample.
func TestStatsAgreeWithTheStore(t *testing.T) {
	h := start(t, Options{Memcached: &fakeFront{}})
	h.engine.stats.Store(sampleStats())
	s := as[adminapi.Stats](t, h.do("GET", "/v1/stats", nil).want(t, 200))
	wantDisk := adminapi.DiskStats{
		Bytes: 18, WALBytes: 19, MemtableBytes: 20, ExpiredBytes: 43, BucketsDropped: 5,
		BlockCacheBytes: 21, BlockCacheHits: 22, BlockCacheMisses: 23,
		UserWritten: 27, WALWritten: 24, FlushWritten: 25, CompactionWritten: 26, WriteAmplification: 75.0 / 27,
		Compactions: 28, CompactionsRunning: 29, CompactionDebt: 30, ReadAmplification: 31, Tables: 41, ZombieTables: 42,
		FreeBytes: 32, TotalBytes: 33, SlowOperations: 34, WriteStalls: 35, WriteStallSeconds: 36,
		Stalled: true, OutOfSpace: true, ReadErrors: 46, Corruptions: 47,
	}
	if s.Disk != wantDisk {
		t.Errorf("disk: %+v, want %+v", s.Disk, wantDisk)
	}
	if want := (adminapi.SessionStats{Stored: 3, Expired: 4, Evicted: 6, Flushes: 7}); s.Sessions != want {
		t.Errorf("sessions: %+v", s.Sessions)
	}
	if want := (adminapi.CacheStats{Items: 8, Bytes: 9, Capacity: 10, Hits: 11, Misses: 12, Evicted: 13}); s.Cache != want {
		t.Errorf("cache: %+v", s.Cache)
	}
	if want := (adminapi.CommitStats{Commits: 14, Errors: 15, P50: 0.001, P99: 1, Syncs: 16, SyncSeconds: 17, SyncP50: 1, SyncP99: 1.98}); s.Commits != want {
		t.Errorf("commits: %+v", s.Commits)
	}
	if want := (adminapi.CodecStats{Dictionaries: 38, DictionaryBytes: 37, In: 39, Out: 40}); s.Codec != want {
		t.Errorf("codec: %+v", s.Codec)
	}
	if len(s.Buckets) != 3 || s.Buckets[0].Bytes != 43 || s.Buckets[2].Deadline != nil {
		t.Errorf("buckets: %+v", s.Buckets)
	}
	if s.Memcached["get_hits"] != "90" || s.Process.Goroutines == 0 || s.Process.HeapBytes == 0 {
		t.Errorf("memcached: %v, process: %+v", s.Memcached, s.Process)
	}
	l := s.Latencies[0]
	if l.Verb != "get" || l.Count != 100 || l.P50 <= 0 || l.P50 > 0.001 || l.P99 < 0.009 || l.P99 > 0.01 || l.P999 != 0.01 {
		t.Errorf("latencies: %+v", l)
	}
}

// TestPromtoolAcceptsTheMetrics lints names, units and help texts.
func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	h := start(t, Options{Memcached: &fakeFront{}})
	h.engine.stats.Store(sampleStats())
	h.do("GET", "/livez", nil)
	cmd := exec.Command(path, "check", "metrics")
	cmd.Stdin = bytes.NewReader(h.do("GET", "/metrics", nil).want(t, 200).body)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
