package disk

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

// orderedFS makes the entry of a file durable before the marker that names it.
// Pebble syncs a new manifest but not its directory, and then makes a marker
// beside it: a power loss may keep the marker's entry and lose the manifest's,
// and the store does not open any more. (File systems that write entries in
// order, such as ext4, do not; POSIX lets them.)
type orderedFS struct{ vfs.FS }

func (fs orderedFS) Unwrap() vfs.FS { return fs.FS }

func (fs orderedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(name), "marker.") {
		if err := durable.SyncDir(fs.FS, fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return fs.FS.Create(name, category)
}
