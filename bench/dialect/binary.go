package dialect

import "encoding/binary"

// Binary speaks memcached's binary protocol (protocol_binary.h). It does
// not authenticate.
type Binary struct{}

// The parts of the binary protocol that a client sends and reads.
const (
	requestMagic = 0x80
	replyMagic   = 0x81
	headerLen    = 24 // bytes

	opGet     = 0x00
	opSet     = 0x01
	opAdd     = 0x02
	opReplace = 0x03
	opDelete  = 0x04
	opQuit    = 0x07
	opNoop    = 0x0a
	opGetKQ   = 0x0d
	opTouch   = 0x1c

	statusOK        = 0x00
	statusNotFound  = 0x01
	statusExists    = 0x02
	statusNotStored = 0x05
)

// AppendGet appends a request for one item.
func (Binary) AppendGet(dst, key []byte) []byte {
	return appendBinary(dst, opGet, nil, key, 0)
}

// AppendGetMulti appends a request for several items: quiet gets and a noop,
// which is the last reply.
func (Binary) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	for _, key := range keys {
		dst = appendBinary(dst, opGetKQ, nil, key, 0)
	}
	return appendBinary(dst, opNoop, nil, nil, 0)
}

// AppendStore appends a set, add or replace; see Text.AppendStore. An
// exptime that 32 bits cannot hold is cut.
func (Binary) AppendStore(dst []byte, verb Verb, key, value []byte, flags uint32, exptime int64) []byte {
	var extras [8]byte
	binary.BigEndian.PutUint32(extras[:], flags)
	binary.BigEndian.PutUint32(extras[4:], uint32(exptime))
	opcode := [...]byte{opSet, opAdd, opReplace}[verb]
	dst = appendBinary(dst, opcode, extras[:], key, len(value))
	return append(dst, value...)
}

// AppendTouch appends a request that gives an item a new exptime.
func (Binary) AppendTouch(dst, key []byte, exptime int64) []byte {
	var extras [4]byte
	binary.BigEndian.PutUint32(extras[:], uint32(exptime))
	return appendBinary(dst, opTouch, extras[:], key, 0)
}

// AppendDelete appends a request that removes an item.
func (Binary) AppendDelete(dst, key []byte) []byte {
	return appendBinary(dst, opDelete, nil, key, 0)
}

// AppendQuit appends a request to close the connection, which is answered.
func (Binary) AppendQuit(dst []byte) []byte {
	return appendBinary(dst, opQuit, nil, nil, 0)
}

// appendBinary appends a request up to its value, which is valueLen
// bytes and follows.
func appendBinary(dst []byte, opcode byte, extras, key []byte, valueLen int) []byte {
	var header [headerLen]byte
	header[0], header[1] = requestMagic, opcode
	binary.BigEndian.PutUint16(header[2:], uint16(len(key)))
	header[4] = byte(len(extras))
	binary.BigEndian.PutUint32(header[8:], uint32(len(extras)+len(key)+valueLen))
	dst = append(dst, header[:]...)
	dst = append(dst, extras...)
	return append(dst, key...)
}

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete. A quiet get's value is not the last reply.
func (Binary) Next(buf []byte) (Reply, int, error) {
	if len(buf) < headerLen {
		if len(buf) > 0 && buf[0] != replyMagic {
			return Reply{}, 0, ErrMalformedReply
		}
		return Reply{}, 0, nil
	}
	keyLen := int(binary.BigEndian.Uint16(buf[2:]))
	extrasLen := int(buf[4])
	bodyLen := int(binary.BigEndian.Uint32(buf[8:]))
	if buf[0] != replyMagic || extrasLen+keyLen > bodyLen || bodyLen > maxReplyData {
		return Reply{}, 0, ErrMalformedReply
	}
	n := headerLen + bodyLen
	if len(buf) < n {
		return Reply{}, 0, nil
	}
	reply := Reply{Last: true, CAS: binary.BigEndian.Uint64(buf[16:])}
	extras := buf[headerLen:][:extrasLen]
	reply.Key = buf[headerLen+extrasLen:][:keyLen]
	reply.Value = buf[headerLen+extrasLen+keyLen : n]
	interpretBinary(&reply, buf[1], binary.BigEndian.Uint16(buf[6:]), extras)
	return reply, n, nil
}

// interpretBinary fills in what opcode and status say about reply.
func interpretBinary(reply *Reply, opcode byte, status uint16, extras []byte) {
	switch status {
	case statusOK:
		interpretSuccess(reply, opcode, extras)
	case statusNotFound:
		reply.Status = NotFound
	case statusExists:
		reply.Status = Exists
	case statusNotStored:
		reply.Status = NotStored
	default:
		reply.Status = Failed
	}
	// The text protocol's words for an add and a replace that did not apply.
	if opcode == opAdd && reply.Status == Exists ||
		opcode == opReplace && reply.Status == NotFound {
		reply.Status = NotStored
	}
}

func interpretSuccess(reply *Reply, opcode byte, extras []byte) {
	reply.Status = OK
	switch opcode {
	case opGet, opGetKQ:
		reply.Status, reply.Last = Value, opcode != opGetKQ
		if len(extras) >= 4 {
			reply.Flags = binary.BigEndian.Uint32(extras)
		}
	case opNoop:
		reply.Status = End
	}
}
