package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"cairn/durable"
)

// logPool is a file system for Pebble that keeps files for logs to come. The
// sync of a file that grows waits for the journal of the file system, which
// waits for the data of other files too; the sync of a file whose blocks have
// been written before does not. So a log that Pebble removes becomes a spare,
// and fill makes spares of zeros where there are too few. Create opens a spare
// as the new log, to be written from its start without truncation; as with any
// new log, Pebble syncs the directory before it writes to it.
//
// A spare holds zeros or records of logs below the next one, which all readers
// of logs take for the end. Its name tells the highest of them.
type logPool struct {
	thriftyFS
	dir  string
	size int64 // of a full log, bytes

	// spares is how many spares there should be while Pebble writes one log.
	// Logs and spares of full length are spares+2 at most, unless Pebble alone
	// has more logs that wait for a flush.
	spares int

	mu   sync.Mutex
	live int        // logs that Pebble has
	next int64      // how long the next log will be if its memtable fills up
	idle []spareLog // oldest first
	open []string   // paths of logs that are being written
	low  bool       // free space is: no spare is made, and any log is worth one

	known atomic.Int64 // what bytes last returned

	filling sync.Mutex // is taken before mu
	failed  bool       // to fill; guarded by filling
}

// spareLog is a file that waits to be a log.
type spareLog struct {
	number wal.NumWAL // the highest log that may have left records in it
	size   int64      // bytes; 0: it is being filled
}

const (
	spareSuffix = ".spare"

	// fillChunk bytes are written at a time, and fillPause lies between two.
	fillChunk = 1 << 20
	fillPause = 30 * time.Millisecond

	// fillAfter is the part of a log that clients must have written before
	// spares are made.
	fillAfter = 1. / 64

	// spareRoom is how many logs' sizes must be free on the disk, besides the
	// reserve, for a new spare.
	spareRoom = 16

	// firstMemtable is the size of Pebble's first memtable, in bytes. Each of
	// the next is twice as large, up to MemtableBytes.
	firstMemtable = 256 << 10
)

// openLogPool makes the pool of the store's directory, with the spares that an
// earlier process has left.
func openLogPool(fs thriftyFS, o *Options) (*logPool, error) {
	p := &logPool{thriftyFS: fs, dir: o.Dir, size: o.MemtableBytes, spares: o.SpareLogs, next: firstMemtable}
	names, err := p.List(o.Dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, isLog := logNumber(name); isLog {
			p.live++
		}
	}
	for _, name := range names {
		if base, isSpare := strings.CutSuffix(name, spareSuffix); isSpare {
			if err := p.adopt(name, base); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// adopt makes use of a spare that was left, or removes it.
func (p *logPool) adopt(name, base string) error {
	path := p.PathJoin(p.dir, name)
	number, ok := logNumber(base + ".log")
	info, err := p.Stat(path)
	if err != nil {
		return err
	}
	spare := spareLog{number, info.Size()}
	if ok && p.path(spare) == path && p.fits(spare) {
		p.idle = append(p.idle, spare)
		return nil
	}
	return p.thriftyFS.Remove(path)
}

// fits reports whether the pool has use for the spare. p.mu is held, if others
// know of p.
func (p *logPool) fits(s spareLog) bool {
	return p.live+len(p.idle) < p.spares+2 && p.size/2 <= s.size && s.size <= 2*p.size && !p.has(s.number)
}

func (p *logPool) has(number wal.NumWAL) bool {
	return slices.ContainsFunc(p.idle, func(s spareLog) bool { return s.number == number })
}

// logNumber parses the name of a log.
func logNumber(name string) (wal.NumWAL, bool) {
	number, _, ok := wal.ParseLogFilename(name)
	return number, ok
}

func (p *logPool) path(s spareLog) string {
	return p.PathJoin(p.dir, s.number.String()+spareSuffix)
}

// Unwrap implements vfs.FS.
func (p *logPool) Unwrap() vfs.FS { return p.thriftyFS }

// log parses the path of a log in the store's directory: a checkpoint has
// others.
func (p *logPool) log(path string) (wal.NumWAL, bool) {
	number, ok := logNumber(p.PathBase(path))
	return number, ok && path == p.PathJoin(p.dir, p.PathBase(path))
}

// Create implements vfs.FS.
func (p *logPool) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	number, ok := p.log(path)
	if !ok {
		return p.thriftyFS.Create(path, category)
	}
	size, err := p.reuse(number, path)
	if err != nil {
		return nil, err
	}
	var f vfs.File
	if size == 0 {
		f, err = p.thriftyFS.Create(path, category)
	} else if f, err = p.OpenReadWrite(path, category); err == nil {
		f = p.newLog(f, size)
	}
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, path)
	return &pooledLog{f, p, path}, nil
}

// pooledLog is a log that is being written. Pebble may be done with it before its last
// write has ended, if it has failed over meanwhile.
type pooledLog struct {
	vfs.File
	pool *logPool
	path string
}

// Close implements vfs.File.
func (f *pooledLog) Close() error {
	err := f.File.Close()
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	f.pool.open = slices.DeleteFunc(f.pool.open, func(path string) bool { return path == f.path })
	return err
}

// reuse counts a new log, and makes it of a spare if there is one, whose size it
// returns. The logs of small memtables are not worth one, unless space is low: it
// would be missing soon after.
func (p *logPool) reuse(number wal.NumWAL, path string) (size int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live++
	length := p.next
	p.next = min(2*length, p.size)
	if length < p.size/8 && !p.low {
		return 0, nil
	}
	i := slices.IndexFunc(p.idle, func(s spareLog) bool { return s.size > 0 && s.number < number })
	if i < 0 {
		return 0, nil
	}
	spare := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return spare.size, p.Rename(p.path(spare), path)
}

// Remove implements vfs.FS.
func (p *logPool) Remove(path string) error {
	if number, ok := p.log(path); ok {
		if kept, err := p.recycle(number, path); kept || err != nil {
			return err
		}
	}
	return p.thriftyFS.Remove(path)
}

// recycle makes a spare of a log that is done with, if it can be one: nobody may write to
// it any more.
func (p *logPool) recycle(number wal.NumWAL, path string) (kept bool, err error) {
	info, err := p.Stat(path)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
	spare := spareLog{number, info.Size()}
	if !p.fits(spare) || slices.Contains(p.open, path) {
		return false, nil
	}
	if err := p.Rename(path, p.path(spare)); err != nil {
		return false, err
	}
	p.idle = append(p.idle, spare)
	return true, nil
}

// fill makes spares of zeros until there are enough. It is in no hurry, so that
// the syncs of the present log do not wait for it. After an error that
// will not pass it does nothing any more: all works without spares, if slower.
func (p *logPool) fill(ctx context.Context) error {
	p.filling.Lock()
	defer p.filling.Unlock()
	for !p.failed && ctx.Err() == nil {
		spare, ok := p.begin()
		if !ok {
			return nil
		}
		err := p.writeZeros(ctx, p.path(spare))
		if err = p.end(spare, err); err != nil && ctx.Err() == nil {
			p.failed = !durable.Passing(err)
			return fmt.Errorf("engine: make a spare log: %w", err)
		}
	}
	return nil
}

// begin names the next spare to fill, unless there are enough.
func (p *logPool) begin() (s spareLog, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.low || p.live+len(p.idle) > p.spares {
		return s, false
	}
	for p.has(s.number) {
		s.number++ // zeros are no records of any log
	}
	p.idle = append(p.idle, s)
	return s, true
}

// end adds a spare that is filled, or forgets one that could not be.
func (p *logPool) end(s spareLog, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, s)
	if err == nil {
		p.idle[i].size = p.size
		return nil
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	if removed := p.thriftyFS.Remove(p.path(s)); !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

func (p *logPool) writeZeros(ctx context.Context, path string) (err error) {
	f, err := p.thriftyFS.Create(path, "pebble-wal")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	chunk := make([]byte, min(fillChunk, p.size))
	for at := int64(0); at < p.size; at += int64(len(chunk)) {
		if at > 0 && !pause(ctx, fillPause) {
			return ctx.Err()
		}
		if _, err := f.Write(chunk[:min(int64(len(chunk)), p.size-at)]); err != nil {
			return err
		}
		if _, err := f.SyncTo(at + int64(len(chunk))); err != nil {
			return err
		}
	}
	return f.Sync()
}

// pause waits for d, or reports that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// inUse returns how many logs there are.
func (p *logPool) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

// setLow tells whether free space is low.
func (p *logPool) setLow(low bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.low = low
}

// giveUp removes a spare, or reports that there is none. It waits for nobody: who
// is at the pool may be waiting for space.
func (p *logPool) giveUp() bool {
	if !p.mu.TryLock() {
		return false
	}
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.idle, func(s spareLog) bool { return s.size > 0 })
	if i < 0 {
		return false
	}
	spare := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return p.thriftyFS.Remove(p.path(spare)) == nil
}

// bytes is the size of all spares.
func (p *logPool) bytes() int64 {
	if !p.mu.TryLock() { // who has it may be waiting for space
		return p.known.Load()
	}
	defer p.mu.Unlock()
	sum := int64(0)
	for _, s := range p.idle {
		sum += s.size
	}
	p.known.Store(sum)
	return sum
}

// deleter is a pebble.Cleaner that removes files. That it embeds an
// ArchiveCleaner makes Pebble remove its logs instead of keeping them for reuse
// itself. F is Pebble's type of file types, which has no public name.
type deleter[F any] struct{ pebble.ArchiveCleaner }

func newDeleter[F any](func(vfs.FS, F, string) error) deleter[F] { return deleter[F]{} }

// Clean implements pebble.Cleaner.
func (deleter[F]) Clean(fs vfs.FS, _ F, path string) error { return fs.Remove(path) }

func (deleter[F]) String() string { return pebble.DeleteCleaner{}.String() }
