package protocol

import (
	"bytes"
	"errors"
	"strconv"
)

// The client's half of the memcached protocols: three clients, one for each
// wire format, that encode requests and read replies. They hold no state, open
// no sockets and do not check keys or sizes; a caller sends what their Append
// methods produced and feeds what comes back to Next.

// ErrMalformedReply is the error of a client that met bytes which no server
// sends. The connection they came from cannot be used further.
var ErrMalformedReply = errors.New("protocol: malformed reply")

// Bounds in bytes on what a client takes for a reply: its first line, and its
// data.
const (
	maxReplyLine = 8 << 10
	maxReplyData = 1 << 30
)

// ClientStatus says what a reply means, in terms that the protocols share.
type ClientStatus uint8

const (
	// ClientOK: stored, touched, deleted, or otherwise done.
	ClientOK ClientStatus = iota + 1

	// ClientValue carries an item.
	ClientValue

	// ClientEnd closes a request whose values, if any, came before it.
	ClientEnd

	// ClientNotFound: the key is absent.
	ClientNotFound

	// ClientNotStored: the condition of an add or replace does not hold.
	ClientNotStored

	// ClientExists: the item has another CAS unique.
	ClientExists

	// ClientFailed: the server refused; Value is its message.
	ClientFailed
)

// ClientReply is one reply, or one of several that answer a request.
type ClientReply struct {
	Status ClientStatus

	// Last says that this reply completes its request.
	Last bool

	// Key and Value alias the buffer given to Next. Key is set where the
	// protocol repeats it. A statistic is a ClientValue: its name and value.
	Key   []byte
	Value []byte

	Flags uint32
	CAS   uint64 // 0 if the reply has none
}

// StoreVerb is the condition under which a client stores.
type StoreVerb uint8

const (
	StoreSet StoreVerb = iota
	StoreAdd
	StoreReplace
)

// replyLine cuts the first line off buf, without its line end. n is 0 as long
// as the line is incomplete.
func replyLine(buf []byte) (line []byte, n int, err error) {
	i := bytes.IndexByte(buf, '\n')
	if i < 0 {
		if len(buf) > maxReplyLine {
			return nil, 0, ErrMalformedReply
		}
		return nil, 0, nil
	}
	if i == 0 || buf[i-1] != '\r' {
		return nil, 0, ErrMalformedReply
	}
	return buf[:i-1], i + 1, nil
}

// replyBlock cuts a data block of size bytes and its line end off buf. n is 0
// as long as it is incomplete.
func replyBlock(buf []byte, size uint64) (block []byte, n int, err error) {
	if uint64(len(buf)) < size+2 {
		return nil, 0, nil
	}
	if buf[size] != '\r' || buf[size+1] != '\n' {
		return nil, 0, ErrMalformedReply
	}
	return buf[:size], int(size) + 2, nil
}

// replyNumber reads a field that is a decimal number of at most max.
func replyNumber(field []byte, max uint64) (uint64, error) {
	n, ok := parseUint(field, max)
	if !ok {
		return 0, ErrMalformedReply
	}
	return n, nil
}

func appendDecimal(dst []byte, n int64) []byte {
	dst = append(dst, ' ')
	return strconv.AppendInt(dst, n, 10)
}
