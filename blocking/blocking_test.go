package blocking

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// newFile makes a file of n random bytes and returns it with these.
func newFile(t *testing.T, n int) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, n)
	rand.Read(content)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := Fdatasync(f.Fd()); err != nil {
		t.Fatal(err)
	}
	if err := Fsync(f.Fd()); err != nil {
		t.Fatal(err)
	}
	return f, content
}

func TestPread(t *testing.T) {
	const size = 300_000
	f, content := newFile(t, size)
	for _, c := range []struct {
		offset, length, want int
		err                  error
	}{
		{0, size, size, nil},
		{0, 0, 0, nil},
		{1, 10, 10, nil},
		{size - 5, 5, 5, nil},
		{size - 5, 6, 5, io.EOF},
		{size, 1, 0, io.EOF},
		{2 * size, 1, 0, io.EOF},
	} {
		for _, cached := range []bool{true, false} {
			if !cached {
				forget(t, f)
			}
			p := make([]byte, c.length)
			n, err := Pread(f.Fd(), p, int64(c.offset))
			if n != c.want || !errors.Is(err, c.err) || err == nil && c.err != nil {
				t.Errorf("%d bytes at %d, cached %t: %d, %v, want %d, %v", c.length, c.offset, cached, n, err, c.want, c.err)
			}
			if n > 0 && !bytes.Equal(p[:n], content[c.offset:c.offset+n]) {
				t.Errorf("%d bytes at %d, cached %t: other bytes than were written", c.length, c.offset, cached)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	const bad = ^uintptr(0)
	if _, err := Pread(bad, make([]byte, 1), 0); err != syscall.EBADF {
		t.Errorf("read: %v", err)
	}
	if err := Fdatasync(bad); err != syscall.EBADF {
		t.Errorf("fdatasync: %v", err)
	}
	if err := Fsync(bad); err != syscall.EBADF {
		t.Errorf("fsync: %v", err)
	}
}
