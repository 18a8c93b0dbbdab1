package torture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"cairn/session"
	"cairn/session/sessiontest"
)

// A dialect is one of memcached's protocols, from the client's side. It is
// written from the protocols' descriptions, not from the server's code.
type dialect interface {
	// name is for messages.
	name() string

	// speaks reports whether the dialect can express c.
	speaks(c *session.Command) bool

	// ask appends the request for c to dst.
	ask(dst []byte, c *session.Command, now session.Time) []byte

	// hear reads the reply to c.
	hear(r *bufio.Reader, c *session.Command) (answer, error)
}

var dialects = []dialect{text{}, meta{}, binary{}}

// answer is what a reply says, as far as its dialect says it.
type answer struct {
	status  session.Status
	message string // of an error line

	value    []byte
	flags    uint32
	hasItem  bool // value and flags are there
	version  uint64
	ttl      int64 // seconds, -1 for never
	hasTTL   bool
	number   uint64
	hasClaim bool // the three below are there
	stale    bool
	claimed  bool
	won      bool
}

// client is one connection that speaks one dialect. It is not safe for
// concurrent use.
type client struct {
	dialect
	conn net.Conn
	r    *bufio.Reader
	buf  []byte
}

// connect opens a connection to a Unix socket.
func connect(sock string, d dialect) (*client, error) { return connectTo("unix", sock, d) }

// connectTo opens a connection to an address of any network.
func connectTo(network, address string, d dialect) (*client, error) {
	conn, err := dialPatiently(network, address)
	if err != nil {
		return nil, err
	}
	return newClient(conn, d), nil
}

// dialPatiently connects to an address; while more connections wait to be accepted at a
// Unix socket than the kernel keeps, it tries again.
func dialPatiently(network, address string) (conn net.Conn, err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if conn, err = net.Dial(network, address); !errors.Is(err, syscall.EAGAIN) {
			break
		}
	}
	return conn, err
}

func newClient(conn net.Conn, d dialect) *client {
	return &client{dialect: d, conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
}

func (c *client) close() { c.conn.Close() }

// patience bounds how long a server may let a client wait. It is a matter of
// hanging or not, not of speed.
const patience = 60 * time.Second

// send pipelines commands in one write.
func (c *client) send(commands []session.Command, now session.Time) error {
	c.buf = c.buf[:0]
	for i := range commands {
		c.buf = c.ask(c.buf, &commands[i], now)
	}
	c.conn.SetDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(c.buf)
	return err
}

// do pipelines commands and reads their answers: as many as came, and the error
// that cut them off.
func (c *client) do(commands []session.Command, now session.Time) ([]answer, error) {
	if err := c.send(commands, now); err != nil {
		return nil, err
	}
	answers := make([]answer, 0, len(commands))
	for i := range commands {
		a, err := c.hear(c.r, &commands[i])
		if err != nil {
			return answers, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// mustDo carries out one command and checks the status of its answer.
func (c *client) mustDo(t testing.TB, want session.Status, command session.Command) answer {
	t.Helper()
	answers, err := c.do([]session.Command{command}, wallNow())
	if err != nil {
		t.Fatal(err)
	}
	if answers[0].status != want {
		t.Errorf("%s: %s: status %d %s, want %d", c.name(), sessiontest.Describe(&command), answers[0].status, answers[0].message, want)
	}
	return answers[0]
}

// differs tells in what an answer is not what the model says.
func differs(c *session.Command, a *answer, want *session.Result, versions *sessiontest.Versions, now session.Time) error {
	if !sameStatus(c.Op, a.status, want.Status) {
		return fmt.Errorf("status %d %q, want %d", a.status, a.message, want.Status)
	}
	if want.Status != session.OK {
		return nil
	}
	it := &want.Item
	switch {
	case a.hasItem && c.Op != session.OpIncr && c.Op != session.OpDecr && !bytes.Equal(a.value, it.Value):
		return fmt.Errorf("value %.60q, want %.60q", a.value, it.Value)
	case a.hasItem && c.Op == session.OpGet && a.flags != it.Flags:
		return fmt.Errorf("flags %d, want %d", a.flags, it.Flags)
	case (c.Op == session.OpIncr || c.Op == session.OpDecr) && a.number != want.Number:
		return fmt.Errorf("number %d, want %d", a.number, want.Number)
	case a.hasTTL && !closeTTL(a.ttl, it.Expiry, now):
		return fmt.Errorf("ttl %d s, want expiry %d at %d", a.ttl, it.Expiry, now)
	case a.hasClaim && (a.stale != it.Stale || a.claimed != it.Claimed || a.won != want.Won):
		return fmt.Errorf("stale %t claimed %t won %t, want %t %t %t", a.stale, a.claimed, a.won, it.Stale, it.Claimed, want.Won)
	case a.version != 0:
		return versions.Match(it.Version, a.version)
	}
	return nil
}

// sameStatus compares statuses as far as protocols tell them apart: an append
// or replace of an absent key may be called either.
func sameStatus(op session.Op, got, want session.Status) bool {
	absent := func(s session.Status) bool { return s == session.NotFound || s == session.NotStored }
	switch op {
	case session.OpReplace, session.OpAppend, session.OpPrepend:
		return got == want || absent(got) && absent(want)
	}
	return got == want
}

// closeTTL allows for whole seconds and for the time the reply took.
func closeTTL(ttl int64, expiry, now session.Time) bool {
	if expiry == session.Never || ttl == -1 {
		return ttl == -1 && expiry == session.Never
	}
	if expiry <= now {
		return true // it answered before it died
	}
	const slack = 5
	want := int64(expiry-now) / 1000
	return want-slack <= ttl && ttl <= want+slack
}

// exptime writes an expiry as memcached's clients do: an absolute Unix time,
// 0 for never. What is in the past is written as such, or as -1.
func exptime(at, now session.Time) int64 {
	switch {
	case at == session.Never:
		return 0
	case at <= now && at%2 == 0:
		return -1
	case at <= now:
		return max(at.Unix(), 2_592_001)
	}
	return at.Unix()
}

// readLine reads a line without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(line, "\r\n") {
		return "", fmt.Errorf("line %q does not end with CR LF", line)
	}
	return line[:len(line)-2], nil
}

// readBlock reads n bytes of data and the line end behind them.
func readBlock(r *bufio.Reader, n int) ([]byte, error) {
	block := make([]byte, n+2)
	if _, err := io.ReadFull(r, block); err != nil {
		return nil, err
	}
	if string(block[n:]) != "\r\n" {
		return nil, fmt.Errorf("data of %d bytes is followed by %q", n, block[n:])
	}
	return block[:n], nil
}

// errorLine makes an answer of the error lines that text and meta share.
func errorLine(line string) (answer, error) {
	switch {
	case strings.HasPrefix(line, "SERVER_ERROR object too large"):
		return answer{status: session.TooLarge, message: line}, nil
	case strings.HasPrefix(line, "CLIENT_ERROR cannot increment or decrement non-numeric value"):
		return answer{status: session.NotNumeric, message: line}, nil
	case strings.HasPrefix(line, "SERVER_ERROR"):
		return answer{status: session.Failed, message: line}, nil
	}
	return answer{}, fmt.Errorf("reply %q", line)
}
