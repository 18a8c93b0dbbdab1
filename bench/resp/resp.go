// Package resp is the client's half of RESP2, the protocol of Redis, as far as
// a session store needs it. It is pure: no sockets.
package resp

import (
	"bytes"
	"strconv"

	"cairn/memcachedfront/protocol"
)

// maxRelative is the longest exptime in seconds that counts from now, as in
// memcached; larger ones are Unix times.
const maxRelative = 60 * 60 * 24 * 30

// Bounds in bytes on what a client takes for a reply: a line, and a string.
const (
	maxLine   = 8 << 10
	maxString = 1 << 30
)

// Client encodes requests and reads replies in the terms of memcached's
// clients, so that the same load can be put on both. Redis keeps no client
// flags; they are left out. A Client belongs to one connection.
type Client struct {
	elements int // of a multi-get's answer, still to come
}

// AppendGet appends a request for one item.
func (*Client) AppendGet(dst, key []byte) []byte {
	dst = append(dst, "*2\r\n$3\r\nGET\r\n"...)
	return appendString(dst, key)
}

// AppendGetMulti appends one MGET. It is answered by one reply for each key,
// in their order, without repeating them.
func (*Client) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	dst = appendHead(dst, '*', len(keys)+1)
	dst = append(dst, "$4\r\nMGET\r\n"...)
	for _, key := range keys {
		dst = appendString(dst, key)
	}
	return dst
}

// AppendStore appends a SET, under the condition NX for an add and XX for a
// replace. A condition that does not hold is answered ClientNotFound. exptime
// is memcached's.
func (*Client) AppendStore(dst []byte, verb protocol.StoreVerb, key, value []byte, _ uint32, exptime int64) []byte {
	words := 3
	if verb != protocol.StoreSet {
		words++
	}
	if exptime != 0 {
		words += 2
	}
	dst = appendHead(dst, '*', words)
	dst = append(dst, "$3\r\nSET\r\n"...)
	dst = appendString(dst, key)
	dst = appendString(dst, value)
	switch verb {
	case protocol.StoreAdd:
		dst = append(dst, "$2\r\nNX\r\n"...)
	case protocol.StoreReplace:
		dst = append(dst, "$2\r\nXX\r\n"...)
	}
	switch {
	case exptime > maxRelative:
		dst = append(dst, "$4\r\nEXAT\r\n"...)
		dst = appendInteger(dst, exptime)
	case exptime != 0:
		dst = append(dst, "$2\r\nEX\r\n"...)
		dst = appendInteger(dst, exptime)
	}
	return dst
}

// AppendTouch appends a request that gives an item a new exptime.
func (*Client) AppendTouch(dst, key []byte, exptime int64) []byte {
	switch {
	case exptime == 0:
		dst = append(dst, "*2\r\n$7\r\nPERSIST\r\n"...)
		return appendString(dst, key)
	case exptime > maxRelative:
		dst = append(dst, "*3\r\n$8\r\nEXPIREAT\r\n"...)
	default:
		dst = append(dst, "*3\r\n$6\r\nEXPIRE\r\n"...)
	}
	dst = appendString(dst, key)
	return appendInteger(dst, exptime)
}

// AppendDelete appends a request that removes an item.
func (*Client) AppendDelete(dst, key []byte) []byte {
	dst = append(dst, "*2\r\n$3\r\nDEL\r\n"...)
	return appendString(dst, key)
}

// AppendPing appends a request that any server ready to serve answers with
// ClientOK; one that still loads its data fails it.
func (*Client) AppendPing(dst []byte) []byte {
	return append(dst, "*1\r\n$4\r\nPING\r\n"...)
}

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete.
func (c *Client) Next(buf []byte) (protocol.ClientReply, int, error) {
	elements, n := c.elements, 0
	if elements == 0 {
		elements = 1
		kind, count, taken, err := header(buf)
		if taken == 0 {
			return protocol.ClientReply{}, 0, err
		}
		if kind == '*' {
			if count < 1 {
				return protocol.ClientReply{}, 0, protocol.ErrMalformedReply
			}
			elements, n = count, taken
		}
	}
	reply, taken, err := element(buf[n:])
	if taken == 0 {
		return protocol.ClientReply{}, 0, err
	}
	c.elements = elements - 1
	reply.Last = c.elements == 0
	return reply, n + taken, nil
}

// header reads the first line of buf: its type, and its number if it is one.
func header(buf []byte) (kind byte, number, n int, err error) {
	end := bytes.IndexByte(buf, '\n')
	if end < 0 {
		if len(buf) > maxLine {
			return 0, 0, 0, protocol.ErrMalformedReply
		}
		return 0, 0, 0, nil
	}
	if end < 2 || buf[end-1] != '\r' {
		return 0, 0, 0, protocol.ErrMalformedReply
	}
	kind = buf[0]
	switch kind {
	case '+', '-':
	case ':', '$', '*':
		if number, err = strconv.Atoi(string(buf[1 : end-1])); err != nil {
			return 0, 0, 0, protocol.ErrMalformedReply
		}
	default:
		return 0, 0, 0, protocol.ErrMalformedReply
	}
	return kind, number, end + 1, nil
}

// element reads one reply that is not an array.
func element(buf []byte) (reply protocol.ClientReply, n int, err error) {
	kind, number, n, err := header(buf)
	if n == 0 {
		return reply, 0, err
	}
	switch {
	case kind == '+':
		return protocol.ClientReply{Status: protocol.ClientOK, Value: buf[1 : n-2]}, n, nil
	case kind == '-':
		return protocol.ClientReply{Status: protocol.ClientFailed, Value: buf[1 : n-2]}, n, nil
	case kind == ':' && number > 0:
		return protocol.ClientReply{Status: protocol.ClientOK}, n, nil
	case kind == ':', kind == '$' && number == -1:
		return protocol.ClientReply{Status: protocol.ClientNotFound}, n, nil
	case kind != '$' || number < 0 || number > maxString:
		return reply, 0, protocol.ErrMalformedReply
	}
	end := n + number
	if len(buf) < end+2 {
		return reply, 0, nil
	}
	if buf[end] != '\r' || buf[end+1] != '\n' {
		return reply, 0, protocol.ErrMalformedReply
	}
	return protocol.ClientReply{Status: protocol.ClientValue, Value: buf[n:end]}, end + 2, nil
}

func appendHead(dst []byte, kind byte, number int) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, int64(number), 10)
	return append(dst, "\r\n"...)
}

func appendString(dst, s []byte) []byte {
	dst = appendHead(dst, '$', len(s))
	dst = append(dst, s...)
	return append(dst, "\r\n"...)
}

func appendInteger(dst []byte, n int64) []byte {
	var digits [20]byte
	return appendString(dst, strconv.AppendInt(digits[:0], n, 10))
}
