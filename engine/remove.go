package engine

import (
	"errors"
	"os"
	"regexp"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
	"cairn/engine/disk"
)

// ownFile matches the names of the files of a store, but for the format file.
var ownFile = regexp.MustCompile(`^(\d+(-\d+)?\.(sst|log|blob|spare)|(temporary\.)?\d+\.dbtmp|(MANIFEST|OPTIONS|REMOTE-OBJ-CATALOG)-\d+|marker\..+|CURRENT|LOCK|` +
	disk.BallastFile + `|` + disk.LogsFile + `\.new|` + disk.ProbeFile + `|` + formatFile + `\.tmp)$`)

// Holds reports whether dir holds a store.
func Holds(fs vfs.FS, dir string) (bool, error) {
	_, err := fs.Stat(fs.PathJoin(dir, formatFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Remove removes the files of a store that nobody has open, and nothing else that is
// in its directory, and its logs in others. As long as it has not come to its end, Holds
// says that there is a store, and Remove may be called again.
func Remove(fs vfs.FS, dir string) error {
	if err := disk.RemoveOtherLogs(fs, dir); err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !ownFile.MatchString(name) {
			continue
		}
		if err := fs.Remove(fs.PathJoin(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := durable.SyncDir(fs, dir); err != nil {
		return err
	}
	if err := fs.Remove(fs.PathJoin(dir, formatFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return durable.SyncDir(fs, dir)
}
