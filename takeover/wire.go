package takeover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// kind is the kind of a message. Each message is a header of headerLen bytes,
// which carries the message's descriptors as ancillary data, and a body.
type kind byte

const (
	kindHello    kind = iota + 1 // taker, hello as JSON
	kindWelcome                  // giver, welcome as JSON, with the listeners' descriptors
	kindPrepared                 // taker
	kindConns                    // giver, states of as many connections as there are descriptors
	kindReceived                 // taker, after each kindConns
	kindClosed                   // giver, closed as JSON
	kindOpened                   // taker
	kindGo                       // giver
	kindAbort                    // either, the reason as text
)

const (
	headerLen = 7 // kind, number of descriptors u16, length of the body u32

	// maxRights is the kernel's SCM_MAX_FD (unix(7)).
	maxRights = 253

	// maxBody is far above what the largest connection state needs; a longer
	// announcement is a broken peer.
	maxBody = 1 << 30
)

var errShortBody = errors.New("takeover: message ends too early")

type message struct {
	kind kind
	body []byte
	fds  []int // owned by the receiver
}

// channel sends and receives messages. It is used by one goroutine at a time.
type channel struct {
	conn *net.UnixConn
}

func (c channel) deadline(d time.Duration) { c.conn.SetDeadline(time.Now().Add(d)) }

func (c channel) send(m message) error {
	header := make([]byte, headerLen)
	header[0] = byte(m.kind)
	binary.BigEndian.PutUint16(header[1:], uint16(len(m.fds)))
	binary.BigEndian.PutUint32(header[3:], uint32(len(m.body)))
	var rights []byte
	if len(m.fds) > 0 {
		rights = unix.UnixRights(m.fds...)
	}
	if _, _, err := c.conn.WriteMsgUnix(header, rights, nil); err != nil {
		return err
	}
	if len(m.body) == 0 {
		return nil
	}
	_, err := c.conn.Write(m.body)
	return err
}

func (c channel) sendJSON(k kind, v any, fds []int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.send(message{kind: k, body: body, fds: fds})
}

// receive reads the next message. Its descriptors are closed on an error.
func (c channel) receive() (message, error) {
	header, fds, err := c.receiveHeader()
	m := message{fds: fds}
	if err == nil {
		m.kind = kind(header[0])
		m.body, err = c.receiveBody(header, len(fds))
	}
	if err != nil {
		closeAll(fds)
		return message{}, err
	}
	return m, nil
}

func (c channel) receiveHeader() (header []byte, fds []int, err error) {
	header = make([]byte, headerLen)
	rights := make([]byte, unix.CmsgSpace(maxRights*4))
	for n := 0; n < headerLen; {
		read, oob, flags, _, err := c.conn.ReadMsgUnix(header[n:], rights)
		if err == nil && read == 0 {
			err = io.EOF
		}
		if err != nil {
			return nil, fds, err
		}
		got, err := parseRights(rights[:oob])
		fds = append(fds, got...)
		if err != nil {
			return nil, fds, err
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return nil, fds, errors.New("takeover: descriptors were lost on the way: is the limit of open files too low?")
		}
		n += read
	}
	return header, fds, nil
}

func (c channel) receiveBody(header []byte, fds int) ([]byte, error) {
	if want := int(binary.BigEndian.Uint16(header[1:])); want != fds {
		return nil, fmt.Errorf("takeover: %d of %d descriptors arrived", fds, want)
	}
	length := binary.BigEndian.Uint32(header[3:])
	if length > maxBody {
		return nil, fmt.Errorf("takeover: message of %d bytes", length)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(c.conn, body)
	return body, err
}

// expect reads the next message and insists on its kind. An abort is ErrAborted
// with the peer's reason.
func (c channel) expect(k kind) (message, error) {
	m, err := c.receive()
	switch {
	case err != nil:
		return message{}, err
	case m.kind == k:
		return m, nil
	case m.kind == kindAbort:
		return message{}, fmt.Errorf("%w: %s", ErrAborted, m.body)
	default:
		closeAll(m.fds)
		return message{}, fmt.Errorf("takeover: message of kind %d where %d was due", m.kind, k)
	}
}

func parseRights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// appendState adds one connection's state to the body of a kindConns.
func appendState(body, state []byte) []byte {
	body = binary.BigEndian.AppendUint32(body, uint32(len(state)))
	return append(body, state...)
}

// splitStates takes the body of a kindConns apart. The states alias it.
func splitStates(m message) ([]Conn, error) {
	conns := make([]Conn, 0, len(m.fds))
	body := m.body
	for _, fd := range m.fds {
		if len(body) < 4 {
			return nil, errShortBody
		}
		n := binary.BigEndian.Uint32(body)
		body = body[4:]
		if uint64(n) > uint64(len(body)) {
			return nil, errShortBody
		}
		conns = append(conns, Conn{FD: fd, State: body[:n:n]})
		body = body[n:]
	}
	return conns, nil
}
