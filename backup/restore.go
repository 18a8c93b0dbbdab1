package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Restore brings the store of an archive up in dir, which must be empty or
// absent. It writes beside dir first and moves the whole into place when every
// file is checked and on disk; if it fails, nothing is left behind.
func Restore(r io.Reader, dir string) (info Info, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return Info{}, err
	}
	if err := checkEmpty(dir); err != nil {
		return Info{}, err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return Info{}, err
	}
	staging, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".restoring-")
	if err != nil {
		return Info{}, err
	}
	defer os.RemoveAll(staging)
	if info, err = extract(r, staging); err != nil {
		return Info{}, err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Info{}, err
	}
	if err := os.Rename(staging, dir); err != nil {
		return Info{}, err
	}
	return info, syncDir(parent)
}

func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%w: %s", ErrNotEmpty, dir)
	}
	return err
}

// extract writes the store's files below dir and syncs them.
func extract(r io.Reader, dir string) (Info, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Info{}, err
	}
	defer root.Close()
	dirs := map[string]bool{".": true}
	info, err := read(r, func(name string, content io.Reader) error {
		for d := path.Dir(name); !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		return writeFile(root, name, content)
	})
	if err != nil {
		return Info{}, err
	}
	for d := range dirs {
		if err := syncDir(filepath.Join(dir, d)); err != nil {
			return Info{}, err
		}
	}
	return info, nil
}

func writeFile(root *os.Root, name string, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
