package dialect

import "cairn/resp"

// maxRelative is the longest exptime in seconds that counts from now, as in
// memcached; larger ones are Unix times.
const maxRelative = 60 * 60 * 24 * 30

// Redis speaks RESP2 in the terms of memcached's clients, so that the same load
// can be put on both. Redis keeps no client flags; they are left out. A Redis
// belongs to one connection.
type Redis struct {
	elements int // of a multi-get's answer, still to come
}

// AppendGet appends a request for one item.
func (*Redis) AppendGet(dst, key []byte) []byte {
	dst = append(dst, "*2\r\n$3\r\nGET\r\n"...)
	return resp.AppendBulk(dst, key)
}

// AppendGetMulti appends one MGET. It is answered by one reply for each key,
// in their order, without repeating them.
func (*Redis) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	dst = resp.AppendArray(dst, len(keys)+1)
	dst = append(dst, "$4\r\nMGET\r\n"...)
	for _, key := range keys {
		dst = resp.AppendBulk(dst, key)
	}
	return dst
}

// AppendStore appends a SET, under the condition NX for an add and XX for a
// replace. A condition that does not hold is answered NotFound. exptime
// is memcached's.
func (*Redis) AppendStore(dst []byte, verb Verb, key, value []byte, _ uint32, exptime int64) []byte {
	words := 3
	if verb != Set {
		words++
	}
	if exptime != 0 {
		words += 2
	}
	dst = resp.AppendArray(dst, words)
	dst = append(dst, "$3\r\nSET\r\n"...)
	dst = resp.AppendBulk(dst, key)
	dst = resp.AppendBulk(dst, value)
	switch verb {
	case Add:
		dst = append(dst, "$2\r\nNX\r\n"...)
	case Replace:
		dst = append(dst, "$2\r\nXX\r\n"...)
	}
	switch {
	case exptime > maxRelative:
		dst = append(dst, "$4\r\nEXAT\r\n"...)
		dst = resp.AppendBulkInteger(dst, exptime)
	case exptime != 0:
		dst = append(dst, "$2\r\nEX\r\n"...)
		dst = resp.AppendBulkInteger(dst, exptime)
	}
	return dst
}

// AppendTouch appends a request that gives an item a new exptime.
func (*Redis) AppendTouch(dst, key []byte, exptime int64) []byte {
	switch {
	case exptime == 0:
		dst = append(dst, "*2\r\n$7\r\nPERSIST\r\n"...)
		return resp.AppendBulk(dst, key)
	case exptime > maxRelative:
		dst = append(dst, "*3\r\n$8\r\nEXPIREAT\r\n"...)
	default:
		dst = append(dst, "*3\r\n$6\r\nEXPIRE\r\n"...)
	}
	dst = resp.AppendBulk(dst, key)
	return resp.AppendBulkInteger(dst, exptime)
}

// AppendDelete appends a request that removes an item.
func (*Redis) AppendDelete(dst, key []byte) []byte {
	dst = append(dst, "*2\r\n$3\r\nDEL\r\n"...)
	return resp.AppendBulk(dst, key)
}

// AppendQuit appends a request to close the connection, which is answered.
func (*Redis) AppendQuit(dst []byte) []byte {
	return append(dst, "*1\r\n$4\r\nQUIT\r\n"...)
}

// AppendPing appends a request that any server ready to serve answers with
// OK; one that still loads its data fails it.
func (*Redis) AppendPing(dst []byte) []byte {
	return append(dst, "*1\r\n$4\r\nPING\r\n"...)
}

// Next reads the reply at the start of buf and returns how many bytes it took,
// 0 if it is still incomplete.
func (c *Redis) Next(buf []byte) (Reply, int, error) {
	e, n, err := resp.Next(buf)
	if n == 0 {
		return Reply{}, 0, err
	}
	left := max(c.elements, 1)
	if e.Kind == resp.Array {
		if c.elements > 0 || e.Number < 1 {
			return Reply{}, 0, ErrMalformedReply
		}
		taken := n
		left = int(e.Number)
		if e, n, err = resp.Next(buf[taken:]); n == 0 {
			return Reply{}, 0, err
		}
		n += taken
	}
	reply, err := interpretRedis(e)
	if err != nil {
		return Reply{}, 0, err
	}
	c.elements = left - 1
	reply.Last = c.elements == 0
	return reply, n, nil
}

// interpretRedis puts an element that is not an array into the terms that the
// protocols share.
func interpretRedis(e resp.Element) (Reply, error) {
	switch {
	case e.Kind == resp.Simple:
		return Reply{Status: OK, Value: e.Text}, nil
	case e.Kind == resp.Error:
		return Reply{Status: Failed, Value: e.Text}, nil
	case e.Kind == resp.Integer && e.Number > 0:
		return Reply{Status: OK}, nil
	case e.Kind == resp.Integer, e.Kind == resp.Bulk && e.Null:
		return Reply{Status: NotFound}, nil
	case e.Kind == resp.Bulk:
		return Reply{Status: Value, Value: e.Text}, nil
	}
	return Reply{}, ErrMalformedReply
}
