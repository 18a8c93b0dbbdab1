package log

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"cairn/durable"
)

// directDevice writes past the page cache, each write durable when it returns.
type directDevice struct{ file *os.File }

// openDirect opens a file that exists.
func openDirect(path string) (device, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|unix.O_DIRECT|unix.O_DSYNC, 0)
	if err != nil {
		return nil, errors.Join(errNoDirect, err)
	}
	return directDevice{file}, nil
}

func (d directDevice) write(p []byte, off int64) error {
	_, err := d.file.WriteAt(p, off)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EOPNOTSUPP):
		return errors.Join(errNoDirect, err)
	case durable.Passing(err):
		return err
	}
	return &durable.SyncError{Err: err}
}

func (d directDevice) sync() error  { return nil }
func (d directDevice) direct() bool { return true }
func (d directDevice) close() error { return d.file.Close() }
