package blocking

import (
	"math/bits"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The runtime keeps these two for packages that know how long a call takes; gVisor is one.
// What is between them is a system call without the scheduler's knowledge. entersyscallblock
// gives the processor away at once. Both are called by a function whose stack cannot move.

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

func fdatasync(fd uintptr) syscall.Errno { return syncWaiting(unix.SYS_FDATASYNC, fd) }
func fsync(fd uintptr) syscall.Errno     { return syncWaiting(unix.SYS_FSYNC, fd) }

//go:nosplit
func syncWaiting(call, fd uintptr) syscall.Errno {
	entersyscallblock()
	_, _, errno := syscall.RawSyscall(call, fd, 0, 0)
	exitsyscall()
	return errno
}

// always is set where the kernel or the file system cannot say that a read would wait.
var always atomic.Bool

// pread reads some of p. p is not empty.
func pread(fd uintptr, p []byte, offset int64) (int, syscall.Errno) {
	v := iovec(p)
	if !always.Load() {
		n, errno := preadv2(fd, &v, offset, unix.RWF_NOWAIT)
		switch {
		case n > 0:
			return n, 0
		case errno == unix.EOPNOTSUPP, errno == unix.ENOSYS:
			always.Store(true)
		}
		// Linux 5.9 and 5.10 may return nothing in the middle of a file.
	}
	n, errno := preadWaiting(fd, &v, offset)
	if errno == unix.ENOSYS {
		k, err := unix.Pread(int(fd), p, offset)
		errno, _ = err.(syscall.Errno)
		return max(k, 0), errno
	}
	return n, errno
}

//go:nosplit
func preadWaiting(fd uintptr, v *unix.Iovec, offset int64) (int, syscall.Errno) {
	entersyscallblock()
	n, errno := preadv2(fd, v, offset, 0)
	exitsyscall()
	return n, errno
}

//go:nosplit
func preadv2(fd uintptr, v *unix.Iovec, offset int64, flags uintptr) (int, syscall.Errno) {
	// The kernel takes the offset in two words, of which one is enough on 64 bits.
	high := uintptr(uint64(offset) >> (bits.UintSize - 1) >> 1)
	n, _, errno := syscall.RawSyscall6(unix.SYS_PREADV2, fd, uintptr(unsafe.Pointer(v)), 1, uintptr(offset), high, flags)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func iovec(p []byte) (v unix.Iovec) {
	v.Base = unsafe.SliceData(p)
	v.SetLen(len(p))
	return v
}
