package blocking

import (
	"os"
	"runtime"
	"syscall"
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

// TestReadsMemoryWithoutWaiting reads what the kernel cannot have in memory, with the
// order not to wait.
func TestReadsMemoryWithoutWaiting(t *testing.T) {
	f, content := newFile(t, 4<<20)
	p := make([]byte, len(content))
	v := iovec(p)
	n, errno := preadv2(f.Fd(), &v, 0, unix.RWF_NOWAIT)
	if errno == unix.EOPNOTSUPP {
		t.Skip("the file system of temporary files cannot say that a read would wait")
	}
	if n != len(p) || errno != 0 {
		t.Fatalf("in memory: %d bytes of %d, %v", n, len(p), errno)
	}
	forget(t, f)
	if n, errno = preadv2(f.Fd(), &v, 0, unix.RWF_NOWAIT); errno != syscall.EAGAIN && n == len(p) {
		t.Skip("the file system keeps its files in memory")
	}
	if n, err := Pread(f.Fd(), p, 0); n != len(p) || err != nil {
		t.Errorf("from the disk: %d bytes, %v", n, err)
	}
}
