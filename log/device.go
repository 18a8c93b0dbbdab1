package log

import (
	"errors"
	"slices"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writeCategory is what the file system counts the log's writes as.
const writeCategory = "pebble-wal"

// device is an open file on its way to the disk. One goroutine uses it at a time.
type device interface {
	// write writes p at off. A direct device wants both to be whole blocks, in
	// aligned memory, and p is durable when it returns.
	write(p []byte, off int64) error

	// sync makes durable what was written. After an error nothing is known of it.
	sync() error

	direct() bool
	close() error
}

// bufferedDevice writes through the page cache.
type bufferedDevice struct{ file vfs.File }

func (d bufferedDevice) write(p []byte, off int64) error {
	_, err := d.file.WriteAt(p, off)
	return err
}

func (d bufferedDevice) sync() error  { return d.file.SyncData() }
func (d bufferedDevice) direct() bool { return false }
func (d bufferedDevice) close() error { return d.file.Close() }

// errNoDirect is the error where there is no direct way to the disk.
var errNoDirect = errors.New("no direct writes here")

// openDevice opens a file that exists, or makes it.
func openDevice(fs vfs.FS, path string, direct bool) (device, error) {
	file, err := fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return nil, err
	}
	if !direct {
		return bufferedDevice{file}, nil
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return openDirect(path)
}

// alignedBlocks returns n bytes of memory that a direct device can write from.
func alignedBlocks(n int) []byte {
	b := make([]byte, n+blockSize)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (blockSize - 1)
	return b[skip : skip+n : skip+n]
}

const (
	probeRounds = 5
	probeBytes  = 8 << 10
	probeTime   = 100 * time.Millisecond

	// directGain is what part of a buffered write's time a direct one may take
	// to be preferred.
	directGain = 0.9
)

// measure reports whether direct writes to dir are faster. It writes a file
// there and removes it.
func measure(fs vfs.FS, dir string) (faster bool, err error) {
	path := fs.PathJoin(dir, "probe")
	defer func() { err = errors.Join(err, fs.Remove(path)) }()
	buffered, err := openDevice(fs, path, false)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, buffered.close()) }()
	block := alignedBlocks(probeBytes)
	if err := errors.Join(buffered.write(block, 0), buffered.sync()); err != nil {
		return false, err
	}
	direct, err := openDirect(path)
	if err != nil {
		return false, nil // then there is no such way
	}
	defer func() { err = errors.Join(err, direct.close()) }()
	times := map[bool][]time.Duration{}
	for end := time.Now().Add(probeTime); len(times[true]) < probeRounds && (len(times[true]) == 0 || time.Now().Before(end)); {
		for _, d := range []device{buffered, direct} {
			start := time.Now()
			if err := d.write(block, 0); err != nil {
				return false, nil // a file system that opens files so and writes none
			}
			if err := d.sync(); err != nil {
				return false, err
			}
			times[d.direct()] = append(times[d.direct()], time.Since(start))
		}
	}
	return float64(median(times[true])) < directGain*float64(median(times[false])), nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
