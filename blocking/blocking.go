// Package blocking has the system calls in which a server waits for a disk. While one of
// them waits, other goroutines run at once.
//
// Go lets a goroutine keep its processor (a P of Go's scheduler) in a system call, since
// most calls are short, and has a monitor that takes it away later: after some 100 µs, or
// 500 where timers may be late. As long as that takes nobody else runs on it. With as many
// processors as a server needs, and no more, all its clients would wait for the disk.
//
// Whoever calls keeps the file open until the call returns: nothing here counts those who
// use it.
package blocking

import (
	"io"
	"syscall"
)

// Fdatasync makes what was written to the file durable, and of its metadata what is
// needed to read it. The error is a syscall.Errno.
func Fdatasync(fd uintptr) error {
	return whileInterrupted(func() syscall.Errno { return fdatasync(fd) })
}

// Fsync makes the file durable. The error is a syscall.Errno.
func Fsync(fd uintptr) error { return whileInterrupted(func() syscall.Errno { return fsync(fd) }) }

// Pread reads len(p) bytes from offset on, as io.ReaderAt does; other errors than io.EOF
// are a syscall.Errno. What the kernel has in memory is read without giving way to anybody.
func Pread(fd uintptr, p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		var k int
		err = whileInterrupted(func() (errno syscall.Errno) {
			k, errno = pread(fd, p[n:], offset+int64(n))
			return errno
		})
		switch {
		case err != nil:
			return n, err
		case k == 0:
			return n, io.EOF
		}
		n += k
	}
	return n, nil
}

// whileInterrupted calls the system until no signal interrupts it.
func whileInterrupted(call func() syscall.Errno) error {
	for {
		switch errno := call(); errno {
		case 0:
			return nil
		case syscall.EINTR:
		default:
			return errno
		}
	}
}
