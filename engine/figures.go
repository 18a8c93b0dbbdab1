package engine

import (
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"cairn/engine/compress"
	"cairn/engine/disk"
	"cairn/figures"
	"cairn/session"
)

// Figures are all that the store has counted since it was opened, and how it is
// at present.
type Figures struct {
	session.Stats
	Disk        disk.Figures
	Compression compress.Figures

	Commits      int64 // batches committed
	CommitErrors int64 // batches that failed to commit
	Identical    int64 // sessions stored again with the value that was there
	UserWritten  int64 // bytes of keys and uncompressed values as clients sent them
	Dropped      int64 // buckets removed whole
	Deferred     int64 // bursts that left a batch to be fetched for
	ReadErrors   int64
	Corruptions  int64

	// CommitTimes are those of batches, from when the log gets one until it is
	// durable, or applied where nobody waits for that.
	CommitTimes figures.Times
}

// declared are the figures of every store that operators see, and of the
// commits.
var declared = figures.Set[*Figures]{
	figures.Gauge("cairn_sessions", "Live sessions; one that expires within the present minute counts until it ends.", func(f *Figures) int64 { return f.Items }),
	figures.Gauge("cairn_session_bytes", "Bytes of the keys and uncompressed values of live sessions.", func(f *Figures) int64 { return f.Bytes }),
	figures.Counter("cairn_sessions_stored_total", "Sessions stored.", func(f *Figures) int64 { return f.TotalItems }),
	figures.Counter("cairn_identical_sets_total", "Sessions stored again with the value that was there.", func(f *Figures) int64 { return f.Identical }),
	figures.Counter("cairn_sessions_expired_total", "Sessions whose time was over.", func(f *Figures) int64 { return f.Expired }),
	figures.Counter("cairn_flushes_total", "Flush commands carried out.", func(f *Figures) int64 { return f.Flushes }),

	figures.Gauge("cairn_hot_cache_sessions", "Sessions in the cache of hot sessions.", func(f *Figures) int64 { return f.Hot.Items }),
	figures.Gauge("cairn_hot_cache_bytes", "Bytes in the cache of hot sessions.", func(f *Figures) int64 { return f.Hot.Bytes }),
	figures.Gauge("cairn_hot_cache_capacity_bytes", "Bytes that the cache of hot sessions may have.", func(f *Figures) int64 { return f.Hot.Capacity }),
	figures.Counter("cairn_hot_cache_hits_total", "Gets that the cache answered.", func(f *Figures) int64 { return f.Hot.Hits }),
	figures.Counter("cairn_hot_cache_misses_total", "Gets that had to look on disk.", func(f *Figures) int64 { return f.Hot.Misses }),
	figures.Counter("cairn_hot_cache_evictions_total", "Entries that left the cache; their sessions stay on disk.", func(f *Figures) int64 { return f.Hot.Evicted }),

	figures.Counter("cairn_commits_total", "Batches committed.", func(f *Figures) int64 { return f.Commits }),
	figures.Counter("cairn_commit_errors_total", "Batches that failed to commit.", func(f *Figures) int64 { return f.CommitErrors }),
	figures.Timing("cairn_commit_duration_seconds",
		"Time of a batch from when the log got it until it was durable, or with an interval of durability until it was applied.",
		func(f *Figures) figures.Times { return f.CommitTimes }),
	figures.Counter("cairn_user_written_bytes_total", "Bytes of keys and uncompressed values as clients sent them.", func(f *Figures) int64 { return f.UserWritten }),
	figures.Counter("cairn_buckets_dropped_total", "Deadline buckets dropped whole.", func(f *Figures) int64 { return f.Dropped }),
	figures.Counter("cairn_bursts_deferred_total", "Bursts that left a batch because the disk had to be read for them first.", func(f *Figures) int64 { return f.Deferred }),
	figures.Counter("cairn_read_errors_total", "Reads from disk that failed.", func(f *Figures) int64 { return f.ReadErrors }),
	figures.Counter("cairn_corruptions_total", "Times that damaged data was found on disk.", func(f *Figures) int64 { return f.Corruptions }),
}

// Figures returns the present figures.
func (s *Store) Figures() *Figures {
	f := &Figures{
		Stats:        s.Stats(),
		Disk:         s.files.disk.Figures(),
		Compression:  s.compression.values.Figures(),
		Commits:      s.counts.commits.Load(),
		CommitErrors: s.counts.commitErrors.Load(),
		UserWritten:  s.counts.userWritten.Load(),
		Identical:    s.counts.identical.Load(),
		Dropped:      s.counts.dropped.Load(),
		Deferred:     s.counts.deferred.Load(),
		ReadErrors:   s.counts.readErrors.Load(),
		CommitTimes:  s.counts.commitTimes.Times(),
	}
	f.Corruptions = s.counts.corruptions.Load() + f.Disk.Corruptions
	return f
}

// TableFigures are those of the tables and logs, which Pebble keeps.
type TableFigures struct {
	*pebble.Metrics
	DiskBytes         int64 // tables, logs with the spare ones, manifests
	FlushWritten      int64 // bytes
	CompactionWritten int64 // bytes
	SyncTimes         figures.Times
	Buckets           []BucketFigures // ascending by deadline
	Expired           int64           // bytes in buckets whose deadline has passed
}

// BucketFigures are those of one deadline bucket: the records that leave the
// disk together.
type BucketFigures struct {
	Deadline  session.Time // no record in it lives at or after this instant
	DiskBytes int64
}

var declaredTables = figures.Set[*TableFigures]{
	figures.Gauge("cairn_disk_bytes", "Bytes of tables, logs and manifests.", func(f *TableFigures) int64 { return f.DiskBytes }),
	figures.Gauge("cairn_wal_bytes", "Bytes of live write-ahead logs.", func(f *TableFigures) uint64 { return f.WAL.Size }),
	figures.Gauge("cairn_memtable_bytes", "Bytes of memtables.", func(f *TableFigures) uint64 { return f.MemTable.Size }),
	figures.Timing("cairn_wal_fsync_duration_seconds", "Time of an fsync of the write-ahead log.", func(f *TableFigures) figures.Times { return f.SyncTimes }),
	figures.Counter(writtenName, writtenHelp, func(f *TableFigures) uint64 { return f.WAL.BytesWritten }).With("purpose", "wal"),
	figures.Counter(writtenName, writtenHelp, func(f *TableFigures) int64 { return f.FlushWritten }).With("purpose", "flush"),
	figures.Counter(writtenName, writtenHelp, func(f *TableFigures) int64 { return f.CompactionWritten }).With("purpose", "compaction"),

	figures.Gauge("cairn_buckets", "Deadline buckets on disk.", func(f *TableFigures) int { return len(f.Buckets) }),
	figures.Gauge("cairn_expired_bucket_bytes", "Bytes on disk in buckets whose deadline has passed and which are not yet dropped.", func(f *TableFigures) int64 { return f.Expired }),

	figures.Gauge("cairn_block_cache_bytes", "Bytes in the cache of disk blocks.", func(f *TableFigures) int64 { return f.BlockCache.Size }),
	figures.Counter("cairn_block_cache_hits_total", "Blocks found in the cache.", func(f *TableFigures) int64 { return f.BlockCache.Hits }),
	figures.Counter("cairn_block_cache_misses_total", "Blocks read from disk.", func(f *TableFigures) int64 { return f.BlockCache.Misses }),

	figures.Counter("cairn_compactions_total", "Compactions finished.", func(f *TableFigures) int64 { return f.Compact.Count }),
	figures.Gauge("cairn_compactions_running", "Compactions in progress.", func(f *TableFigures) int64 { return f.Compact.NumInProgress }),
	figures.Gauge("cairn_compaction_debt_bytes", "Estimated bytes still to be compacted.", func(f *TableFigures) uint64 { return f.Compact.EstimatedDebt }),
	figures.Gauge("cairn_read_amplification", "Tables that a read may have to look into.", func(f *TableFigures) int { return f.ReadAmp() }),
	figures.Gauge("cairn_tables", "Tables on disk.", func(f *TableFigures) uint64 { return f.Table.Local.LiveCount }),
	figures.Gauge("cairn_zombie_tables", "Obsolete tables not yet deleted.", func(f *TableFigures) int64 { return f.Table.ZombieCount + f.Table.ObsoleteCount }),
}

const (
	writtenName = "cairn_disk_written_bytes_total"
	writtenHelp = "Bytes written to disk, by purpose."
)

// bucketDesc describes a figure of which there is one per bucket.
var bucketDesc = prometheus.NewDesc("cairn_bucket_disk_bytes",
	"Bytes on disk of one deadline bucket; deadline is in seconds since 1970, or never.", []string{"deadline"}, nil)

// TableFigures returns the present figures of tables and logs, or reports that
// the store is closed.
func (s *Store) TableFigures() (*TableFigures, bool) {
	if !s.doors.enter() {
		return nil, false
	}
	defer s.doors.leave()
	f := &TableFigures{Metrics: s.files.db.Metrics(), Buckets: s.bucketFigures()}
	f.SyncTimes = syncTimes(f.Metrics)
	if s.options.ExternalLog {
		f.WAL.BytesWritten = 0 // Pebble counts what has been flushed, as if a log had had it
	}
	f.DiskBytes = int64(f.DiskSpaceUsage()) + s.files.disk.Figures().SpareBytes
	for i := range f.Levels {
		f.FlushWritten += int64(f.Levels[i].TableBytesFlushed)
		f.CompactionWritten += int64(f.Levels[i].TableBytesCompacted)
	}
	now := s.Now()
	for _, b := range f.Buckets {
		if b.Deadline <= now {
			f.Expired += b.DiskBytes
		}
	}
	return f, true
}

// syncTimes reads Pebble's histogram of the latency of log syncs, whose hundred
// buckets are finer than anybody needs.
func syncTimes(m *pebble.Metrics) figures.Times {
	var metric dto.Metric
	if m.LogWriter.FsyncLatency == nil || m.LogWriter.FsyncLatency.Write(&metric) != nil {
		return figures.Times{}
	}
	return figures.TimesOf(metric.GetHistogram(), time.Nanosecond).Thinned()
}

// bucketFigures estimates what each bucket takes on disk. What is still only in
// the log and in memory does not count.
func (s *Store) bucketFigures() []BucketFigures {
	list := s.memory.buckets.all()
	all := make([]BucketFigures, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		bucket := BucketFigures{Deadline: list[i].Deadline()}
		for _, space := range s.bucketed() {
			size, err := s.files.db.EstimateDiskUsage(space.AppendBucket(nil, list[i]), space.AppendBucketEnd(nil, list[i]))
			if err != nil {
				_ = s.readError(err) // counted
			}
			bucket.DiskBytes += int64(size)
		}
		all = append(all, bucket)
	}
	return all
}

// Describe and Collect make the store a prometheus.Collector. Describe needs no
// open store: s may be nil.
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	declared.Describe(ch)
	disk.Declared.Describe(ch)
	compress.Declared.Describe(ch)
	declaredTables.Describe(ch)
	ch <- bucketDesc
}

// Collect sends the present figures. After Close those of tables are missing.
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	f := s.Figures()
	declared.Collect(ch, f)
	disk.Declared.Collect(ch, f.Disk)
	compress.Declared.Collect(ch, f.Compression)
	tables, open := s.TableFigures()
	if !open {
		return
	}
	declaredTables.Collect(ch, tables)
	for _, b := range tables.Buckets {
		ch <- prometheus.MustNewConstMetric(bucketDesc, prometheus.GaugeValue, float64(b.DiskBytes), deadlineLabel(b.Deadline))
	}
}

func deadlineLabel(deadline session.Time) string {
	if deadline == session.Never {
		return "never"
	}
	return strconv.FormatInt(deadline.Unix(), 10)
}
