package migrate

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is a connection to a source. Each read and each write must end within
// timeout, or all of them by an instant.
type conn struct {
	net.Conn
	in  *bufio.Reader
	out *bufio.Writer
	end time.Time // if not zero, takes the place of timeout
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc}
	c.in = bufio.NewReaderSize(timed{c}, 64<<10)
	c.out = bufio.NewWriterSize(timed{c}, 64<<10)
	return c
}

// deadline returns when a read or a write that begins now must have ended.
func (c *conn) deadline() time.Time {
	if c.end.IsZero() {
		return time.Now().Add(timeout)
	}
	return c.end
}

// timed is a connection on which nothing takes longer than it may.
type timed struct{ *conn }

func (t timed) Read(p []byte) (int, error) {
	if err := t.SetReadDeadline(t.deadline()); err != nil {
		return 0, err
	}
	return t.Conn.Read(p)
}

func (t timed) Write(p []byte) (int, error) {
	if err := t.SetWriteDeadline(t.deadline()); err != nil {
		return 0, err
	}
	return t.Conn.Write(p)
}

// send sends s with all that was written to out before it.
func (c *conn) send(s string) error {
	if _, err := c.out.WriteString(s); err != nil {
		return err
	}
	return c.out.Flush()
}

// ask sends a request of one line and returns the first line of its answer.
func (c *conn) ask(request string) (string, error) {
	if err := c.send(request + "\r\n"); err != nil {
		return "", err
	}
	line, err := c.line()
	return string(line), err
}

// line reads a line of at most 64 KB, without its end. The result is valid until
// the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("%w: %.100q", errProtocol, line)
	}
	return line[:len(line)-2], nil
}

// maxBlock is the largest value that is read, in bytes. It keeps a foreign
// answer from claiming all memory.
const maxBlock = 1 << 30

// block reads n bytes and the line end behind them. The bytes are in buf if it
// has room for them.
func (c *conn) block(buf []byte, n int64) ([]byte, error) {
	if n < 0 || n > maxBlock {
		return nil, fmt.Errorf("%w: a value of %d bytes", errProtocol, n)
	}
	if int64(cap(buf)) < n+2 {
		buf = make([]byte, n+2)
	}
	buf = buf[:n+2]
	if _, err := io.ReadFull(c.in, buf); err != nil {
		return nil, err
	}
	if buf[n] != '\r' || buf[n+1] != '\n' {
		return nil, fmt.Errorf("%w: no line end behind a value", errProtocol)
	}
	return buf[:n], nil
}

func parseInt(s []byte) (int64, error) {
	n, err := strconv.ParseInt(string(s), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.100q is not a number", errProtocol, s)
	}
	return n, nil
}
