// Package dialect is the client's half of the protocols of session servers:
// memcached's text, meta and binary protocols, and Redis'. The clients encode
// requests and read replies, in terms that the protocols share. They open no
// sockets and do not check keys or sizes; a caller sends what their Append
// methods produced and feeds what comes back to Next.
package dialect

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrMalformedReply is the error of a client that met bytes which no server
// sends. The connection they came from cannot be used further.
var ErrMalformedReply = errors.New("dialect: malformed reply")

// Bounds in bytes on what a client takes for a reply: its first line, and its
// data.
const (
	maxReplyLine = 8 << 10
	maxReplyData = 1 << 30
)

// Status says what a reply means, in terms that the protocols share.
type Status uint8

const (
	// OK: stored, touched, deleted, or otherwise done.
	OK Status = iota + 1

	// Value carries an item.
	Value

	// End closes a request whose values, if any, came before it.
	End

	// NotFound: the key is absent.
	NotFound

	// NotStored: the condition of an add or replace does not hold.
	NotStored

	// Exists: the item has another CAS unique.
	Exists

	// Failed: the server refused; Value is its message.
	Failed
)

// Reply is one reply, or one of several that answer a request.
type Reply struct {
	Status Status

	// Last says that this reply completes its request.
	Last bool

	// Key and Value alias the buffer given to Next. Key is set where the
	// protocol repeats it. A statistic is a Value: its name and value.
	Key   []byte
	Value []byte

	Flags uint32
	CAS   uint64 // 0 if the reply has none
}

// Verb is the condition under which a client stores.
type Verb uint8

const (
	Set Verb = iota
	Add
	Replace
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
	n, err := strconv.ParseUint(string(field), 10, 64)
	if err != nil || n > max {
		return 0, ErrMalformedReply
	}
	return n, nil
}

// nextField splits the first field off line; one space separates fields.
func nextField(line []byte) (field, rest []byte) {
	field, rest, _ = bytes.Cut(line, []byte(" "))
	return field, rest
}

func appendDecimal(dst []byte, n int64) []byte {
	dst = append(dst, ' ')
	return strconv.AppendInt(dst, n, 10)
}
