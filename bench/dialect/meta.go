package dialect

import (
	"bytes"
	"math"
	"strconv"
)

// Meta speaks memcached's meta commands (txt, "Meta Commands").
type Meta struct{}

// AppendGet appends a request for one item.
func (Meta) AppendGet(dst, key []byte) []byte {
	dst = append(dst, "mg "...)
	dst = append(dst, key...)
	return append(dst, " v f\r\n"...)
}

// AppendGetMulti appends a request for several items: quiet gets and a mn,
// which is the last reply.
func (Meta) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	for _, key := range keys {
		dst = append(dst, "mg "...)
		dst = append(dst, key...)
		dst = append(dst, " v f k q\r\n"...)
	}
	return append(dst, "mn\r\n"...)
}

// AppendStore appends an ms; see Text.AppendStore.
func (Meta) AppendStore(dst []byte, verb Verb, key, value []byte, flags uint32, exptime int64) []byte {
	dst = append(dst, "ms "...)
	dst = append(dst, key...)
	dst = appendDecimal(dst, int64(len(value)))
	dst = append(dst, [...]string{"", " ME", " MR"}[verb]...)
	dst = append(dst, " F"...)
	dst = strconv.AppendUint(dst, uint64(flags), 10)
	dst = append(dst, " T"...)
	dst = strconv.AppendInt(dst, exptime, 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendTouch appends a request that gives an item a new exptime.
func (Meta) AppendTouch(dst, key []byte, exptime int64) []byte {
	dst = append(dst, "mg "...)
	dst = append(dst, key...)
	dst = append(dst, " T"...)
	dst = strconv.AppendInt(dst, exptime, 10)
	return append(dst, "\r\n"...)
}

// AppendDelete appends a request that removes an item.
func (Meta) AppendDelete(dst, key []byte) []byte {
	dst = append(dst, "md "...)
	dst = append(dst, key...)
	return append(dst, "\r\n"...)
}

// AppendQuit appends a request to close the connection. It has no reply.
func (Meta) AppendQuit(dst []byte) []byte { return append(dst, "quit\r\n"...) }

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete. A value that repeats its key belongs to
// AppendGetMulti and is not the last reply.
func (Meta) Next(buf []byte) (Reply, int, error) {
	line, n, err := replyLine(buf)
	if n == 0 {
		return Reply{}, 0, err
	}
	verb, rest := nextField(line)
	switch string(verb) {
	case "VA":
		return metaValue(rest, buf, n)
	case "HD", "OK":
		return Reply{Status: OK, Last: true}, n, nil
	case "EN", "NF":
		return Reply{Status: NotFound, Last: true}, n, nil
	case "NS":
		return Reply{Status: NotStored, Last: true}, n, nil
	case "EX":
		return Reply{Status: Exists, Last: true}, n, nil
	case "MN":
		return Reply{Status: End, Last: true}, n, nil
	case "ERROR", "CLIENT_ERROR", "SERVER_ERROR":
		return Reply{Status: Failed, Last: true, Value: line}, n, nil
	}
	return Reply{}, 0, ErrMalformedReply
}

func metaValue(fields, buf []byte, n int) (Reply, int, error) {
	sizeField, fields := nextField(fields)
	size, err := replyNumber(sizeField, maxReplyData)
	if err != nil {
		return Reply{}, 0, err
	}
	reply := Reply{Status: Value, Last: true}
	for len(fields) > 0 {
		var field []byte
		field, fields = nextField(fields)
		if err := metaFlag(&reply, field); err != nil {
			return Reply{}, 0, err
		}
	}
	value, taken, err := replyBlock(buf[n:], size)
	if taken == 0 {
		return Reply{}, 0, err
	}
	reply.Value = value
	return reply, n + taken, nil
}

// metaFlag takes one flag of a VA line into reply; flags it does not know are
// left alone.
func metaFlag(reply *Reply, field []byte) error {
	switch {
	case bytes.HasPrefix(field, []byte("k")):
		reply.Key, reply.Last = field[1:], false
	case bytes.HasPrefix(field, []byte("f")):
		flags, err := replyNumber(field[1:], math.MaxUint32)
		reply.Flags = uint32(flags)
		return err
	case bytes.HasPrefix(field, []byte("c")):
		cas, err := replyNumber(field[1:], math.MaxUint64)
		reply.CAS = cas
		return err
	}
	return nil
}
