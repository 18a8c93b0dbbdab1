package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/engine/disk"
)

// The file that says what a data directory holds, and what is in it.
const (
	formatFile = "FORMAT"
	formatName = "cairn"
	format     = formatName + " 1\n"
)

// ErrFormat is the error of Open and Check when the data directory holds what
// this version cannot read.
var ErrFormat = errors.New("unknown format of the data directory")

// checkFormat makes sure that dir holds a store of a format that this version
// knows, or nothing at all; then it writes the format down.
func checkFormat(fs vfs.FS, dir string) error {
	found, err := readFormat(fs, dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return writeFormat(fs, dir)
	case err != nil:
		return err
	case found == format:
		return nil
	case strings.HasPrefix(found, formatName+" "):
		return fmt.Errorf("%w: it is %q and this version knows %q: use the version that wrote it, or a later one",
			ErrFormat, strings.TrimSpace(found), strings.TrimSpace(format))
	}
	return fmt.Errorf("%w: %s is no file of Cairn", ErrFormat, fs.PathJoin(dir, formatFile))
}

func readFormat(fs vfs.FS, dir string) (string, error) {
	f, err := fs.Open(fs.PathJoin(dir, formatFile))
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 100))
	return string(content), err
}

// writeFormat makes the format file durable before anything else is written.
func writeFormat(fs vfs.FS, dir string) error {
	if err := checkEmpty(fs, dir); err != nil {
		return err
	}
	return putFormat(fs, dir)
}

// putFormat writes the format file. It appears whole or not at all.
func putFormat(fs vfs.FS, dir string) error {
	path := fs.PathJoin(dir, formatFile)
	temp := path + ".tmp"
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(format))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, path); err != nil {
		return err
	}
	return disk.SyncDir(fs, dir)
}

// ErrRestoring is the error of Open and Check when a restore is filling the
// data directory, or was killed while it did.
var ErrRestoring = errors.New("a restore into the data directory is under way or was cut short; run it again, or empty the directory")

// restoringDir holds what a restore has not moved into place (package backup).
const restoringDir = "restoring"

// checkEmpty refuses a directory that holds a database without a format, or an
// unfinished restore.
func checkEmpty(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, restoringDir) {
		return ErrRestoring
	}
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.") || name == "CURRENT" {
			return fmt.Errorf("%w: it holds a database (%s) that is no store of Cairn", ErrFormat, name)
		}
	}
	return nil
}
