package protocol

import "encoding/binary"

// BinaryClient speaks memcached's binary protocol (protocol_binary.h). It does
// not authenticate.
type BinaryClient struct{}

// The parts of the binary protocol that a client sends and reads.
const (
	clientOpGet     = 0x00
	clientOpSet     = 0x01
	clientOpAdd     = 0x02
	clientOpReplace = 0x03
	clientOpDelete  = 0x04
	clientOpNoop    = 0x0a
	clientOpGetKQ   = 0x0d
	clientOpTouch   = 0x1c

	clientStatusOK        = 0x00
	clientStatusNotFound  = 0x01
	clientStatusExists    = 0x02
	clientStatusNotStored = 0x05
)

// AppendGet appends a request for one item.
func (BinaryClient) AppendGet(dst, key []byte) []byte {
	return appendClientRequest(dst, clientOpGet, nil, key, 0)
}

// AppendGetMulti appends a request for several items: quiet gets and a noop,
// which is the last reply.
func (BinaryClient) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	for _, key := range keys {
		dst = appendClientRequest(dst, clientOpGetKQ, nil, key, 0)
	}
	return appendClientRequest(dst, clientOpNoop, nil, nil, 0)
}

// AppendStore appends a set, add or replace; see TextClient.AppendStore. An
// exptime that 32 bits cannot hold is cut.
func (BinaryClient) AppendStore(dst []byte, verb StoreVerb, key, value []byte, flags uint32, exptime int64) []byte {
	var extras [8]byte
	binary.BigEndian.PutUint32(extras[:], flags)
	binary.BigEndian.PutUint32(extras[4:], uint32(exptime))
	opcode := [...]byte{clientOpSet, clientOpAdd, clientOpReplace}[verb]
	dst = appendClientRequest(dst, opcode, extras[:], key, len(value))
	return append(dst, value...)
}

// AppendTouch appends a request that gives an item a new exptime.
func (BinaryClient) AppendTouch(dst, key []byte, exptime int64) []byte {
	var extras [4]byte
	binary.BigEndian.PutUint32(extras[:], uint32(exptime))
	return appendClientRequest(dst, clientOpTouch, extras[:], key, 0)
}

// AppendDelete appends a request that removes an item.
func (BinaryClient) AppendDelete(dst, key []byte) []byte {
	return appendClientRequest(dst, clientOpDelete, nil, key, 0)
}

// appendClientRequest appends a request up to its value, which is valueLen
// bytes and follows.
func appendClientRequest(dst []byte, opcode byte, extras, key []byte, valueLen int) []byte {
	var header [binaryHeaderLen]byte
	header[0], header[1] = BinaryMagic, opcode
	binary.BigEndian.PutUint16(header[2:], uint16(len(key)))
	header[4] = byte(len(extras))
	binary.BigEndian.PutUint32(header[8:], uint32(len(extras)+len(key)+valueLen))
	dst = append(dst, header[:]...)
	dst = append(dst, extras...)
	return append(dst, key...)
}

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete. A quiet get's value is not the last reply.
func (BinaryClient) Next(buf []byte) (ClientReply, int, error) {
	if len(buf) < binaryHeaderLen {
		if len(buf) > 0 && buf[0] != BinaryReplyMagic {
			return ClientReply{}, 0, ErrMalformedReply
		}
		return ClientReply{}, 0, nil
	}
	keyLen := int(binary.BigEndian.Uint16(buf[2:]))
	extrasLen := int(buf[4])
	bodyLen := int(binary.BigEndian.Uint32(buf[8:]))
	if buf[0] != BinaryReplyMagic || extrasLen+keyLen > bodyLen || bodyLen > maxReplyData {
		return ClientReply{}, 0, ErrMalformedReply
	}
	n := binaryHeaderLen + bodyLen
	if len(buf) < n {
		return ClientReply{}, 0, nil
	}
	reply := ClientReply{Last: true, CAS: binary.BigEndian.Uint64(buf[16:])}
	extras := buf[binaryHeaderLen:][:extrasLen]
	reply.Key = buf[binaryHeaderLen+extrasLen:][:keyLen]
	reply.Value = buf[binaryHeaderLen+extrasLen+keyLen : n]
	interpretBinary(&reply, buf[1], binary.BigEndian.Uint16(buf[6:]), extras)
	return reply, n, nil
}

// interpretBinary fills in what opcode and status say about reply.
func interpretBinary(reply *ClientReply, opcode byte, status uint16, extras []byte) {
	switch status {
	case clientStatusOK:
		interpretSuccess(reply, opcode, extras)
	case clientStatusNotFound:
		reply.Status = ClientNotFound
	case clientStatusExists:
		reply.Status = ClientExists
	case clientStatusNotStored:
		reply.Status = ClientNotStored
	default:
		reply.Status = ClientFailed
	}
	// The text protocol's words for an add and a replace that did not apply.
	if opcode == clientOpAdd && reply.Status == ClientExists ||
		opcode == clientOpReplace && reply.Status == ClientNotFound {
		reply.Status = ClientNotStored
	}
}

func interpretSuccess(reply *ClientReply, opcode byte, extras []byte) {
	reply.Status = ClientOK
	switch opcode {
	case clientOpGet, clientOpGetKQ:
		reply.Status, reply.Last = ClientValue, opcode != clientOpGetKQ
		if len(extras) >= 4 {
			reply.Flags = binary.BigEndian.Uint32(extras)
		}
	case clientOpNoop:
		reply.Status = ClientEnd
	}
}
