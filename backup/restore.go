package backup

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// Restore fills dir with the store of an archive. The directory is made if it
// is absent; if it is there it keeps its place, owner and mode, so it may be a
// mount point or a link to one. It must hold no files besides those that
// checkEmpty ignores.
//
// The files are written, synced and checked in a directory of their own inside
// dir. Then verify, if it is not nil, looks at the store there. Only what passes
// moves into place, the file FORMAT last: a store without it does not open. On
// an error, and when the next Restore finds what a killed one left, dir is
// emptied again and directories made for it are removed.
//
// Run as root, Restore gives the files to the owner of dir.
func Restore(r io.Reader, dir string, verify func(dir string) error) (info Info, err error) {
	err = fill(dir, func(t *target) (err error) {
		if info, err = t.extract(r); err == nil && verify != nil {
			err = verify(t.storePath())
		}
		return err
	})
	if err != nil {
		return Info{}, err
	}
	return info, nil
}

// Fill fills dir as Restore does, with the store that build makes. It gets the path
// of a directory that does not exist yet, to make and sync, and may use others
// beside it as it likes.
func Fill(dir string, build func(dir string) error) error {
	return fill(dir, func(t *target) error {
		if err := t.mkdirs(StagingDir); err != nil {
			return err
		}
		if err := build(t.storePath()); err != nil {
			return err
		}
		return t.adopt()
	})
}

// fill lets stage put a store into the staging directory, and moves it into place.
func fill(dir string, stage func(t *target) error) (err error) {
	t, err := openTarget(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.undo())
		}
		err = errors.Join(err, t.close())
	}()
	if err := stage(t); err != nil {
		return err
	}
	return t.settle()
}

// adopt gives what somebody else has put into the staging directory to the owner
// of the data directory.
func (t *target) adopt() error {
	return fs.WalkDir(t.root.FS(), stagedStore, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !t.giveAway {
			return err
		}
		return t.root.Lchown(name, t.uid, t.gid)
	})
}

// extract writes the store's files into the staging directory and syncs them.
func (t *target) extract(r io.Reader) (Info, error) {
	if err := t.mkdirs(stagedStore); err != nil {
		return Info{}, err
	}
	dirs := map[string]bool{stagedStore: true}
	info, err := read(r, func(name string, content io.Reader) error {
		name = path.Join(stagedStore, name)
		parent := path.Dir(name)
		if err := t.mkdirs(parent); err != nil {
			return err
		}
		for d := parent; !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
		return t.writeFile(name, content)
	})
	if err != nil {
		return Info{}, err
	}
	for d := range dirs {
		if err := t.syncDir(d); err != nil {
			return Info{}, err
		}
	}
	return info, nil
}

// mkdirs makes the directory of that name and those above it.
func (t *target) mkdirs(name string) error {
	if name == "." {
		return nil
	}
	if err := t.mkdirs(path.Dir(name)); err != nil {
		return err
	}
	err := t.root.Mkdir(name, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil || !t.giveAway {
		return err
	}
	return t.root.Lchown(name, t.uid, t.gid)
}

// writeFile makes a new file with that content and syncs it.
func (t *target) writeFile(name string, content io.Reader) error {
	f, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if t.giveAway {
		err = f.Chown(t.uid, t.gid)
	}
	if err == nil {
		_, err = io.Copy(f, content)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (t *target) syncDir(name string) error {
	d, err := t.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
