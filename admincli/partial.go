package admincli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// partialSuffix ends the names of files that are not whole yet. While a command writes
// one it holds a lock on it, so that the next command knows what a killed one has left.
const partialSuffix = ".cairn-partial"

// saveTo lets write fill a file that gets its name only when it is whole and
// on disk; - is standard output. It removes what killed commands have left there.
func saveTo[T any](name string, stdout io.Writer, write func(io.Writer) (T, error)) (result T, err error) {
	if name == "-" {
		return write(stdout)
	}
	if _, err := os.Lstat(name); err == nil {
		return result, fmt.Errorf("%s already exists", name)
	}
	removePartials(filepath.Dir(name))
	f, err := createPartial(name)
	if err != nil {
		return result, err
	}
	defer os.Remove(f.Name())
	result, err = write(f)
	if err = errors.Join(err, f.Sync()); err == nil {
		err = os.Link(f.Name(), name) // while the lock is held
	}
	return result, errors.Join(err, f.Close())
}

// createPartial makes the file that is to become name, and locks it. Where the file
// system has no locks it stays unlocked, and nobody takes it for left over.
func createPartial(name string) (*os.File, error) {
	for {
		f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*"+partialSuffix)
		if err != nil {
			return nil, err
		}
		_ = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if found, err := os.Lstat(f.Name()); err == nil && os.SameFile(mine, found) {
			return f, nil
		}
		_ = f.Close() // another command removed it before it was locked
	}
}

// removePartials removes the files in dir that killed commands have left. What cannot
// be removed stays: it is in nobody's way.
func removePartials(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, partialSuffix) || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.Remove(path)
		}
		_ = f.Close()
	}
}
