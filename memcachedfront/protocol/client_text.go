package protocol

import "math"

// TextClient speaks memcached's classic text protocol (protocol.txt).
type TextClient struct{}

// AppendGet appends a request for one item.
func (TextClient) AppendGet(dst, key []byte) []byte {
	dst = append(dst, "get "...)
	dst = append(dst, key...)
	return append(dst, "\r\n"...)
}

// AppendGetMulti appends one request for several items.
func (TextClient) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	dst = append(dst, "get"...)
	for _, key := range keys {
		dst = append(dst, ' ')
		dst = append(dst, key...)
	}
	return append(dst, "\r\n"...)
}

// AppendStore appends a set, add or replace. exptime is memcached's: 0 never,
// up to 30 days in seconds from now, above that a Unix time.
func (TextClient) AppendStore(dst []byte, verb StoreVerb, key, value []byte, flags uint32, exptime int64) []byte {
	dst = append(dst, [...]string{"set ", "add ", "replace "}[verb]...)
	dst = append(dst, key...)
	dst = appendDecimal(dst, int64(flags))
	dst = appendDecimal(dst, exptime)
	dst = appendDecimal(dst, int64(len(value)))
	dst = append(dst, "\r\n"...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendTouch appends a request that gives an item a new exptime.
func (TextClient) AppendTouch(dst, key []byte, exptime int64) []byte {
	dst = append(dst, "touch "...)
	dst = append(dst, key...)
	dst = appendDecimal(dst, exptime)
	return append(dst, "\r\n"...)
}

// AppendDelete appends a request that removes an item.
func (TextClient) AppendDelete(dst, key []byte) []byte {
	dst = append(dst, "delete "...)
	dst = append(dst, key...)
	return append(dst, "\r\n"...)
}

// AppendStats appends a request for statistics; group is "" for the general
// ones. The answer is one ClientValue for each and a ClientEnd.
func (TextClient) AppendStats(dst []byte, group string) []byte {
	dst = append(dst, "stats"...)
	if group != "" {
		dst = append(dst, ' ')
		dst = append(dst, group...)
	}
	return append(dst, "\r\n"...)
}

// AppendVersion appends a request for the server's version: a ClientOK whose
// Value it is.
func (TextClient) AppendVersion(dst []byte) []byte {
	return append(dst, "version\r\n"...)
}

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete.
func (TextClient) Next(buf []byte) (ClientReply, int, error) {
	line, n, err := replyLine(buf)
	if n == 0 {
		return ClientReply{}, 0, err
	}
	verb, rest := nextToken(line)
	switch string(verb) {
	case "VALUE":
		return textValue(rest, buf, n)
	case "END":
		return ClientReply{Status: ClientEnd, Last: true}, n, nil
	case "STORED", "TOUCHED", "DELETED", "OK":
		return ClientReply{Status: ClientOK, Last: true}, n, nil
	case "NOT_STORED":
		return ClientReply{Status: ClientNotStored, Last: true}, n, nil
	case "NOT_FOUND":
		return ClientReply{Status: ClientNotFound, Last: true}, n, nil
	case "EXISTS":
		return ClientReply{Status: ClientExists, Last: true}, n, nil
	case "STAT":
		name, value := nextToken(rest)
		return ClientReply{Status: ClientValue, Key: name, Value: value}, n, nil
	case "VERSION":
		return ClientReply{Status: ClientOK, Last: true, Value: rest}, n, nil
	case "ERROR", "CLIENT_ERROR", "SERVER_ERROR":
		return ClientReply{Status: ClientFailed, Last: true, Value: line}, n, nil
	}
	return ClientReply{}, 0, ErrMalformedReply
}

// textValue reads a VALUE reply: fields is its line behind the verb, and its
// data block begins at buf[n].
func textValue(fields, buf []byte, n int) (ClientReply, int, error) {
	key, fields := nextToken(fields)
	flagsField, fields := nextToken(fields)
	sizeField, casField := nextToken(fields)
	flags, err := replyNumber(flagsField, math.MaxUint32)
	if err != nil {
		return ClientReply{}, 0, err
	}
	size, err := replyNumber(sizeField, maxReplyData)
	if err != nil {
		return ClientReply{}, 0, err
	}
	var cas uint64
	if len(casField) > 0 {
		if cas, err = replyNumber(casField, math.MaxUint64); err != nil {
			return ClientReply{}, 0, err
		}
	}
	value, taken, err := replyBlock(buf[n:], size)
	if taken == 0 {
		return ClientReply{}, 0, err
	}
	reply := ClientReply{Status: ClientValue, Key: key, Value: value, Flags: uint32(flags), CAS: cas}
	return reply, n + taken, nil
}
