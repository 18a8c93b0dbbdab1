package torture

import (
	"bufio"
	bin "encoding/binary"
	"fmt"
	"io"

	"cairn/session"
)

// binary is the binary protocol.
type binary struct{}

func (binary) name() string { return "binary" }

func (binary) speaks(c *session.Command) bool {
	switch c.Op {
	case session.OpGet:
		return c.Mods&^session.SetExpiry == 0
	case session.OpTouch, session.OpAdd:
		return c.Mods == 0
	case session.OpIncr, session.OpDecr: // 0xffffffff as exptime means: do not create
		return c.Mods&^(session.IfVersion|session.Vivify) == 0
	case session.OpFlush:
		return true
	}
	return c.Mods&^session.IfVersion == 0
}

var opcodes = map[session.Op]byte{
	session.OpGet: 0x00, session.OpSet: 0x01, session.OpAdd: 0x02, session.OpReplace: 0x03, session.OpDelete: 0x04,
	session.OpIncr: 0x05, session.OpDecr: 0x06, session.OpFlush: 0x08, session.OpAppend: 0x0e, session.OpPrepend: 0x0f,
	session.OpTouch: 0x1c,
}

const opcodeGAT = 0x1d

func (b binary) ask(dst []byte, c *session.Command, now session.Time) []byte {
	opcode, extras := opcodes[c.Op], []byte(nil)
	switch c.Op {
	case session.OpGet:
		if c.Has(session.SetExpiry) {
			opcode, extras = opcodeGAT, b.exptime(nil, c.Expiry, now)
		}
	case session.OpTouch:
		extras = b.exptime(nil, c.Expiry, now)
	case session.OpSet, session.OpAdd, session.OpReplace:
		extras = b.exptime(bin.BigEndian.AppendUint32(nil, c.Flags), c.Expiry, now)
	case session.OpIncr, session.OpDecr:
		extras = bin.BigEndian.AppendUint64(nil, c.Delta)
		extras = bin.BigEndian.AppendUint64(extras, c.Initial)
		if c.Has(session.Vivify) {
			extras = b.exptime(extras, c.VivifyExpiry, now)
		} else {
			extras = bin.BigEndian.AppendUint32(extras, 0xffffffff)
		}
	}
	var value []byte
	if session.OpSet <= c.Op && c.Op <= session.OpPrepend {
		value = c.Value
	}
	var header [24]byte
	header[0], header[1], header[4] = 0x80, opcode, byte(len(extras))
	bin.BigEndian.PutUint16(header[2:], uint16(len(c.Key)))
	bin.BigEndian.PutUint32(header[8:], uint32(len(extras)+len(c.Key)+len(value)))
	if c.Has(session.IfVersion) {
		bin.BigEndian.PutUint64(header[16:], c.CAS)
	}
	dst = append(append(dst, header[:]...), extras...)
	return append(append(dst, c.Key...), value...)
}

// exptime has no negative numbers here: the past is written as such.
func (binary) exptime(dst []byte, at, now session.Time) []byte {
	seconds := exptime(at, now)
	if seconds < 0 {
		seconds = 2_592_001
	}
	return bin.BigEndian.AppendUint32(dst, uint32(seconds))
}

func (b binary) hear(r *bufio.Reader, c *session.Command) (a answer, err error) {
	var header [24]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return a, err
	}
	if header[0] != 0x81 {
		return a, fmt.Errorf("reply begins with %#x", header[0])
	}
	body := make([]byte, bin.BigEndian.Uint32(header[8:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return a, err
	}
	data := body[int(header[4])+int(bin.BigEndian.Uint16(header[2:])):]
	if a.status, err = b.status(c.Op, bin.BigEndian.Uint16(header[6:])); err != nil || a.status != session.OK {
		a.message = string(data)
		return a, err
	}
	a.version = bin.BigEndian.Uint64(header[16:])
	switch c.Op {
	case session.OpGet:
		a.hasItem, a.value, a.flags = true, data, bin.BigEndian.Uint32(body)
	case session.OpIncr, session.OpDecr:
		a.number = bin.BigEndian.Uint64(data)
	case session.OpDelete, session.OpTouch:
		a.version = 0 // servers differ
	}
	return a, nil
}

func (binary) status(op session.Op, status uint16) (session.Status, error) {
	switch status {
	case 0x00:
		return session.OK, nil
	case 0x01:
		return session.NotFound, nil
	case 0x02:
		if op == session.OpAdd {
			return session.NotStored, nil
		}
		return session.Exists, nil
	case 0x03:
		return session.TooLarge, nil
	case 0x05:
		return session.NotStored, nil
	case 0x06:
		return session.NotNumeric, nil
	case 0x82, 0x84, 0x85, 0x86:
		return session.Failed, nil
	}
	return 0, fmt.Errorf("status %#x", status)
}
