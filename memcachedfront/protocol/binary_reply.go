package protocol

import (
	"encoding/binary"

	"cairn/session"
)

// BinaryReplyMagic is the first byte of every binary answer.
const BinaryReplyMagic = 0x81

// BinaryStatus is the status of a binary answer, by the names of memcached's
// protocol_binary.h.
type BinaryStatus uint16

const (
	StatusSuccess        BinaryStatus = 0x00
	StatusKeyNotFound    BinaryStatus = 0x01
	StatusKeyExists      BinaryStatus = 0x02
	StatusTooLarge       BinaryStatus = 0x03
	StatusInvalid        BinaryStatus = 0x04
	StatusNotStored      BinaryStatus = 0x05
	StatusNotNumeric     BinaryStatus = 0x06
	StatusAuthError      BinaryStatus = 0x20
	StatusAuthContinue   BinaryStatus = 0x21
	StatusUnknownCommand BinaryStatus = 0x81
	StatusNoMemory       BinaryStatus = 0x82
)

// Text returns the words that memcached puts into the body of an answer with
// that status.
func (s BinaryStatus) Text() string {
	switch s {
	case StatusKeyNotFound:
		return "Not found"
	case StatusKeyExists:
		return "Data exists for key."
	case StatusTooLarge:
		return "Too large."
	case StatusInvalid:
		return "Invalid arguments"
	case StatusNotStored:
		return "Not stored."
	case StatusNotNumeric:
		return "Non-numeric server-side value for incr or decr"
	case StatusAuthError:
		return "Auth failure."
	case StatusUnknownCommand:
		return "Unknown command"
	case StatusNoMemory:
		return "Out of memory"
	}
	return ""
}

// Status returns the fault's status in the binary protocol. What the store could
// not do has the status of a memcached without memory: clients know that one
// as a failure that may pass.
func (f Fault) Status() BinaryStatus {
	switch f {
	case NoFault:
		return StatusSuccess
	case UnknownCommand:
		return StatusUnknownCommand
	case TooLarge:
		return StatusTooLarge
	case NotNumeric:
		return StatusNotNumeric
	case OutOfSpace, StoreFailed:
		return StatusNoMemory
	case Unauthenticated, AuthFailed, FlushNotAllowed:
		return StatusAuthError
	}
	return StatusInvalid
}

// BinaryHeader is what every binary answer begins with.
type BinaryHeader struct {
	Opcode byte
	Status BinaryStatus
	Opaque uint32
	CAS    uint64
}

// AppendBinary appends an answer with the key and the value, either of which
// may be empty.
func AppendBinary(dst []byte, h BinaryHeader, key []byte, value string) []byte {
	dst = appendBinaryHeader(dst, h, 0, len(key), len(value))
	dst = append(dst, key...)
	return append(dst, value...)
}

// AppendBinaryStatus appends an answer with the status and its words.
func AppendBinaryStatus(dst []byte, h BinaryHeader, status BinaryStatus) []byte {
	h.Status = status
	return AppendBinary(dst, h, nil, status.Text())
}

// AppendBinaryItem appends an answer that carries an item: its flags and
// version, with key and value if they are asked for.
func AppendBinaryItem(dst []byte, h BinaryHeader, it *session.Item, withKey, withValue bool) []byte {
	dst = AppendBinaryItemHead(dst, h, it, withKey, withValue)
	if withValue {
		dst = append(dst, it.Value...)
	}
	return dst
}

// AppendBinaryItemHead appends what stands in front of the value in an answer
// that carries an item.
func AppendBinaryItemHead(dst []byte, h BinaryHeader, it *session.Item, withKey, withValue bool) []byte {
	var key []byte
	if withKey {
		key = it.Key
	}
	value := 0
	if withValue {
		value = len(it.Value)
	}
	h.CAS = it.Version
	dst = appendBinaryHeader(dst, h, 4, len(key), value)
	dst = binary.BigEndian.AppendUint32(dst, it.Flags)
	return append(dst, key...)
}

// AppendBinaryNumber appends an answer that carries the outcome of an incr or
// decr.
func AppendBinaryNumber(dst []byte, h BinaryHeader, n uint64) []byte {
	dst = appendBinaryHeader(dst, h, 0, 0, 8)
	return binary.BigEndian.AppendUint64(dst, n)
}

func appendBinaryHeader(dst []byte, h BinaryHeader, extras, key, value int) []byte {
	dst = append(dst, BinaryReplyMagic, h.Opcode)
	dst = binary.BigEndian.AppendUint16(dst, uint16(key))
	dst = append(dst, byte(extras), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Status))
	dst = binary.BigEndian.AppendUint32(dst, uint32(extras+key+value))
	dst = binary.BigEndian.AppendUint32(dst, h.Opaque)
	return binary.BigEndian.AppendUint64(dst, h.CAS)
}
