package log

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

// directory is one of the (at most two) places of segments, and its spares.
type directory struct {
	path   string
	fs     vfs.FS
	o      *Options
	direct atomic.Bool // the way to the disk

	// late is how many operations have been left to themselves because they
	// took too long, and have not ended.
	late atomic.Int32
	// failed is set when a sync has failed here: the directory is used no more.
	failed atomic.Bool

	mu     sync.Mutex // held while spares are renamed and removed
	spares []spare
	bytes  atomic.Int64 // of spares
}

// spare is a file that waits to be a segment.
type spare struct {
	number uint64
	size   int64
}

func (d *directory) join(name string) string { return d.fs.PathJoin(d.path, name) }

// adopt makes use of the spares that an earlier process has left; names is what
// is in the directory.
func (d *directory) adopt(names []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		number, ok := parseName(name, spareSuffix)
		if !ok {
			continue
		}
		info, err := d.fs.Stat(d.join(name))
		if err != nil {
			return err
		}
		if info.Size() != d.o.SegmentSize || len(d.spares) >= d.o.Spares {
			if err := d.fs.Remove(d.join(name)); err != nil {
				return err
			}
			continue
		}
		d.add(spare{number, info.Size()})
	}
	return nil
}

// add counts a spare. d.mu is held.
func (d *directory) add(s spare) {
	d.spares = append(d.spares, s)
	d.bytes.Add(s.size)
}

// take makes the segment's file of a spare, or reports that there is none.
func (d *directory) take(segment uint64, size int64) (taken bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.spares, func(s spare) bool { return s.size == size })
	if i < 0 {
		return false, nil
	}
	s := d.spares[i]
	if err := d.fs.Rename(d.join(spareName(s.number)), d.join(segmentName(segment))); err != nil {
		return false, err
	}
	d.spares = slices.Delete(d.spares, i, i+1)
	d.bytes.Add(-s.size)
	return true, nil
}

// release gives up a segment's file: it becomes a spare if one is wanted, and
// if nobody writes to it any more.
func (d *directory) release(segment uint64, idle bool) (recycled bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := d.join(segmentName(segment))
	info, err := d.fs.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s := spare{segment, info.Size()}
	if !idle || s.size != d.o.SegmentSize || len(d.spares) >= d.o.Spares {
		return false, d.fs.Remove(path)
	}
	if err := d.fs.Rename(path, d.join(spareName(segment))); err != nil {
		return false, err
	}
	d.add(s)
	return true, nil
}

const (
	fillChunk = 1 << 20
	// fillPause lies between two chunks of zeros, so that syncs of the segment
	// that is being written do not wait for them.
	fillPause = 10 * time.Millisecond
	// fillRoom is how many segments' sizes must be free for a new spare.
	fillRoom = 4
)

// fill makes a spare of zeros if there is none.
func (d *directory) fill(ctx context.Context, number func() uint64) error {
	d.mu.Lock()
	enough := len(d.spares) > 0 || d.o.Spares < 1
	d.mu.Unlock()
	if enough || d.failed.Load() || d.late.Load() > 0 || !d.roomy() {
		return nil
	}
	s := spare{number(), d.o.SegmentSize}
	path := d.join(spareName(s.number))
	if err := d.zeros(ctx, path, s.size); err != nil {
		if removed := d.fs.Remove(path); !errors.Is(removed, os.ErrNotExist) {
			err = errors.Join(err, removed)
		}
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(s)
	return nil
}

// roomy reports whether there is room for a spare.
func (d *directory) roomy() bool {
	usage, err := d.fs.GetDiskUsage(d.path)
	return err != nil || usage.AvailBytes >= uint64(fillRoom*d.o.SegmentSize) // unknown is enough
}

func (d *directory) zeros(ctx context.Context, path string, size int64) (err error) {
	f, err := d.fs.Create(path, writeCategory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	chunk := make([]byte, fillChunk)
	for at := int64(0); at < size; at += fillChunk {
		if at > 0 {
			select {
			case <-time.After(fillPause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		clear(chunk) // a file system may write to what it is given
		if _, err := f.Write(chunk[:min(fillChunk, size-at)]); err != nil {
			return err
		}
		if _, err := f.SyncTo(at + fillChunk); err != nil {
			return err
		}
	}
	return f.Sync()
}

// create makes a segment: its header is durable when it returns. After an error
// there is no file, or an empty one that Open takes for none.
func (d *directory) create(h segmentHeader) (w *writer, err error) {
	path := d.join(segmentName(h.number))
	defer func() {
		if err != nil {
			_ = d.fs.Remove(path)
		}
	}()
	taken, err := d.take(h.number, int64(h.size))
	if err != nil {
		return nil, err
	}
	if !taken {
		if err := d.preallocate(path, int64(h.size)); err != nil {
			return nil, err
		}
	}
	dev, err := d.openDevice(path)
	if err != nil {
		return nil, err
	}
	w = newWriter(dev, h)
	if err = w.begin(); err == nil {
		err = durable.SyncDir(d.fs, d.path)
	}
	if err != nil {
		return nil, errors.Join(err, dev.close())
	}
	return w, nil
}

// openDevice opens a segment's file to write to it.
func (d *directory) openDevice(path string) (device, error) {
	dev, err := openDevice(d.fs, path, d.direct.Load())
	if errors.Is(err, errNoDirect) {
		d.direct.Store(false)
		dev, err = openDevice(d.fs, path, false)
	}
	if err == nil && d.o.wrap != nil {
		dev = d.o.wrap(path, dev)
	}
	return dev, err
}

// preallocate makes a file that has its space, where the file system knows how.
func (d *directory) preallocate(path string, size int64) error {
	f, err := d.fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return err
	}
	if err = f.Preallocate(0, size); !durable.Passing(err) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
