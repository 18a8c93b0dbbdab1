package load

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// conn is one connection and the turn it is in. It belongs to its worker.
type conn struct {
	worker *worker
	index  int32 // in worker.conns
	fd     int
	flow   Flow
	exchange
	accept func(*Op, Answer) // the method answer, bound once

	out     []byte
	sent    int  // bytes of out that the socket took
	waiting bool // for the socket to take more

	in           []byte
	parsed, have int

	quitting bool // the turn is over when the server closes the connection

	due  int64 // when the turn was
	from int64 // since when the exchange's answers are awaited
}

// connect opens the connection without waiting until the server has taken it;
// what is sent before that waits for the socket.
func (c *conn) connect() (err error) {
	w := c.worker
	c.fd, err = unix.Socket(w.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		c.fd = -1
		return fmt.Errorf("load: socket: %w", err)
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("load: socket: %w", err)
	}
	if err := unix.Connect(c.fd, w.address); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("load: connect %s: %w", w.options.Address, err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: c.index}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		return fmt.Errorf("load: epoll: %w", err)
	}
	return nil
}

// disconnect closes the connection, if it is open.
func (c *conn) disconnect() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
	}
	c.fd, c.waiting, c.quitting = -1, false, false
	c.parsed, c.have = 0, 0
}

// quit asks the server to close the connection.
func (c *conn) quit() error {
	c.quitting = true
	c.out, c.sent = c.dialect.AppendQuit(c.out[:0]), 0
	return c.flush()
}

// begin starts a turn that was due then.
func (c *conn) begin(due int64) error {
	c.due = due
	c.worker.busy++
	c.ops = c.flow.Next(c.ops[:0])
	if len(c.ops) == 0 { // the flow has ended: the connection stays out of idle
		c.worker.busy--
		return nil
	}
	if c.worker.options.Reconnect {
		if err := c.connect(); err != nil {
			return err
		}
	}
	// Waiting for a free connection is part of the first exchange's latency.
	return c.send(due)
}

// send writes the exchange in ops.
func (c *conn) send(from int64) error {
	c.from = from
	c.out, c.sent = c.encode(c.out[:0]), 0
	return c.flush()
}

func (c *conn) flush() error {
	for c.sent < len(c.out) {
		n, err := unix.Write(c.fd, c.out[c.sent:])
		switch err {
		case nil:
			c.sent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return c.await(true)
		default:
			return fmt.Errorf("load: write: %w", err)
		}
	}
	return c.await(false)
}

// await asks epoll to tell when the socket takes more bytes, or not to.
func (c *conn) await(writable bool) error {
	if c.waiting == writable {
		return nil
	}
	c.waiting = writable
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: c.index}
	if writable {
		event.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(c.worker.epoll, unix.EPOLL_CTL_MOD, c.fd, &event)
}

// handle deals with what epoll reported.
func (c *conn) handle(events uint32) error {
	if events&unix.EPOLLOUT != 0 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	n, err := unix.Read(c.fd, c.in[c.have:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("load: read: %w", err)
	case n == 0 && c.quitting:
		c.disconnect()
		return c.endTurn(c.worker.now())
	case n == 0:
		return errClosed
	case c.quitting: // an answer to the quit
		return nil
	}
	c.have += n
	return c.parse()
}

// parse takes all complete replies out of the buffer.
func (c *conn) parse() error {
	now := c.worker.now()
	for c.parsed < c.have {
		n, op, err := c.take(c.in[c.parsed:c.have], c.accept)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		c.parsed += n
		if op != nil {
			c.worker.record.operation(op, c.from, now)
		}
		if op != nil && c.at == len(c.ops) {
			if err := c.proceed(now); err != nil {
				return err
			}
		}
	}
	c.makeRoom()
	return nil
}

// proceed goes on after an exchange: with the next one, or the next turn.
func (c *conn) proceed(now int64) error {
	c.ops = c.flow.Next(c.ops[:0])
	if len(c.ops) > 0 {
		return c.send(now)
	}
	if c.worker.options.Reconnect {
		return c.quit()
	}
	return c.endTurn(now)
}

// endTurn makes the connection free for another turn.
func (c *conn) endTurn(now int64) error {
	w := c.worker
	w.record.turn(c.due, now)
	w.busy--
	if len(w.idle) == 0 {
		if due, ok := w.schedule.take(now); ok {
			return c.begin(due)
		}
	}
	w.idle = append(w.idle, c)
	return nil
}

// makeRoom moves an incomplete reply to the front of the buffer, and enlarges
// one that it fills.
func (c *conn) makeRoom() {
	c.have = copy(c.in, c.in[c.parsed:c.have])
	c.parsed = 0
	if c.have == len(c.in) {
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
}

// answer hands an answer to the flow and the recorder.
func (c *conn) answer(op *Op, a Answer) {
	c.worker.record.answer(op, a, c.flow.Check(op, a))
}
