package disk

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/disk/framing"
	"cairn/session"
)

// remedy is what a refusal to open a damaged store tells the operator to do.
const remedy = "restore the data directory from a backup, copy what can be read with 'cairn salvage', or move it away to start empty; 'cairn check' tells what else is damaged"

// Inspect looks in the data directory dir for damage that Pebble would take for
// the torn end of a file and open without what came after it. The error wraps
// session.ErrCorrupt if there is any. Nothing is changed.
func Inspect(fs vfs.FS, dir string) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || !desc.Exists {
		return err
	}
	err = inspectFile(fs, desc.ManifestFilename, framing.Manifest)
	if err != nil {
		return err
	}
	logs, err := findLogs(fs, dir)
	if err != nil {
		return err
	}
	for _, log := range logs {
		for i := range log.NumSegments() {
			fs, path := log.SegmentLocation(i)
			err := inspectFile(fs, path, func(r io.Reader) error { return framing.Log(r, uint64(log.Num)) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// inspectFile lets look read a file, and names the file if it is damaged.
func inspectFile(fs vfs.FS, path string, look func(io.Reader) error) (err error) {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = look(f)
	if errors.Is(err, framing.ErrDamaged) {
		name := filepath.Base(path)
		return &damage{name, fmt.Errorf("%w: %s: %w; %s", session.ErrCorrupt, name, err, remedy)}
	}
	return err
}

// damage is an error about one file.
type damage struct {
	file string
	err  error
}

func (d *damage) Error() string { return d.err.Error() }
func (d *damage) Unwrap() error { return d.err }

// DamagedFile is the name of the damaged file that an error of Inspect is about, ""
// if it is about none.
func DamagedFile(err error) string {
	if d := (*damage)(nil); errors.As(err, &d) {
		return d.file
	}
	return ""
}

// Blame adds to err, with which Pebble could not open the data directory dir with
// the options o, the names of the files that cannot be read.
func Blame(fs vfs.FS, dir string, o *pebble.Options, err error) error {
	var names []string
	entries, _ := fs.List(dir)
	for _, name := range entries {
		if strings.HasSuffix(name, ".sst") && VerifyTable(fs, fs.PathJoin(dir, name), o) != nil {
			names = append(names, name)
		}
	}
	_ = VerifyLogs(fs, dir, func(log string, err error) { names = append(names, log+".log") })
	if desc, e := pebble.Peek(dir, fs); len(names) == 0 && e == nil && desc.Exists { // then one of these
		for _, path := range []string{desc.OptionsFilename, desc.ManifestFilename} {
			names = append(names, filepath.Base(path))
		}
	}
	if len(names) == 0 {
		return err
	}
	return fmt.Errorf("%w (look at %s: %s)", err, strings.Join(names, ", "), remedy)
}
