package disk

import "github.com/cockroachdb/pebble/v2/vfs"

// logPreallocation bounds the disk space that a log claims in advance, in
// bytes. Pebble asks for more than a whole memtable, even for the small ones
// that it begins with: half a gigabyte for the first few megabytes of sessions,
// on a small disk forever.
const logPreallocation = 4 << 20

// thriftyFS is a file system whose files claim little space in advance.
type thriftyFS struct{ vfs.FS }

func (fs thriftyFS) Unwrap() vfs.FS { return fs.FS }

func (fs thriftyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return thrifty(fs.FS.Create(name, category))
}

// ReuseForWrite takes two steps, since vfs.MemFS takes one of its locks twice when
// it does both at once, and hangs when it is cloned meanwhile.
func (fs thriftyFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.FS.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return thrifty(fs.FS.OpenReadWrite(newname, category))
}

func thrifty(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return thriftyFile{f}, nil
}

type thriftyFile struct{ vfs.File }

// Preallocate claims the beginning of what was asked for.
func (f thriftyFile) Preallocate(offset, length int64) error {
	return f.File.Preallocate(offset, min(length, logPreallocation))
}
