package torture

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// inject lets an injector see every operation on fs.
func inject(fs vfs.FS, injector errorfs.Injector) vfs.FS {
	return reuseFS{errorfs.Wrap(fs, injector)}
}

// reuseFS shows the injector what happens to files that are used again, as logs
// are from the second on: errorfs gives those out as they are.
type reuseFS struct{ *errorfs.FS }

func (fs reuseFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return fs.OpenReadWrite(newname, category)
}
