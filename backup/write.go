package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Write archives the regular files below dir, which must not change meanwhile.
// It needs the same memory whatever the size.
func Write(w io.Writer, dir string, info Info) error {
	info.Format = Format
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer compressed.Close()
	a := &writer{tar: tar.NewWriter(compressed), created: info.Created}
	if err := a.write(dir, info); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := a.tar.Close(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return compressed.Close()
}

// writer puts entries into an archive and keeps their checksums.
type writer struct {
	tar     *tar.Writer
	created time.Time
	sums    bytes.Buffer
}

func (a *writer) write(dir string, info Info) error {
	header, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	if err := a.entry(infoName, int64(len(header)), bytes.NewReader(header)); err != nil {
		return err
	}
	if err := a.files(dir); err != nil {
		return err
	}
	return a.entry(sumsName, int64(a.sums.Len()), bytes.NewReader(bytes.Clone(a.sums.Bytes())))
}

// files adds everything below dir.
func (a *writer) files(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	tree := root.FS()
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		return a.file(tree, name)
	})
}

func (a *writer) file(tree fs.FS, name string) error {
	f, err := tree.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return a.entry(storeName+name, info.Size(), f)
}

// entry adds size bytes from r.
func (a *writer) entry(name string, size int64, r io.Reader) error {
	err := a.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600,
		ModTime: a.created, Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(a.tar, sum), io.LimitReader(r, size)); err != nil {
		return err
	}
	fmt.Fprintf(&a.sums, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), name)
	return nil
}
