package migrate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is a connection to the other server, on which every read and write has
// a deadline.
type conn struct {
	net.Conn
	in  *bufio.Reader
	out *bufio.Writer
}

func dial(ctx context.Context, dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}, addr string) (*conn, error) {
	nc, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc}
	c.in = bufio.NewReaderSize(timed{nc}, 64<<10)
	c.out = bufio.NewWriterSize(timed{nc}, 64<<10)
	return c, nil
}

// timed gives each read and write a deadline of its own.
type timed struct{ net.Conn }

func (t timed) Read(p []byte) (int, error) {
	if err := t.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	return t.Conn.Read(p)
}

func (t timed) Write(p []byte) (int, error) {
	if err := t.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	return t.Conn.Write(p)
}

// line reads up to CRLF, of which it gives what is before. It is valid until
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

// maxBlock is the longest value that is read, in bytes.
const maxBlock = 1 << 30

// block reads n bytes and the CRLF behind them into buf, which grows as they
// come.
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
		return 0, fmt.Errorf("%w: %.100q is no number", errProtocol, s)
	}
	return n, nil
}
