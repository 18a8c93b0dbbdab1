package dialect

import (
	"strconv"

	"cairn/resp"
)

// waitLimit is how long WAIT waits for a replica, in milliseconds.
const waitLimit = 10_000

// Replicated is Redis whose writes count once a replica has them, too: behind the requests
// of an exchange that change something, AppendEnd adds a WAIT 1, and Next returns none of
// the replies to them before that is answered. It says that a replica has received them,
// not that they are on its disk.
type Replicated struct {
	Redis
	asked, writes int // requests since the last AppendEnd

	held int // replies before the answer to WAIT, which has not come
	free int // replies before an answer that has come, and that have not been returned
	end  int // bytes of that answer
	lost bool
}

// AppendGet is that of Redis, as are the others.
func (c *Replicated) AppendGet(dst, key []byte) []byte {
	c.asked++
	return c.Redis.AppendGet(dst, key)
}

func (c *Replicated) AppendGetMulti(dst []byte, keys [][]byte) []byte {
	c.asked++
	return c.Redis.AppendGetMulti(dst, keys)
}

func (c *Replicated) AppendStore(dst []byte, verb Verb, key, value []byte, flags uint32, exptime int64) []byte {
	c.asked, c.writes = c.asked+1, c.writes+1
	return c.Redis.AppendStore(dst, verb, key, value, flags, exptime)
}

func (c *Replicated) AppendTouch(dst, key []byte, exptime int64) []byte {
	c.asked, c.writes = c.asked+1, c.writes+1
	return c.Redis.AppendTouch(dst, key, exptime)
}

func (c *Replicated) AppendDelete(dst, key []byte) []byte {
	c.asked, c.writes = c.asked+1, c.writes+1
	return c.Redis.AppendDelete(dst, key)
}

// AppendEnd ends the requests of an exchange. All their replies are read before there are
// others.
func (c *Replicated) AppendEnd(dst []byte) []byte {
	if c.writes > 0 {
		dst = append(dst, "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n"...)
		dst = resp.AppendBulk(dst, strconv.AppendInt(nil, waitLimit, 10))
		c.held = c.asked
	}
	c.asked, c.writes = 0, 0
	return dst
}

// Next is that of Redis.
func (c *Replicated) Next(buf []byte) (Reply, int, error) {
	if c.held > 0 {
		if complete, err := c.look(buf); !complete {
			return Reply{}, 0, err
		}
	}
	reply, n, err := c.Redis.Next(buf)
	if n == 0 || c.free == 0 {
		return reply, n, err
	}
	if c.lost && reply.Status != Failed {
		reply.Status, reply.Value = Failed, []byte("no replica has the write")
	}
	if reply.Last {
		c.free--
		if c.free == 0 {
			n += c.end
		}
	}
	return reply, n, nil
}

// look reports whether buf begins with all replies that are held and the answer to WAIT.
func (c *Replicated) look(buf []byte) (complete bool, err error) {
	var replies Redis
	at := 0
	for left := c.held; left > 0; {
		reply, n, err := replies.Next(buf[at:])
		if n == 0 {
			return false, err
		}
		at += n
		if reply.Last {
			left--
		}
	}
	e, n, err := resp.Next(buf[at:])
	if n == 0 {
		return false, err
	}
	c.held, c.free, c.end = 0, c.held, n
	c.lost = e.Kind != resp.Integer || e.Number < 1
	return true, nil
}
