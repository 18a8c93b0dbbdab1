package serve

import (
	"net"
	"sync"
	"syscall"
)

const (
	// inputBuffer is the size in bytes of the buffers that input is read into,
	// unless a single request needs more.
	inputBuffer = 64 << 10

	// smallBuffer is what a connection holds while it waits, if there is no
	// way to wait without a buffer.
	smallBuffer = 2 << 10
)

var inputBuffers = sync.Pool{New: func() any {
	buf := make([]byte, inputBuffer)
	return &buf
}}

// reader reads a connection into a buffer that it holds only while there is
// input.
type reader struct {
	nc  net.Conn
	raw syscall.RawConn // nil if one cannot wait on the connection alone

	buf        *[]byte // nil while there is no input
	start, end int     // of the unread input in buf

	// Of the read that is under way on raw.
	tryRead func(fd uintptr) (done bool)
	n       int
	err     error
}

func (r *reader) init(nc net.Conn) {
	r.nc = nc
	if sc, ok := nc.(syscall.Conn); ok && canReadDescriptors {
		if raw, err := sc.SyscallConn(); err == nil {
			r.raw = raw
			r.tryRead = r.readReady
		}
	}
}

// unread is the input that was not discarded yet. It is valid until the next
// read or discard.
func (r *reader) unread() []byte {
	if r.buf == nil {
		return nil
	}
	return (*r.buf)[r.start:r.end]
}

// size returns how much memory the reader holds, in bytes.
func (r *reader) size() int {
	if r.buf == nil {
		return 0
	}
	return len(*r.buf)
}

// discard forgets the first n bytes of the unread input.
func (r *reader) discard(n int) {
	r.start += n
	if r.start == r.end {
		r.release()
	}
}

// release gives the buffer back.
func (r *reader) release() {
	r.start, r.end = 0, 0
	if r.buf != nil && len(*r.buf) == smallBuffer {
		return
	}
	putInputBuffer(r.buf)
	r.buf = nil
}

func putInputBuffer(buf *[]byte) {
	if buf != nil && len(*buf) == inputBuffer {
		inputBuffers.Put(buf)
	}
}

// read waits for input and reads what is there. need is the number of bytes of
// unread input that the next request takes, or 0 if that is not known.
func (r *reader) read(need int) (n int, err error) {
	if r.buf != nil || r.raw == nil {
		r.makeRoom(need)
	}
	if r.raw == nil {
		n, err = r.nc.Read((*r.buf)[r.end:])
	} else if err = r.raw.Read(r.tryRead); err == nil {
		n, err = r.n, r.err
	}
	r.end += n
	return n, err
}

// makeRoom makes sure that something can be read. The buffer grows with what
// has really arrived, not with what a client announces.
func (r *reader) makeRoom(need int) {
	if r.buf == nil {
		r.buf = r.firstBuffer()
		return
	}
	if r.start > 0 && max(need, r.end-r.start+1) > len(*r.buf)-r.start {
		r.end = copy(*r.buf, (*r.buf)[r.start:r.end])
		r.start = 0
	}
	if r.end == len(*r.buf) {
		r.grow(need)
	}
}

func (r *reader) firstBuffer() *[]byte {
	if r.raw != nil {
		return inputBuffers.Get().(*[]byte)
	}
	buf := make([]byte, smallBuffer)
	return &buf
}

// nextBuffer returns the size of the buffer to go on with when the input that has
// arrived, in bytes, fills the present one. need is the length of the request,
// or 0 if that is not known.
//
// The result is at most four times what has arrived (or smallBuffer), so that a
// client that only announces much takes up little. The sizes lead up to need:
// the last buffer is exactly as long as the request, and the one before it a
// quarter of that. So the two that exist while one is copied into the other are
// hardly more than the request.
func nextBuffer(arrived, need int) int {
	if need <= arrived {
		return 2 * arrived
	}
	for need > max(4*arrived, smallBuffer) {
		need = (need + 3) / 4
	}
	return need
}

// grow replaces a full buffer by a larger one.
func (r *reader) grow(need int) {
	var bigger *[]byte
	if size := nextBuffer(len(*r.buf), need); size <= inputBuffer {
		bigger = inputBuffers.Get().(*[]byte)
	} else {
		buf := make([]byte, size)
		bigger = &buf
	}
	copy(*bigger, *r.buf)
	putInputBuffer(r.buf)
	r.buf = bigger
}
