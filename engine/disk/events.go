package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"cairn/durable"
	"cairn/session"
)

// events turns what Pebble tells about itself into counters and log lines. A
// kind of event is logged once in quietFor at most, with the number of those
// that were left out.
type events struct {
	logger *slog.Logger
	fatal  func(error)

	shortage *shortage

	corruptions atomic.Int64

	stalls   atomic.Int64
	stalled  atomic.Int64 // begin of the present stall, nanoseconds; 0: none
	stallSum atomic.Int64 // nanoseconds
	slow     atomic.Int64

	mu    sync.Mutex
	muted map[string]*muted
}

type muted struct {
	until time.Time
	count int
}

const quietFor = 10 * time.Second

func newEvents(o *Options) *events {
	return &events{
		logger: o.Logger, fatal: o.Fatal,
		muted: make(map[string]*muted),
	}
}

// log writes a line unless one with the same message was written lately.
func (e *events) log(level slog.Level, message string, args ...any) {
	e.mu.Lock()
	m := e.muted[message]
	if m == nil {
		m = new(muted)
		e.muted[message] = m
	}
	now := time.Now()
	if now.Before(m.until) {
		m.count++
		e.mu.Unlock()
		return
	}
	if m.count > 0 {
		args = append(args, "suppressed", m.count)
	}
	m.until, m.count = now.Add(quietFor), 0
	e.mu.Unlock()
	e.logger.Log(context.Background(), level, message, args...)
}

func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if errors.Is(err, pebble.ErrCancelledCompaction) {
				return // a drop of buckets came in between; no failure
			}
			if durable.Passing(err) {
				return // it waits, and has said why
			}
			e.log(slog.LevelError, "background work of the storage engine failed; it will be tried again", "error", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.corruptions.Add(1)
			e.log(slog.LevelError, "stored data is corrupt; run 'cairn check'",
				"file", info.Path, "error", fmt.Errorf("%w: %w", session.ErrCorrupt, info.Details))
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			if e.shortage.waiting.Load() > 0 {
				return // it waits, and says why
			}
			e.slow.Add(1)
			// The callee must not wait for a disk, where the log may be.
			go e.log(slog.LevelWarn, "the disk is slow", "operation", info.String())
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.stalls.Add(1)
			e.stalled.Store(time.Now().UnixNano())
			e.log(slog.LevelWarn, "writes wait for flushes or compactions", "reason", info.Reason)
		},
		WriteStallEnd: func() {
			if begin := e.stalled.Swap(0); begin != 0 {
				e.stallSum.Add(time.Now().UnixNano() - begin)
			}
		},
	}
}

// stallTime is how long writes have waited, the present stall included.
func (e *events) stallTime() time.Duration {
	sum := e.stallSum.Load()
	if begin := e.stalled.Load(); begin != 0 {
		sum += time.Now().UnixNano() - begin
	}
	return time.Duration(sum)
}

// Infof, Errorf and Fatalf make events Pebble's logger.
func (e *events) Infof(format string, args ...any) {
	e.logger.Debug(fmt.Sprintf(format, args...))
}

func (e *events) Errorf(format string, args ...any) {
	e.log(slog.LevelError, "storage engine", "error", fmt.Sprintf(format, args...))
}

func (e *events) Fatalf(format string, args ...any) {
	e.fatal(fmt.Errorf("engine: "+format, args...))
}
