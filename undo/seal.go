package undo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/zeebo/xxh3"
)

// A store takes the torn end of a log or manifest for what a crash leaves. A checkpoint
// is whole when it is made, so in it such an end is damage: a point knows the sums of
// these files. Tables have checksums of their own.

// seal is the size and the XXH3 of a file.
type seal struct {
	Size int64  `json:"size"`
	Sum  string `json:"xxh3"`
}

// sealed reports whether a file of a checkpoint is one that a point has the sum of.
func sealed(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-")
}

// sealsOf returns the seals of the files in the directory of a checkpoint, by name.
func sealsOf(dir string) (map[string]seal, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	seals := map[string]seal{}
	for _, entry := range entries {
		if !sealed(entry.Name()) {
			continue
		}
		if seals[entry.Name()], err = sealOf(filepath.Join(dir, entry.Name())); err != nil {
			return nil, err
		}
	}
	return seals, nil
}

func sealOf(path string) (s seal, err error) {
	file, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer file.Close()
	sum := xxh3.New()
	if s.Size, err = io.Copy(sum, file); err != nil {
		return s, err
	}
	s.Sum = fmt.Sprintf("%016x", sum.Sum64())
	return s, nil
}

// ErrDamaged is the error of a point whose files are not as they were written.
var ErrDamaged = errors.New("the undo point is damaged")

// verify reports a file that is not as its seal says. Points of earlier versions have no
// seals.
func verify(dir string, seals map[string]seal) error {
	for name, want := range seals {
		switch now, err := sealOf(filepath.Join(dir, name)); {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case now != want:
			return fmt.Errorf("%w: %s; cairn salvage copies what can be read of %s into a new store", ErrDamaged, name, dir)
		}
	}
	return nil
}
