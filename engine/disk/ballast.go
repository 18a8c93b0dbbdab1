package disk

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballast is space that the store holds to have it when others have filled the
// disk: enough for the log to go on with deletes and touches, and for the small
// tables and manifests without which nothing that has expired leaves the disk.
type ballast struct {
	fs   vfs.FS
	path string

	mu   sync.Mutex
	held atomic.Int64 // bytes
}

// BallastFile is the name of the file that holds it, in the directory of the store.
const BallastFile = "ballast"

const (
	// ballastBytes is its size, or ballastShare of a small disk.
	ballastBytes = 8 << 20
	ballastShare = 1. / 32
)

// sizeOn is the ballast's size on a disk of that size; 0: none.
func (b *ballast) sizeOn(total int64) int64 {
	return min(ballastBytes, int64(float64(total)*ballastShare))
}

// take claims the space, if it is not claimed yet. Where that cannot be done there
// is no ballast.
func (b *ballast) take(size int64) {
	if b.held.Load() > 0 || size < 1<<20 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := b.fs.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	err = f.Preallocate(0, size)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = b.fs.Remove(b.path)
		return
	}
	b.held.Store(size)
}

// drop frees the space, or reports that it is not held.
func (b *ballast) drop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held.Swap(0) > 0 && b.fs.Remove(b.path) == nil
}

// adopt makes use of what an earlier process has left.
func (b *ballast) adopt(size int64) {
	if _, err := b.fs.Stat(b.path); err == nil {
		b.held.Store(max(1, size))
	}
}
