package disk

import (
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patientFS is a file system for Pebble on which a shortage is no error. Pebble
// ends the process when it cannot write its log or its manifest; here those
// wait and go on. A table that cannot be written fails, and Pebble writes it
// anew at once and for ever; here it takes a rest before it fails. What is
// outside of the data directory, such as a checkpoint, fails as ever, and so do
// spare logs.
type patientFS struct {
	vfs.FS
	dir      string // the data directory, clean
	shortage *shortage
}

const blobExt = ".blob"

func (fs patientFS) Unwrap() vfs.FS { return fs.FS }

// vital reports whether the store cannot do without the file.
func (fs patientFS) vital(name string) bool {
	return fs.PathDir(name) == fs.dir && !isTable(name) && path.Ext(name) != spareSuffix
}

// isTable reports whether the file holds sorted data.
func isTable(name string) bool {
	ext := path.Ext(name)
	return ext == tableExt || ext == blobExt
}

// Create implements vfs.FS.
func (fs patientFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if isTable(name) && fs.PathDir(name) == fs.dir {
		f, err := fs.FS.Create(name, category)
		if err != nil {
			return nil, fs.shortage.delay(err)
		}
		return &tableFile{File: f, shortage: fs.shortage}, nil
	}
	return fs.open(name, func() (vfs.File, error) { return fs.FS.Create(name, category) })
}

// OpenReadWrite implements vfs.FS.
func (fs patientFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.open(name, func() (vfs.File, error) { return fs.FS.OpenReadWrite(name, category, opts...) })
}

// open opens a file to be written, and waits until it can be if it is vital.
func (fs patientFS) open(name string, try func() (vfs.File, error)) (f vfs.File, err error) {
	if !fs.vital(name) {
		return try()
	}
	err = fs.shortage.retry(func() (err error) {
		f, err = try()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &patientFile{File: f, shortage: fs.shortage}, nil
}

// Open implements vfs.FS. A read that cannot open its table would fail, and
// Pebble ends the process where it is told that a file is missing, which this is
// not.
func (fs patientFS) Open(name string, opts ...vfs.OpenOption) (f vfs.File, err error) {
	err = fs.shortage.await(func() (err error) {
		if isTable(name) {
			f, err = openTable(fs.FS, name, opts...)
		} else {
			f, err = fs.FS.Open(name, opts...)
		}
		return err
	})
	return f, err
}

// OpenDir implements vfs.FS.
func (fs patientFS) OpenDir(name string) (f vfs.File, err error) {
	if fs.PathJoin(name) != fs.dir {
		return fs.FS.OpenDir(name)
	}
	err = fs.shortage.retry(func() (err error) {
		f, err = fs.FS.OpenDir(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return patientDir{f, fs.shortage}, nil
}

// Rename implements vfs.FS.
func (fs patientFS) Rename(oldname, newname string) error {
	if !fs.vital(newname) {
		return fs.FS.Rename(oldname, newname)
	}
	return fs.shortage.retry(func() error { return fs.FS.Rename(oldname, newname) })
}

// patientDir is the data directory.
type patientDir struct {
	vfs.File
	shortage *shortage
}

// Sync implements vfs.File.
func (d patientDir) Sync() error { return d.shortage.retry(d.File.Sync) }

// tableFile is a table being written.
type tableFile struct {
	vfs.File
	shortage *shortage
	failed   bool
}

func (f *tableFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.outcome(err)
}

func (f *tableFile) Sync() error     { return f.outcome(f.File.Sync()) }
func (f *tableFile) SyncData() error { return f.outcome(f.File.SyncData()) }

func (f *tableFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.outcome(err)
}

func (f *tableFile) outcome(err error) error {
	if err != nil && !f.failed {
		f.failed = true
		return f.shortage.delay(err)
	}
	return err
}

func (f *tableFile) Close() error {
	err := f.File.Close()
	if err == nil && !f.failed {
		f.shortage.finished()
	}
	return err
}

// maxTail bounds what a patientFile keeps of itself, in bytes.
const maxTail = 1 << 20

// patientFile is a file that only grows and that the store cannot do without. One
// goroutine at a time writes and syncs it.
//
// When a sync fails, the kernel may have dropped what it was to write, and a
// second sync then reports success all the same. So the file keeps what has been
// written since the last sync, and writes it again before it tries again.
type patientFile struct {
	vfs.File
	shortage *shortage
	end      int64  // where the next Write goes
	tail     []byte // what was written and not synced, up to end
}

// Write writes all of p, however long it takes.
func (f *patientFile) Write(p []byte) (written int, err error) {
	if len(f.tail) > 0 && len(f.tail)+len(p) > maxTail {
		if err := f.SyncData(); err != nil {
			return 0, err
		}
	}
	f.tail = append(f.tail, p...)
	err = f.shortage.retry(func() error {
		n, err := f.File.Write(p[written:])
		written += n
		return err
	})
	f.tail = f.tail[:len(f.tail)-(len(p)-written)]
	f.end += int64(written)
	return written, err
}

// Sync implements vfs.File.
func (f *patientFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *patientFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *patientFile) sync(sync func() error) error {
	failed := false
	err := f.shortage.retry(func() error {
		if failed && len(f.tail) > 0 {
			if _, err := f.File.WriteAt(f.tail, f.end-int64(len(f.tail))); err != nil {
				return err
			}
		}
		failed = true
		return sync()
	})
	if err == nil {
		f.forget()
	}
	return err
}

// forget drops what is on the disk, and memory that a large value has left.
func (f *patientFile) forget() {
	if f.tail = f.tail[:0]; cap(f.tail) > 2*maxTail {
		f.tail = nil
	}
}
