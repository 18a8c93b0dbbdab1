package dialect

import "math"

// Text speaks memcached's classic text protocol (txt).
type Text struct{}

// AppendGet appends a request for one item.
func (Text) AppendGet(dst, key []byte) []byte {
	dst = append(dst, "get "...)
	dst = append(dst, key...)
	return append(dst, "\r\n"...)
}

// AppendGetMulti appends one request for several items.
func (Text) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	dst = append(dst, "get"...)
	for _, key := range keys {
		dst = append(dst, ' ')
		dst = append(dst, key...)
	}
	return append(dst, "\r\n"...)
}

// AppendStore appends a set, add or replace. exptime is memcached's: 0 never,
// up to 30 days in seconds from now, above that a Unix time.
func (Text) AppendStore(dst []byte, verb Verb, key, value []byte, flags uint32, exptime int64) []byte {
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
func (Text) AppendTouch(dst, key []byte, exptime int64) []byte {
	dst = append(dst, "touch "...)
	dst = append(dst, key...)
	dst = appendDecimal(dst, exptime)
	return append(dst, "\r\n"...)
}

// AppendDelete appends a request that removes an item.
func (Text) AppendDelete(dst, key []byte) []byte {
	dst = append(dst, "delete "...)
	dst = append(dst, key...)
	return append(dst, "\r\n"...)
}

// AppendQuit appends a request to close the connection. It has no reply.
func (Text) AppendQuit(dst []byte) []byte { return append(dst, "quit\r\n"...) }

// AppendStats appends a request for statistics; group is "" for the general
// ones. The answer is one Value for each and a End.
func (Text) AppendStats(dst []byte, group string) []byte {
	dst = append(dst, "stats"...)
	if group != "" {
		dst = append(dst, ' ')
		dst = append(dst, group...)
	}
	return append(dst, "\r\n"...)
}

// AppendVersion appends a request for the server's version: a OK whose
// Value it is.
func (Text) AppendVersion(dst []byte) []byte {
	return append(dst, "version\r\n"...)
}

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete.
func (Text) Next(buf []byte) (Reply, int, error) {
	line, n, err := replyLine(buf)
	if n == 0 {
		return Reply{}, 0, err
	}
	verb, rest := nextField(line)
	switch string(verb) {
	case "VALUE":
		return textValue(rest, buf, n)
	case "END":
		return Reply{Status: End, Last: true}, n, nil
	case "STORED", "TOUCHED", "DELETED", "OK":
		return Reply{Status: OK, Last: true}, n, nil
	case "NOT_STORED":
		return Reply{Status: NotStored, Last: true}, n, nil
	case "NOT_FOUND":
		return Reply{Status: NotFound, Last: true}, n, nil
	case "EXISTS":
		return Reply{Status: Exists, Last: true}, n, nil
	case "STAT":
		name, value := nextField(rest)
		return Reply{Status: Value, Key: name, Value: value}, n, nil
	case "VERSION":
		return Reply{Status: OK, Last: true, Value: rest}, n, nil
	case "ERROR", "CLIENT_ERROR", "SERVER_ERROR":
		return Reply{Status: Failed, Last: true, Value: line}, n, nil
	}
	return Reply{}, 0, ErrMalformedReply
}

// textValue reads a VALUE reply: fields is its line behind the verb, and its
// data block begins at buf[n].
func textValue(fields, buf []byte, n int) (Reply, int, error) {
	key, fields := nextField(fields)
	flagsField, fields := nextField(fields)
	sizeField, casField := nextField(fields)
	flags, err := replyNumber(flagsField, math.MaxUint32)
	if err != nil {
		return Reply{}, 0, err
	}
	size, err := replyNumber(sizeField, maxReplyData)
	if err != nil {
		return Reply{}, 0, err
	}
	var cas uint64
	if len(casField) > 0 {
		if cas, err = replyNumber(casField, math.MaxUint64); err != nil {
			return Reply{}, 0, err
		}
	}
	value, taken, err := replyBlock(buf[n:], size)
	if taken == 0 {
		return Reply{}, 0, err
	}
	reply := Reply{Status: Value, Key: key, Value: value, Flags: uint32(flags), CAS: cas}
	return reply, n + taken, nil
}
