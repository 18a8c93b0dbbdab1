// Package enginetest holds file systems for stores that are tested or measured.
package enginetest

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// BeforeReads returns fs with reads of tables that call wait first, on the
// goroutine that reads; nil stands for the operating system's file system. Logs,
// writes and syncs do not wait.
func BeforeReads(fs vfs.FS, wait func()) vfs.FS {
	if fs == nil {
		fs = vfs.Default
	}
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpFileReadAt && strings.HasSuffix(o.Path, ".sst") {
			wait()
		}
		return nil
	}))
}
