package serve

import (
	"context"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loopClient is a connection that a loop serves. Only the loop's goroutine uses
// it, except for the Link and, while one runs, the errand.
type loopClient struct {
	Link
	loop *loop
	fd   int
	need int // as Conn.Consume said

	// in is input that waits for the rest of a request, or for its turn.
	in []byte

	// unsent are answers to be sent. If there are more of them, held is the turn
	// they come from.
	unsent pieces
	held   *turn

	// patient is the turn that the store may let wait, until input comes.
	patient *turn

	// inputs and answers are the parts of the claim; see mayHold. expects is how
	// many bytes the answers to the last burst were.
	inputs, answers, expects int64

	heard time.Time // of the last input

	readable bool // the socket may have input
	ending   bool // ... and its end will be in it
	more     bool // in may hold another request
	writable bool // the socket may have room
	pressed  bool // it had none at some time, so the loop watches for that
	parked   bool // it waits for memory
	queued   bool // the connection is in loop.ready or loop.bulk
	busy     bool // a turn, an errand or answers to be sent are under way

	failed error // why the errand failed
}

func (cl *loopClient) about() *Link { return &cl.Link }

// wake does nothing: the loop is woken as a whole.
func (cl *loopClient) wake() {}

func (cl *loopClient) hangUp() {
	cl.loop.tell(func(m *mailbox) { m.hungUp = append(m.hungUp, cl) })
}

// sending reports whether there are answers to be sent.
func (cl *loopClient) sending() bool { return len(cl.unsent) > 0 || cl.held != nil }

// isBulky reports whether what the connection has to do next takes long.
func (cl *loopClient) isBulky() bool { return cl.sending() || cl.need > bulky }

// receive reads into buf what has arrived. io.EOF says that the client is done,
// and 0 without an error that nothing is there. The socket does not block, so
// the scheduler need not know.
func (cl *loopClient) receive(buf []byte) (n int, err error) {
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(cl.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			cl.readable = cl.ending
			return 0, nil
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		}
		cl.readable = int(n) == len(buf) || cl.ending
		cl.Link.read(int(n))
		return int(n), nil
	}
}

// send sends as much of p as the socket has room for. It may be called by the
// connection's errand.
func (cl *loopClient) send(p []byte) (n int, err error) {
	for n < len(p) {
		sent, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(cl.fd), uintptr(unsafe.Pointer(&p[n])), uintptr(len(p)-n))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return n, nil
		case errno != 0:
			return n, errno
		}
		cl.wrote(int(sent))
		n += int(sent)
	}
	return n, nil
}

// sendOutput sends as much of o as the socket has room for. Values are sent as
// far as share goes; text is never long, and sent unless it is bulky and there
// is no share at all. It returns what is left.
func (cl *loopClient) sendOutput(o *Output, share int) (sent int, rest pieces, err error) {
	if !o.Lends() && (share > 0 || len(o.Text) <= bulky) {
		sent, err = cl.send(o.Text)
		if err != nil || sent == len(o.Text) {
			return sent, nil, err
		}
		return sent, o.rest(sent), cl.awaitSpace()
	}
	p := o.pieces()
	sent, err = cl.sendPieces(&p, share)
	if err != nil || len(p) == 0 {
		return sent, nil, err
	}
	return sent, o.rest(sent), nil
}

// sendPieces sends as much of p as the socket has room for, but not more than
// share bytes, and takes it off.
func (cl *loopClient) sendPieces(p *pieces, share int) (sent int, err error) {
	for p.skip(0); len(*p) > 0 && sent < share; {
		n, err := unix.Writev(cl.fd, p.first(share-sent))
		switch err {
		case nil:
			cl.wrote(n)
			p.skip(n)
			sent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return sent, cl.awaitSpace()
		default:
			return sent, err
		}
	}
	return sent, nil
}

// awaitSpace says that the socket has no room. The loop notices when it has.
func (cl *loopClient) awaitSpace() error {
	cl.writable = false
	if cl.pressed {
		return nil
	}
	cl.pressed = true
	return cl.loop.watchRoom(cl.fd)
}

// keep keeps rest, which lies elsewhere, as the input to go on with. If there is no
// memory for all of the request it is parked; while t is under way, of the same
// connection, it holds just what is there, because the store may ask for room on its
// behalf.
func (cl *loopClient) keep(rest []byte, t *turn) {
	size := max(nextBuffer(len(rest), cl.need), smallBuffer)
	if t != nil {
		if size > freeBuffer {
			size = len(rest)
		}
		cl.inputs = int64(size)
		cl.claim.set(cl.inputs + cl.answers)
	} else if !cl.mayReceive(max(size, cl.need)) {
		size = len(rest)
	}
	cl.in = append(make([]byte, 0, size), rest...)
}

// fill reads more input behind that which waits, unless there is no memory for
// it. The buffer grows with what has really arrived, not with what a client
// announces.
func (cl *loopClient) fill() error {
	if len(cl.in) == cap(cl.in) {
		size := nextBuffer(len(cl.in), cl.need)
		if !cl.mayReceive(max(size, cl.need)) {
			return nil
		}
		cl.in = append(make([]byte, 0, size), cl.in...)
	}
	n, err := cl.receive(cl.in[len(cl.in):min(cap(cl.in), len(cl.in)+maxShare)])
	cl.in = cl.in[:len(cl.in)+n]
	return err
}

// discard forgets the first n bytes of in.
func (cl *loopClient) discard(n int) {
	if n == len(cl.in) {
		cl.in = nil
		return
	}
	rest := cl.in[n:]
	if cap(cl.in) > max(4*len(rest), inputBuffer) {
		cl.in = slices.Clone(rest)
		return
	}
	cl.in = cl.in[:copy(cl.in, rest)]
}

// start runs an errand in a goroutine of its own. The loop leaves the connection
// alone until that comes back.
func (cl *loopClient) start(errand Errand) {
	cl.busy = true
	cl.be(Streaming)
	cl.server.work.Go(func() {
		cl.failed = errand(cl.server.endErrands.Load().ctx, cl)
		cl.loop.tell(func(m *mailbox) { m.returned = append(m.returned, cl) })
	})
}

// Write sends all of p, and waits as long as the client reads slowly. It is how
// errands talk to the client.
func (cl *loopClient) Write(p []byte) (n int, err error) {
	for n < len(p) {
		sent, err := cl.send(p[n:])
		n += sent
		if err != nil {
			return n, err
		}
		if n < len(p) {
			if err := cl.awaitRoom(cl.server.endErrands.Load().ctx); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// awaitRoom waits until the socket takes more, or ctx ends.
func (cl *loopClient) awaitRoom(ctx context.Context) error {
	fds := []unix.PollFd{{Fd: int32(cl.fd), Events: unix.POLLOUT}}
	for ctx.Err() == nil {
		n, err := unix.Poll(fds, 100)
		if n > 0 || err != nil && err != unix.EINTR {
			return err
		}
	}
	return net.ErrClosed
}

func (cl *loopClient) Gone() bool {
	var one [1]byte
	n, _, err := unix.Recvfrom(cl.fd, one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR
}
