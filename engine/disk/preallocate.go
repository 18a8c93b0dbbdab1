package disk

import (
	"math"
	"path"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

const (
	// logClaim is the disk space that a log claims at a time, in bytes. Pebble
	// asks for more than a whole memtable, even for the small ones that it begins
	// with: half a gigabyte for the first few megabytes of sessions, on a small
	// disk forever.
	logClaim = 4 << 20

	// leastClaim is what a log has claimed at least, if there is space.
	leastClaim = 1 << 20

	// A log that grows becomes longer by this many bytes at a time, or by a quarter of a
	// full one.
	lengthenBy = 128 << 10

	// manifestClaim is the space that a manifest claims, for more than a thousand
	// flushes: without them no space comes back.
	manifestClaim = 128 << 10
)

// claim is the space that the present log can be written into though the disk
// is full.
type claim struct{ bytes atomic.Int64 }

// left is how many bytes it has.
func (c *claim) left() int64 { return max(0, c.bytes.Load()) }

// thriftyFS is a file system whose files claim little space in advance. What a log
// has claimed beyond what is written in it is in claimed.
type thriftyFS struct {
	vfs.FS
	claimed  *claim
	shortage *shortage
	step     int64 // by which logs become longer, bytes
}

func (fs thriftyFS) Unwrap() vfs.FS { return fs.FS }

func (fs thriftyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	if path.Ext(name) == logExt {
		return fs.newLog(f, 0), nil
	}
	if strings.HasPrefix(fs.PathBase(name), "MANIFEST-") {
		_ = f.Preallocate(0, manifestClaim) // it waits for space, if it cannot have it now
	}
	return thriftyFile{f}, nil
}

// ReuseForWrite takes two steps, since vfs.MemFS takes one of its locks twice when
// it does both at once, and hangs when it is cloned meanwhile.
func (fs thriftyFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.FS.Rename(oldname, newname); err != nil {
		return nil, err
	}
	f, err := fs.FS.OpenReadWrite(newname, category)
	if err != nil {
		return nil, err
	}
	return thriftyFile{f}, nil
}

// thriftyFile claims nothing but the beginning of what is asked for.
type thriftyFile struct{ vfs.File }

// Preallocate implements vfs.File.
func (f thriftyFile) Preallocate(offset, length int64) error {
	return f.File.Preallocate(offset, min(length, logClaim))
}

// zeros are what a log is lengthened with.
var zeros [lengthenBy]byte

// newLog makes f, which is size bytes long, the present log.
func (fs thriftyFS) newLog(f vfs.File, size int64) vfs.File {
	fs.claimed.bytes.Store(size)
	log := &logFile{File: f, fs: fs, length: size, size: size}
	log.ready(0)
	return log
}

// logFile is a log being written, by one goroutine. It claims the space for what
// is written next a piece at a time, and always has some.
//
// A sync of a file that has become longer writes its inode, too, and waits for the
// journal of the file system. So a log that is not made of a spare is lengthened by many
// writes' worth of zeros at a time, which all readers of logs take for the end.
type logFile struct {
	vfs.File
	fs     thriftyFS
	at     int64 // where the next Write goes
	length int64 // of the file
	size   int64 // up to where there is space
}

// Preallocate does nothing: Write claims what it needs.
func (f *logFile) Preallocate(int64, int64) error { return nil }

// Write implements vfs.File.
func (f *logFile) Write(p []byte) (int, error) {
	f.ready(int64(len(p)))
	n, err := f.File.Write(p)
	f.at += int64(n)
	f.fs.claimed.bytes.Add(int64(-n))
	if f.at > f.length && err == nil {
		f.lengthen()
	}
	return n, err
}

// lengthen writes zeros behind what is written, into space that is claimed. Without them
// the log works, too.
func (f *logFile) lengthen() {
	end := min((f.at/f.fs.step+1)*f.fs.step, f.size)
	n, _ := f.File.WriteAt(zeros[:max(0, end-f.at)], f.at)
	f.length = f.at + int64(n)
}

// ready claims more space for a write of n bytes and what comes next. If there is
// none, the store gives up what it holds for that rather than the last of what the
// log has.
func (f *logFile) ready(n int64) {
	for f.at+n+leastClaim > f.size {
		err := f.File.Preallocate(f.size, logClaim)
		switch {
		case err == nil:
			f.size += logClaim
			f.fs.claimed.bytes.Add(logClaim)
		case !durable.Passing(err):
			f.size = math.MaxInt64 // the file system does not know how
		case f.at+n <= f.size && n > 0 || !f.fs.shortage.eased(err):
			return
		}
	}
}
