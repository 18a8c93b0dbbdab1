package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// ownership gives a data directory to a user on behalf of root, while the user,
// who may be hostile, can change it. Everything is found from descriptors of
// directories (os.Root), so that no link leads out of the tree: a symbolic link
// is given itself, never what it names.
type ownership struct {
	uid, gid int
	logger   *slog.Logger
	root     *os.Root
	names    map[file]uint64 // how many names each file has in the tree
}

// file identifies what a name stands for.
type file struct{ device, inode uint64 }

// giveTree makes uid and gid the owners of dir and everything below it. A file
// that has more names than the tree holds is left as it is, and logged: its
// other names may lie where it means something else.
func giveTree(dir string, uid, gid int, logger *slog.Logger) error {
	dir, err := rootsDirectory(dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	o := &ownership{uid: uid, gid: gid, logger: logger, root: root, names: map[file]uint64{}}
	if err := o.walk(o.count); err != nil {
		return err
	}
	return o.walk(o.give)
}

// rootsDirectory returns where dir leads. A symbolic link there must be root's
// own: another's could lead anywhere.
func rootsDirectory(dir string) (string, error) {
	const most = 40 // links, as the kernel follows
	for range most {
		info, err := os.Lstat(dir)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return dir, err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 {
			return "", fmt.Errorf("%s is a symbolic link that does not belong to root", dir)
		}
		to, err := os.Readlink(dir)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(dir), to)
		}
		dir = to
	}
	return "", fmt.Errorf("%s: %w", dir, syscall.ELOOP)
}

// walk visits everything in the tree, directories before what is in them. What
// vanishes meanwhile is nobody's business.
func (o *ownership) walk(visit func(name string, stat *syscall.Stat_t) error) error {
	return fs.WalkDir(o.root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = o.root.Lstat(name); err == nil {
				err = visit(name, info.Sys().(*syscall.Stat_t))
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (o *ownership) count(_ string, stat *syscall.Stat_t) error {
	o.names[identity(stat)]++
	return nil
}

func (o *ownership) give(name string, stat *syscall.Stat_t) error {
	isDir := stat.Mode&syscall.S_IFMT == syscall.S_IFDIR
	if !isDir && uint64(stat.Nlink) > o.names[identity(stat)] {
		o.logger.Warn("a file in the data directory has hard links elsewhere, so its owner is not changed", "file", name)
		return nil
	}
	if int(stat.Uid) == o.uid && int(stat.Gid) == o.gid {
		return nil
	}
	return o.root.Lchown(name, o.uid, o.gid)
}

func identity(stat *syscall.Stat_t) file {
	return file{uint64(stat.Dev), stat.Ino}
}
