package snapshot

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/durable"
)

// What is beside the engine's directory, and in it.
const (
	incomingSuffix = ".incoming" // what is being received, or waits to be installed
	replacedSuffix = ".replaced" // the engine before

	receivedName = "SNAPSHOT" // the manifest, once all is there
	installName  = "INSTALL"  // from here on it will be installed, whatever happens
	progressName = "PROGRESS" // which files are complete

	writeCategory = "cairn-snapshot"
)

func isOwn(name string) bool {
	return name == receivedName || name == receivedName+".new" || name == installName || name == installName+".new" || name == progressName
}

// ErrNone is the error of Install if no snapshot has been received as a whole.
var ErrNone = errors.New("snapshot: none has been received")

// Install puts the snapshot that Receive has left beside dir in its place. Nobody
// may have dir open. First it makes durable that this will happen, then it calls
// before, which makes the group's log begin behind the snapshot; if that fails,
// Install does, too, and Recover goes on. before may be called again, after a crash.
func Install(fs vfs.FS, dir string, before func(*Manifest) error) (*Manifest, error) {
	i := installing{fs, dir, before}
	m, err := readManifest(fs, fs.PathJoin(dir+incomingSuffix, receivedName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNone
	}
	if err == nil {
		err = durable.Replace(fs, fs.PathJoin(dir+incomingSuffix, installName), writeCategory, nil)
	}
	if err == nil {
		err = i.swap(m)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot: install %s: %w", dir, err)
	}
	return m, nil
}

// Recover finishes an Install that was interrupted, and returns what has been
// installed: nil if there was none. It is called before dir is opened.
func Recover(fs vfs.FS, dir string, before func(*Manifest) error) (m *Manifest, err error) {
	i := installing{fs, dir, before}
	defer func() {
		if err != nil {
			m, err = nil, fmt.Errorf("snapshot: recover %s: %w", dir, err)
		}
	}()
	waiting, err := exists(fs, fs.PathJoin(dir+incomingSuffix, installName))
	if err != nil {
		return nil, err
	}
	if waiting {
		if m, err = readManifest(fs, fs.PathJoin(dir+incomingSuffix, receivedName)); err != nil {
			return nil, err
		}
		return m, i.swap(m)
	}
	swapped, err := exists(fs, fs.PathJoin(dir, installName))
	if err != nil {
		return nil, err
	}
	if swapped {
		if m, err = readManifest(fs, fs.PathJoin(dir, receivedName)); err != nil {
			return nil, err
		}
		if err := before(m); err != nil {
			return nil, err
		}
		return m, i.clean()
	}
	return nil, errors.Join(i.removeReplaced(), i.remove(receivedName), i.remove(progressName))
}

// installing is the steps of an installation. Each can be done again.
type installing struct {
	fs     vfs.FS
	dir    string
	before func(*Manifest) error
}

// swap puts the snapshot in the place of the directory.
func (i installing) swap(m *Manifest) error {
	if err := i.before(m); err != nil {
		return err
	}
	there, err := exists(i.fs, i.dir)
	if err != nil {
		return err
	}
	if there {
		if err := i.removeReplaced(); err != nil {
			return err
		}
		if err := i.rename(i.dir, i.dir+replacedSuffix); err != nil {
			return err
		}
	}
	if err := i.rename(i.dir+incomingSuffix, i.dir); err != nil {
		return err
	}
	return i.clean()
}

// rename renames a directory, durably.
func (i installing) rename(from, to string) error {
	if err := i.fs.Rename(from, to); err != nil {
		return err
	}
	return i.syncParent()
}

// clean removes what the installation has left, its mark last.
func (i installing) clean() error {
	if err := i.removeReplaced(); err != nil {
		return err
	}
	if err := i.syncParent(); err != nil {
		return err
	}
	if err := i.remove(progressName); err != nil {
		return err
	}
	if err := i.remove(installName); err != nil {
		return err
	}
	if err := durable.SyncDir(i.fs, i.dir); err != nil {
		return err
	}
	if err := i.remove(receivedName); err != nil {
		return err
	}
	return durable.SyncDir(i.fs, i.dir)
}

func (i installing) remove(name string) error {
	err := i.fs.Remove(i.fs.PathJoin(i.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (i installing) removeReplaced() error { return i.fs.RemoveAll(i.dir + replacedSuffix) }

func (i installing) syncParent() error { return durable.SyncDir(i.fs, i.fs.PathDir(i.dir)) }

func exists(fs vfs.FS, path string) (bool, error) {
	_, err := fs.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func readManifest(fs vfs.FS, path string) (m *Manifest, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return parseManifest(text)
}
