package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/record"
	"cairn/session"
	"cairn/ttl"
)

// Options say where and how a store keeps its sessions. The zero value of a
// field is its default.
type Options struct {
	// Dir is the data directory. It is made, readable by its owner only, if it
	// does not exist. Required.
	Dir string

	// FS holds the data directory. Default: the operating system's.
	FS vfs.FS

	// Observers are told of what happens to sessions; those of one store go on
	// to the next that is opened with them. Default: ones that only
	// Store.Subscribe adds to.
	Observers *session.Observers

	// Logger gets what an operator should know. Default: slog.Default.
	Logger *slog.Logger

	// Wall tells the wall-clock time. If it is set, all time that passes for
	// the store is what Wall says, unless Elapsed is set too. Default: the
	// system's.
	Wall func() time.Time

	// Elapsed tells the time since some fixed instant and never jumps.
	// Default: the system's monotonic clock, or what follows from Wall.
	Elapsed func() time.Duration

	// HotBytes bounds the memory for the cache of hot sessions. Default: 64
	// MiB. Negative: no cache.
	HotBytes int64

	// MaxValueSize is the largest value in bytes. Default:
	// session.DefaultMaxValueSize.
	MaxValueSize int

	// Durability says when writes are acknowledged. Default: once they are on
	// the disk.
	Durability Durability

	// ExternalLog says that writes come, by Replay, from a log that somebody else
	// keeps. The store has none of its own: after a crash the log must be
	// replayed from DurablePosition on. Apply answers reads only. Default: the
	// store has its own log.
	ExternalLog bool

	// DiskReserve is the free space, in bytes, below which growing writes are
	// refused with session.ErrNoSpace. Default: 256 MiB, or an eighth of a disk
	// of less than 2 GiB. Negative: never.
	DiskReserve int64

	// Compression says how values are compressed. Default: CompressionDict.
	Compression Compression

	// BlockCacheBytes bounds the memory for blocks of tables. Default: 32 MiB.
	BlockCacheBytes int64

	// MemtableBytes is the size of the buffer that collects writes before they
	// become a table. It bounds the log to replay after a crash. Default: 32
	// MiB.
	MemtableBytes int64

	// MemoryBytes is what the process may use; 0: as much as it likes. Where it is little,
	// blocks of tables are compressed in a way that needs less. Default: 0.
	MemoryBytes int64

	// DropEvery is the time between two sweeps of dead buckets. Default: 10 s.
	// Negative: the store does nothing on its own; DropExpired and Tick do.
	DropEvery time.Duration

	// DropGrace delays the first sweep after a start at which the clock was
	// more than a day ahead of where the store had stopped. Default: 10 min.
	DropGrace time.Duration

	// Fetches is how many bursts at a time read from the disk what is not in
	// memory. More of them wait for their turn. Default: 64.
	Fetches int

	// JustClosed says that another process has closed the store a moment ago,
	// without an error: the damage that a crash leaves is not looked for, which
	// would mean to read all logs. Default: it is.
	JustClosed bool

	// Fatal is called when the store cannot go on without breaking a promise,
	// such as after a failed sync of the log. It must not return. Default: log
	// the error and exit with status 1.
	Fatal func(error)

	// LogFailoverDir is a directory on another disk, to which the log fails over while
	// Dir is slow or fails. It is made if it does not exist. From then on the store opens
	// only where it is, until it has opened once without this option and found no logs
	// there. An external log is not the store's. Default: none.
	LogFailoverDir string

	// LogFailoverAfter is how long a write or a sync of the log may take before it fails
	// over. Default: 100 ms.
	LogFailoverAfter time.Duration

	// OpenFiles bounds the file descriptors that the store keeps open. Default:
	// no bound that matters.
	OpenFiles int

	// ReadOnly opens the store to be read only. Commands that would change
	// something fail with session.ErrNoSpace. The directory is neither locked nor
	// written to; what is only in the log is read into memory. Default: the store
	// can be written to.
	ReadOnly bool

	// SpareLogs is how many files are kept ready to become logs, of
	// MemtableBytes each: a log that overwrites one is synced faster. Default:
	// 2 on the operating system's file system, none on others. Negative: none.
	SpareLogs int

	// entriesInFlight bounds how many entries of an external log may have been
	// admitted before, and be replayed after, one that changes how values are
	// encoded. Default: defaultEntriesInFlight.
	entriesInFlight uint64

	largeValue int // see large.go, in bytes. Default: defaultLargeValue

	standIn *standIn // see OpenSoon; nil: nobody reads while it opens

	short func() // is called now and then while something waits for space or a descriptor

	scaleReserve bool // DiskReserve is for large disks

	watchDisk bool // FS is the operating system's: report slow operations
}

// Compression says how values are compressed.
type Compression uint8

const (
	// CompressionDict compresses each value with a dictionary trained from the
	// store's own sessions (S2), and the blocks of the bottom level with zstd.
	CompressionDict Compression = iota

	// CompressionBlock compresses blocks of tables, not values: fast methods
	// for young tables, zstd for the bottom level.
	CompressionBlock

	// CompressionOff compresses nothing.
	CompressionOff
)

const (
	defaultHotBytes      = 64 << 20
	defaultDiskReserve   = 256 << 20
	defaultBlockCache    = 32 << 20
	defaultMemtableBytes = 32 << 20
	defaultSpareLogs     = 2
	defaultDropEvery     = 10 * time.Second
	defaultDropGrace     = 10 * time.Minute
	defaultFetches       = 64
	defaultFailoverAfter = 100 * time.Millisecond

	defaultEntriesInFlight = 1 << 16
)

// complete fills in the defaults and reports what cannot be.
func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("engine: no data directory")
	}
	if o.MaxValueSize < 0 || o.MaxValueSize > record.MaxValueLen {
		return fmt.Errorf("engine: largest value of %d bytes: must be at most %d", o.MaxValueSize, record.MaxValueLen)
	}
	if err := o.Durability.check(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if o.ExternalLog && o.Durability.Interval > 0 {
		return errors.New("engine: a durability interval has no effect with an external log")
	}
	if o.Fetches < 0 {
		return fmt.Errorf("engine: %d fetches at a time: must be at least 1", o.Fetches)
	}
	if o.Compression > CompressionOff {
		return fmt.Errorf("engine: unknown compression %d", o.Compression)
	}
	if o.FS == nil {
		o.FS, o.watchDisk = vfs.Default, true
		setDefault(&o.SpareLogs, defaultSpareLogs)
	}
	if o.ExternalLog || o.ReadOnly {
		o.SpareLogs, o.LogFailoverDir = -1, ""
	}
	if o.LogFailoverDir != "" {
		if err := o.completeFailover(); err != nil {
			return err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Observers == nil {
		o.Observers = new(session.Observers)
	}
	setDefault(&o.HotBytes, defaultHotBytes)
	setDefault(&o.MaxValueSize, session.DefaultMaxValueSize)
	o.scaleReserve = o.scaleReserve || o.DiskReserve == 0
	setDefault(&o.DiskReserve, defaultDiskReserve)
	setDefault(&o.BlockCacheBytes, defaultBlockCache)
	setDefault(&o.largeValue, defaultLargeValue)
	setDefault(&o.MemtableBytes, defaultMemtableBytes)
	setDefault(&o.DropEvery, defaultDropEvery)
	setDefault(&o.DropGrace, defaultDropGrace)
	setDefault(&o.Fetches, defaultFetches)
	setDefault(&o.entriesInFlight, defaultEntriesInFlight)
	if o.Fatal == nil {
		o.Fatal = exit(o.Logger)
	}
	return nil
}

// completeFailover makes the name of the failover directory absolute, as a store keeps it.
func (o *Options) completeFailover() (err error) {
	dir := o.Dir
	if o.watchDisk {
		o.LogFailoverDir, err = filepath.Abs(o.LogFailoverDir)
		if err == nil {
			dir, err = filepath.Abs(dir)
		}
		if err != nil {
			return fmt.Errorf("engine: %w", err)
		}
	}
	within, err := filepath.Rel(dir, o.LogFailoverDir)
	if err == nil && within != ".." && !strings.HasPrefix(within, "../") {
		return fmt.Errorf("engine: the failover directory %s is in the data directory: it must be on another disk", o.LogFailoverDir)
	}
	if strings.ContainsRune(o.LogFailoverDir, '\n') {
		return fmt.Errorf("engine: the name of the failover directory %q has more than one line", o.LogFailoverDir)
	}
	if o.LogFailoverAfter < 0 {
		return fmt.Errorf("engine: fail over after %v: must be positive", o.LogFailoverAfter)
	}
	setDefault(&o.LogFailoverAfter, defaultFailoverAfter)
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func exit(logger *slog.Logger) func(error) {
	return func(err error) {
		logger.Error("the store cannot go on; exiting", "error", err)
		os.Exit(1)
	}
}

// reserveShare is the part of a small volume that is its default reserve.
const reserveShare = 1. / 8

// DefaultDiskReserve is the reserve, in bytes, on a disk of that size unless
// Options.DiskReserve says otherwise.
func DefaultDiskReserve(total int64) int64 { return scaledReserve(defaultDiskReserve, total) }

func scaledReserve(most, total int64) int64 {
	return min(most, int64(float64(total)*reserveShare))
}

// reserveOf is the reserve, in bytes, on a disk of that size.
func (o *Options) reserveOf(total int64) int64 {
	if !o.scaleReserve {
		return o.DiskReserve
	}
	return scaledReserve(o.DiskReserve, total)
}

// TimeSource is where the store's clock learns of time.
func (o *Options) TimeSource() ttl.Source {
	source := ttl.System()
	if o.Wall != nil {
		source = ttl.FromWall(o.Wall)
	}
	if o.Elapsed != nil {
		source.Elapsed = o.Elapsed
		source.Asleep = nil
	}
	return source
}
