package blocking

import (
	"bytes"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// forget makes the kernel read the file from the disk the next time.
func forget(t *testing.T, f *os.File) {
	t.Helper()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// current stands for the position of a file that has no others, in preadv2.
const current = -1

// TestOthersRun reads from a pipe what only another goroutine can have written, though
// there is one processor for both.
func TestOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	p := make([]byte, 1)
	for i := range 1000 {
		go unix.Write(pipe[1], []byte{byte(i)})
		v := iovec(p)
		n, errno := preadWaiting(uintptr(pipe[0]), &v, current)
		if n != 1 || errno != 0 || p[0] != byte(i) {
			t.Fatalf("read %d: %d bytes, %v, %d", i, n, errno, p[0])
		}
	}
}

// TestReadsMemoryWithoutWaiting reads what the kernel has just been given, with the order
// not to wait.
func TestReadsMemoryWithoutWaiting(t *testing.T) {
	f, content := newFile(t, 4<<20)
	p := make([]byte, len(content))
	v := iovec(p)
	if n, errno := preadv2(f.Fd(), &v, 0, unix.RWF_NOWAIT); errno != unix.EOPNOTSUPP && (n != len(p) || errno != 0 || !bytes.Equal(p, content)) {
		t.Errorf("%d bytes of %d, %v", n, len(p), errno)
	}
}

// TestAlwaysWaits is how files are read where the kernel cannot say that it would wait.
func TestAlwaysWaits(t *testing.T) {
	defer always.Store(always.Swap(true))
	f, content := newFile(t, 1<<20)
	forget(t, f)
	p := make([]byte, len(content))
	if n, err := Pread(f.Fd(), p, 0); n != len(p) || err != nil || !bytes.Equal(p, content) {
		t.Errorf("%d bytes of %d, %v", n, len(p), err)
	}
}
