package log

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options are how a log is opened. The zero value of each is its default.
type Options struct {
	// Dir is the directory of the log. It is made if it does not exist, and has
	// nothing else in it. One process at a time can have it open.
	Dir string

	// FS is the file system; default: the operating system's.
	FS vfs.FS

	// SegmentSize is the size of a segment's file, in bytes; default 16 MiB. A
	// larger record gets a segment of its own size.
	SegmentSize int64

	// Spares is how many files of truncated segments are kept to be used again;
	// default 4, negative: none. If there are none, one is made of zeros in time.
	Spares int

	// MaxPending is how many bytes may wait to be written before Append waits
	// too; default 64 MiB.
	MaxPending int

	// MaxWindow bounds how long a sync waits for others to join it; default
	// 0.5 ms, negative: it never waits. See pace.
	MaxWindow time.Duration

	// SyncPath is how records become durable; default: SyncMeasured.
	SyncPath SyncPath

	// FailoverDir, on another disk, takes over while Dir is slow or after it has
	// failed; default: none. It is made if it does not exist. Once it has records
	// the log cannot be opened without it.
	FailoverDir string

	// FailoverAfter is how long a write may take before FailoverDir takes over;
	// default 100 ms.
	FailoverAfter time.Duration

	// FailbackEvery is how often Dir is tried while FailoverDir has taken over;
	// default 1 s. After ten tries in a row that were quick Dir is used again.
	FailbackEvery time.Duration

	// Logger is told what operators should know; default: nobody.
	Logger *slog.Logger

	// wrap stands between the log and its files in tests.
	wrap func(path string, d device) device
}

// SyncPath is a way to make records durable.
type SyncPath int

const (
	// SyncMeasured chooses the faster one when the log is opened.
	SyncMeasured SyncPath = iota
	// SyncBuffered writes and then syncs the file.
	SyncBuffered
	// SyncDirect writes past the page cache and waits for the disk in one step,
	// where the operating system can (Linux, on its own file system).
	SyncDirect
)

func (p SyncPath) String() string {
	switch p {
	case SyncBuffered:
		return "buffered"
	case SyncDirect:
		return "direct"
	}
	return "measured"
}

const (
	// MaxRecord is the size of the largest record, in bytes.
	MaxRecord = 256<<20 - 1

	leastSegment = 64 << 10
	// mostSegment keeps offsets far from where 32 bits end.
	mostSegment = 1 << 30
)

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("log: no directory")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	setDefault(&o.SegmentSize, 16<<20)
	if o.SegmentSize < leastSegment || o.SegmentSize > mostSegment {
		return o, fmt.Errorf("log: a segment has %d to %d bytes, not %d", leastSegment, mostSegment, o.SegmentSize)
	}
	o.SegmentSize = blockUp(o.SegmentSize)
	setDefault(&o.Spares, 4)
	setDefault(&o.MaxPending, 64<<20)
	setDefault(&o.MaxWindow, 500*time.Microsecond)
	setDefault(&o.FailoverAfter, 100*time.Millisecond)
	setDefault(&o.FailbackEvery, time.Second)
	if o.MaxPending < 0 || o.FailoverAfter < 0 || o.FailbackEvery < 0 || o.SyncPath < SyncMeasured || o.SyncPath > SyncDirect {
		return o, errors.New("log: an option is out of range")
	}
	if o.FailoverDir == o.Dir {
		return o, errors.New("log: the failover directory is the log's own")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}
