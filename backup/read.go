package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Verify reads an archive to its end and checks every file in it.
func Verify(r io.Reader) (Info, error) {
	return read(r, func(string, io.Reader) error { return nil })
}

// reader checks an archive while it is read.
type reader struct {
	tar     *tar.Reader
	info    Info
	sums    strings.Builder // in the format of sumsName
	extract func(name string, r io.Reader) error
}

// read calls extract with the name of each of the store's files, relative to
// its directory, and its bytes; what extract leaves is skipped. The files may
// be damaged as long as read has not returned nil.
func read(r io.Reader, extract func(name string, r io.Reader) error) (Info, error) {
	decompressed, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return Info{}, err
	}
	defer decompressed.Close()
	a := &reader{tar: tar.NewReader(decompressed), extract: extract}
	if err := a.first(); err != nil {
		return Info{}, err
	}
	for {
		done, err := a.next()
		if err != nil {
			return Info{}, err
		}
		if done {
			return a.info, a.end(decompressed)
		}
	}
}

// first reads the entry that says what the archive is.
func (a *reader) first() error {
	h, err := a.tar.Next()
	if err != nil || h.Name != infoName {
		if isCut(err) {
			return ErrTruncated
		}
		return ErrNotArchive
	}
	sum := sha256.New()
	data, err := io.ReadAll(io.TeeReader(io.LimitReader(a.tar, maxInfo), sum))
	if err != nil {
		return broken(err)
	}
	if err := json.Unmarshal(data, &a.info); err != nil {
		return ErrNotArchive
	}
	if a.info.Format != Format {
		return fmt.Errorf("%w: format %d, this version reads %d", ErrNotArchive, a.info.Format, Format)
	}
	a.addSum(sum.Sum(nil), infoName)
	return nil
}

// next reads one of the store's files, or the checksums and reports true.
func (a *reader) next() (done bool, err error) {
	h, err := a.tar.Next()
	if err != nil {
		return false, broken(err)
	}
	if h.Name == sumsName {
		return true, a.compareSums()
	}
	name, ok := strings.CutPrefix(h.Name, storeName)
	if !ok || h.Typeflag != tar.TypeReg || !fs.ValidPath(name) || name == "." {
		return false, fmt.Errorf("%w: unexpected entry %q", ErrDamaged, h.Name)
	}
	sum := sha256.New()
	content := io.TeeReader(a.tar, sum)
	if err := a.extract(name, content); err != nil {
		return false, broken(err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return false, broken(err)
	}
	a.addSum(sum.Sum(nil), h.Name)
	a.info.Files++
	a.info.Bytes += h.Size
	return false, nil
}

func (a *reader) addSum(sum []byte, name string) {
	fmt.Fprintf(&a.sums, "%s  %s\n", hex.EncodeToString(sum), name)
}

// compareSums checks what was read against the archive's own account.
func (a *reader) compareSums() error {
	want, err := io.ReadAll(io.LimitReader(a.tar, maxSums))
	if err != nil {
		return broken(err)
	}
	if bytes.Equal(want, []byte(a.sums.String())) {
		return nil
	}
	for line := range strings.Lines(a.sums.String()) {
		if !bytes.Contains(want, []byte(line)) {
			_, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			return fmt.Errorf("%w: %s", ErrDamaged, name)
		}
	}
	return fmt.Errorf("%w: a file is missing", ErrDamaged)
}

// end checks that nothing but padding follows.
func (a *reader) end(rest io.Reader) error {
	if _, err := a.tar.Next(); err != io.EOF {
		return fmt.Errorf("%w: data behind %s", ErrDamaged, sumsName)
	}
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return broken(err)
	}
	return nil
}

func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// broken says what an error of the tar or zstd stream means. Errors of the
// file system pass.
func broken(err error) error {
	var path *fs.PathError
	switch {
	case isCut(err):
		return ErrTruncated
	case errors.As(err, &path):
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
