//go:build !linux

package blocking

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func fdatasync(fd uintptr) syscall.Errno { return fsync(fd) }

func fsync(fd uintptr) syscall.Errno { return number(unix.Fsync(int(fd))) }

func pread(fd uintptr, p []byte, offset int64) (int, syscall.Errno) {
	n, err := unix.Pread(int(fd), p, offset)
	return max(n, 0), number(err)
}

func number(err error) syscall.Errno {
	errno, _ := err.(syscall.Errno)
	return errno
}
