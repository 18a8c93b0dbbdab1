//go:build unix

package serve

import (
	"io"
	"syscall"
)

// canReadDescriptors says that readReady works on this platform.
const canReadDescriptors = true

// readReady reads what has arrived on the descriptor. It reports false when
// nothing has, having taken no buffer then.
func (r *reader) readReady(fd uintptr) (done bool) {
	empty := r.buf == nil
	if empty {
		r.makeRoom(0)
	}
	for {
		r.n, r.err = syscall.Read(int(fd), (*r.buf)[r.end:])
		if r.err != syscall.EINTR {
			break
		}
	}
	switch {
	case r.err == syscall.EAGAIN:
		if empty {
			r.release()
		}
		return false
	case r.err != nil:
		r.n = 0
	case r.n == 0:
		r.err = io.EOF
	}
	return true
}

// gone reports whether the other side has closed the connection.
func (r *reader) gone() bool {
	if r.raw == nil {
		return false
	}
	closed := false
	err := r.raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	return closed || err != nil
}
